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

from ...files import expanded
from .index import load_table
from .layout import CorruptChipError, Layer, Layout, find_root
from .reading import type_fault

Missing = Literal['skip', 'error']


def check_choices(
    name: str, values: Sequence[object], choices: Sequence[object]
) -> None:
    """Raise a ValueError unless all values are among the choices."""
    for value in values:
        if value not in choices:
            raise ValueError(f'`{name}={value!r}` must be one of {list(choices)}.')


def select(
    name: str, values: Iterable[str] | None, choices: Iterable[str]
) -> tuple[str, ...]:
    """Complete and check a selection, such as of bands or of layers.

    Args:
        name: Name of the argument.
        values: Those chosen in any order, or None for all.
        choices: Those there are.

    Returns:
        The selection, in the order given.

    Raises:
        ValueError: If one is unknown or given twice, or there is none.

    Example:
        >>> select('bands', ['R', 'B'], ('B', 'G', 'R', 'NIR'))
        ('R', 'B')
    """
    known = tuple(choices)
    if values is None:
        return known
    chosen = (values,) if isinstance(values, str) else tuple(values)
    if not chosen or len(set(chosen)) != len(chosen) or set(chosen) - set(known):
        raise ValueError(
            f'`{name}={list(chosen)}`: choose each at most once from {list(known)}, '
            'and at least one.'
        )
    return chosen


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
            raise not_found(dataset, what_is_there(path), layout.looked_for)
        table = load_table(layout, root, cache, workers)
        if table.empty:
            what = f"'{root}' has the folders of {layout.name}, but no files in them."
            raise not_found(dataset, what, layout.looked_for)
        prefix = os.path.join(root, '')
        for column in (*layout.layers, 'reference'):
            table[column] = (prefix + table[column]).where(table[column] != '', '')
        tables.append(table.assign(root=str(root)))
    if not tables:
        raise not_found(dataset, '`paths` is empty.', layout.looked_for)
    table = pd.concat(tables, ignore_index=True)
    return table.drop_duplicates(['root', layout.group, 'roi', 'patch']).rename(
        columns={'reference': 'filepath'}
    )


def not_found(dataset: GeoDataset, what: str, looked_for: str) -> DatasetNotFoundError:
    """Make the error for data that are not there: what is, and what was looked for."""
    error = DatasetNotFoundError(dataset)
    error.args = (f'{error.args[0]} {what} Looked for {looked_for}.',)
    return error


def what_is_there(path: Path) -> str:
    """Say in words what there is instead of a data set."""
    path = expanded(path)
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
    wanted = [layers] if isinstance(layers, str) else layers
    chosen = select('layers', dict.fromkeys(wanted), layout.layers)
    return {name: layer for name, layer in layout.layers.items() if name in chosen}


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
        if name in layers and layout.aligned:
            kinds = table[here & (table['fault'] == '')][['count', 'dtype']]
            for (count, dtype), rows in kinds.groupby(
                ['count', 'dtype']
            ).groups.items():
                fault = type_fault(int(count), dtype, layout.layers[name])
                faults[table.index.get_indexer(rows)] = fault
    faults[:] = without_twins(table, layers, faults)
    faults[(table['filepath'] == '').to_numpy()] = (
        f'has no twin in {" or ".join(map(repr, layout.references))}'
    )
    return list(faults)


def without_twins(
    table: pd.DataFrame, layers: Iterable[str], faults: Iterable[str]
) -> list[str]:
    """Complete the faults of rows by the layers that they lack.

    Args:
        table: One row a chip or scene, with the file of each layer or ''.
        layers: Layers that are needed.
        faults: For each row what is known already, '' if nothing.

    Returns:
        For each row the fault in words, '' if none.
    """
    result = list(faults)
    for name in layers:
        for row in np.flatnonzero(table[name] == ''):
            result[row] = f'has no twin in {name!r}'
    return result


def leave_out(
    table: pd.DataFrame,
    faults: Sequence[str],
    missing: Missing,
    what: str = 'chips',
    verifiable: bool = False,
    option: str = 'missing',
) -> pd.DataFrame:
    """Leave out the rows that cannot be used, and say so once.

    Args:
        table: One row a chip or scene, with a column ``filepath``.
        faults: Why each cannot be used, '' if it can.
        missing: ``'skip'`` to leave them out, ``'error'`` to raise.
        what: What the rows are, for the warning.
        verifiable: Whether ``torchgeo-tdpcr verify`` lists such faults.
        option: The argument that leaves them out, for the warning.

    Returns:
        The rows that can be used.

    Raises:
        CorruptChipError: If one cannot and *missing* is ``'error'``.
    """
    reasons: dict[str, list[str]] = {}
    for path, fault in zip(table['filepath'], faults, strict=True):
        if fault:
            reasons.setdefault(fault, []).append(path)
    if not reasons:
        return table
    if missing == 'error':
        fault, paths = next(iter(reasons.items()))
        raise CorruptChipError(paths[0], fault, verifiable)
    kept = table[[not fault for fault in faults]]
    left = len(table) - len(kept)
    told = '; '.join(
        f"'{paths[0]}' {fault} ({len(paths)} like it)"
        for fault, paths in reasons.items()
    )
    whole = 'Run `torchgeo-tdpcr verify` for the whole list, or pass '
    warnings.warn(
        f'{left} of {len(table)} {what} are left out, for instance {told}. '
        f"{whole if verifiable else 'Pass '}`{option}='error'` to stop here.",
        UserWarning,
        stacklevel=3,
    )
    return kept


def named_files(table: pd.DataFrame, layout: Layout) -> pd.Series:
    """Return a file of each chip, also of those that have no reference."""
    columns = ['filepath', *layout.layers]
    return table[columns].replace('', pd.NA).bfill(axis=1).iloc[:, 0]
