# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which chips of the folders that a user names make up a dataset."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from torchgeo.datasets import GeoDataset
from torchgeo.datasets.errors import DatasetNotFoundError
from torchgeo.datasets.utils import Path

from .index import load_table
from .layout import CorruptChipError, Layer, Layout, find_root
from .reading import type_fault

Missing = Literal['skip', 'error']


def choose(name: str, values: Sequence[object], choices: Sequence[object]) -> None:
    """Raise a ValueError unless all values are among the choices."""
    for value in values:
        if value not in choices:
            raise ValueError(f'`{name}={value!r}` must be one of {list(choices)}')


def gather(
    dataset: GeoDataset,
    layout: Layout,
    paths: Path | Iterable[Path],
    cache: bool | Path,
    workers: int | None,
) -> pd.DataFrame:
    """List the chips of one or more data sets.

    Args:
        dataset: The dataset that asks, for errors.
        layout: How the data set arranges its files.
        paths: Its folder, the folder above, or several of either.
        cache: See :func:`~torchgeo_tdpcr.datasets.chips.index.load_table`.
        workers: See :func:`~torchgeo_tdpcr.datasets.chips.index.build_table`.

    Returns:
        The table of :func:`~torchgeo_tdpcr.datasets.chips.index.load_table` with absolute
        paths, and with ``root`` and ``filepath``.

    Raises:
        DatasetNotFoundError: If a folder is missing, empty or laid out in another way.
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    tables = []
    for path in several:
        root = find_root(layout, path)
        if root is None:
            raise not_found(dataset, what_is_there(path), layout)
        table = load_table(layout, root, cache, workers)
        if table.empty:
            what = f"'{root}' has the folders of {layout.name}, but no files in them."
            raise not_found(dataset, what, layout)
        prefix = os.path.join(root, '')
        for column in (*layout.layers, 'reference'):
            table[column] = (prefix + table[column]).where(table[column] != '', '')
        tables.append(table.assign(root=str(root)))
    if not tables:
        raise not_found(dataset, '`paths` is empty.', layout)
    table = pd.concat(tables, ignore_index=True)
    return table.drop_duplicates(['root', layout.group, 'roi', 'patch']).rename(
        columns={'reference': 'filepath'}
    )


def not_found(dataset: GeoDataset, what: str, layout: Layout) -> DatasetNotFoundError:
    """Make the error for data that are not there: what is, and what was looked for."""
    error = DatasetNotFoundError(dataset)
    error.args = (f'{error.args[0]} {what} Looked for {layout.looked_for}.',)
    return error


def what_is_there(path: Path) -> str:
    """Say in words what there is instead of a data set."""
    if not os.path.exists(path):
        return f"'{path}' does not exist."
    if not os.path.isdir(path):
        return f"'{path}' is a file, not a folder."
    names = sorted(os.listdir(path))
    if not names:
        return f"'{path}' is empty."
    return f"'{path}' holds {names[:6]}{' and more' if len(names) > 6 else ''}."


def select_layers(
    table: pd.DataFrame, layout: Layout, layers: Iterable[str] | None
) -> dict[str, Layer]:
    """Complete and check a selection of layers.

    Args:
        table: The chips.
        layout: How the data set arranges its files.
        layers: Names of layers, or None for all that any chip has.

    Returns:
        The layers by name; optional ones only if asked for.

    Raises:
        ValueError: If a name is unknown, or none is given.
    """
    if layers is None:
        return {
            name: layer
            for name, layer in layout.layers.items()
            if not layer.optional and (table[name] != '').any()
        }
    wanted = [layers] if isinstance(layers, str) else list(layers)
    if not wanted or set(wanted) - layout.layers.keys():
        raise ValueError(
            f'`layers={wanted}`: choose from {list(layout.layers)}, at least one.'
        )
    return {name: layer for name, layer in layout.layers.items() if name in wanted}


def find_faults(
    table: pd.DataFrame, layers: Mapping[str, Layer], layout: Layout
) -> list[str]:
    """Tell for each chip why it cannot be used, as far as its index row shows.

    Args:
        table: The chips.
        layers: Layers that are needed.
        layout: How the data set arranges its files.

    Returns:
        For each row the fault in words, '' if none.
    """
    faults = np.full(len(table), '', dtype=object)
    for name in layout.references[::-1]:
        here = (table[name] == table['filepath']) & (table['filepath'] != '')
        for row in np.flatnonzero(here & (table['fault'] != '')):
            faults[row] = table['fault'].iloc[row]
        if name in layers:
            kinds = table[here & (table['fault'] == '')][['count', 'dtype']]
            for (count, dtype), rows in kinds.groupby(
                ['count', 'dtype']
            ).groups.items():
                fault = type_fault(int(count), dtype, layout.layers[name])
                faults[table.index.get_indexer(rows)] = fault
    for name in layers:
        faults[(table[name] == '').to_numpy()] = f"has no twin in '{name}'"
    faults[(table['filepath'] == '').to_numpy()] = (
        f'has no twin in {" or ".join(map(repr, layout.references))}'
    )
    return faults.tolist()


def keep_usable(
    table: pd.DataFrame,
    layers: Mapping[str, Layer],
    layout: Layout,
    missing: Missing,
) -> pd.DataFrame:
    """Leave out the chips that cannot be used, and say so once.

    Args:
        table: The chips.
        layers: Layers that are needed.
        layout: How the data set arranges its files.
        missing: ``'skip'`` to leave them out, ``'error'`` to raise.

    Returns:
        The chips that can be used.

    Raises:
        CorruptChipError: If one cannot and *missing* is ``'error'``.
    """
    faults = pd.Series(find_faults(table, layers, layout), index=table.index)
    bad = table[faults != '']
    if bad.empty:
        return table
    paths = (
        bad[['filepath', *layout.layers]].replace('', pd.NA).bfill(axis=1).iloc[:, 0]
    )
    if missing == 'error':
        raise CorruptChipError(paths.iloc[0], faults[faults != ''].iloc[0])
    counts = faults[faults != ''].groupby(faults, sort=False).groups
    reasons = '; '.join(
        f"'{paths[rows[0]]}' {fault} ({len(rows)} like it)"
        for fault, rows in counts.items()
    )
    warnings.warn(
        f'{len(bad)} of {len(table)} chips are left out, for instance {reasons}. Run '
        "`torchgeo-tdpcr verify` for the whole list, or pass `missing='error'` to stop "
        'here.',
        UserWarning,
        stacklevel=3,
    )
    return table[faults == '']
