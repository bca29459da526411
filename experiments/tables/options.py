# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a user chooses: which tables, of what data, at which scale."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DEFAULT_SCALE = {'osfcr': 'full', 'synthetic': 'tiny'}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the tables, the same for `python -m experiments.tables` and Snakemake.

    Args:
        tables: Which tables.
        data: Which data set.
        root: Its folder; a synthetic set is made where there is none.
        scale: Name of a scale, or a YAML file like those in `scales/`.
        seeds: A run each.
        rows: Only the rows of these runs, None for all.
        add: Python files with models of the user's.
        recipe: Of the training.
        set: Settings of the torchgeo command that win over all others, ``KEY=VALUE``.
        out: Folder of the runs.
        results: Folder of the tables, None for that of the runs.
        threads: Threads of a run.
        torchgeo: The torchgeo command, '' for the one on the path.
    """

    tables: tuple[int, ...] = (1, 2, 3)
    data: Literal['synthetic', 'osfcr'] = 'synthetic'
    root: str | None = None
    scale: str | None = None
    seeds: tuple[int, ...] = (0,)
    rows: tuple[str, ...] | None = None
    add: tuple[str, ...] = ()
    recipe: Literal['common', 'own'] = 'common'
    set: tuple[str, ...] = ()
    out: str = 'runs/tables'
    results: str | None = None
    threads: int = 1
    torchgeo: str = ''

    def __post_init__(self) -> None:
        if self.data not in DEFAULT_SCALE:
            raise ValueError(f'`data={self.data}`: choose of {list(DEFAULT_SCALE)}.')
        if self.recipe not in ('common', 'own'):
            raise ValueError(f"`recipe={self.recipe}`: choose of ['common', 'own'].")
        if unknown := set(self.tables) - {1, 2, 3}:
            raise ValueError(f'`tables={sorted(unknown)}`: there are 1, 2 and 3.')
        if self.data == 'osfcr' and self.root is None:
            raise ValueError(
                '`data=osfcr`: give the folder of LuojiaSET-OSFCR as `root`.'
            )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f'`seeds={list(self.seeds)}`: give each once.')

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> 'Options':
        """Take options from the configuration of Snakemake.

        Args:
            config: Options by name; of several values a list, one, or a text with commas
                between.

        Raises:
            ValueError: If one is unknown, or a value is none of its own.

        Example:
            >>> Options.from_config({'tables': 1, 'seeds': '0,1'}).seeds
            (0, 1)
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := set(config) - known:
            raise ValueError(
                f'`--config {" ".join(sorted(unknown))}`: no such options. There are '
                f'{sorted(known)}.'
            )
        values = dict(config)
        for name, kind in (
            ('tables', int),
            ('seeds', int),
            ('rows', str),
            ('add', str),
        ):
            if values.get(name) is not None:
                values[name] = tuple(map(kind, _several(values[name])))
        if 'set' in values:
            # A setting may have commas of its own
            given = values['set']
            values['set'] = (given,) if isinstance(given, str) else tuple(given)
        return cls(**values)

    def as_config(self) -> list[str]:
        """Make the arguments that follow ``snakemake --config``."""
        return [
            f'{name}={json.dumps(value)}'
            for name, value in dataclasses.asdict(self).items()
            if value is not None
        ]

    @property
    def scale_name(self) -> str:
        """Name of the scale, or its file."""
        return self.scale or DEFAULT_SCALE[self.data]

    @property
    def name(self) -> str:
        """What the runs and tables of these data, scale and recipe are called."""
        own = '-own' if self.recipe == 'own' else ''
        return f'{self.data}-{Path(self.scale_name).stem}{own}'

    @property
    def folder(self) -> Path:
        """Folder of the runs."""
        return Path(self.out) / self.name

    def run_folder(self, run: str, seed: int | str) -> Path:
        """The folder of a run with a seed, or with placeholders for them."""
        return self.folder / run / f'seed{seed}'

    @property
    def data_root(self) -> Path:
        """Folder of the data."""
        return Path(self.root) if self.root else self.folder / 'data'

    def table_file(self, number: int | str) -> Path:
        """The file of a table in Markdown, by its number or a placeholder for it."""
        # Some rows do not take the place of a table with all
        some = '' if self.rows is None else '-some'
        folder = Path(self.results) if self.results else self.folder
        return folder / f'table{number}-{self.name}{some}.md'


def _several(value: Any) -> list[Any]:
    """Take one value, several, or a text with commas between as several."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(',') if part.strip()]
    return list(value) if isinstance(value, list | tuple) else [value]
