# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Pairs as a table tells them."""

import csv
from os import PathLike
from pathlib import Path

from ..common import SceneError
from ..formats.naming import product_name
from .pairs import ScenePair, uniquely_named

_REQUIRED = ('s2', 's1')
_COLUMNS = (*_REQUIRED, 'cloud_mask', 'name')


def read_pairs(csv_path: str | PathLike[str]) -> list[ScenePair]:
    r"""Read pairs from a table.

    Args:
        csv_path: CSV file with the columns ``s2`` and ``s1``, and optionally
            ``cloud_mask`` and ``name``. Paths are relative to the file. Names that are
            left out are those of the Sentinel-2 products.

    Returns:
        A pair for each row.

    Raises:
        SceneError: If the table is malformed, or names files that do not exist.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     for name in ('S2_T32TQM.tif', 's1.tif'):
        ...         Path(folder, name).touch()
        ...     table = Path(folder, 'pairs.csv')
        ...     _ = table.write_text('s2,s1\nS2_T32TQM.tif,s1.tif')
        ...     [pair.name for pair in read_pairs(table)]
        ['S2_T32TQM']
    """
    csv_path = Path(csv_path)
    try:
        with csv_path.open(encoding='utf-8-sig', newline='') as file:
            table = csv.DictReader(file, skipinitialspace=True)
            columns = [column.strip() for column in table.fieldnames or ()]
            table.fieldnames = columns
            rows = [(table.line_num, row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SceneError(csv_path, f'cannot be read ({error}).') from error
    missing = [column for column in _REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in _COLUMNS]
    if missing or unknown:
        what = (
            f'has no column {missing[0]}' if missing else f'has a column {unknown[0]!r}'
        )
        raise SceneError(csv_path, f'{what}. Columns are {", ".join(_COLUMNS)}.')
    if not rows:
        raise SceneError(csv_path, 'has no rows.')
    return uniquely_named(csv_path, [_pair(csv_path, *row) for row in rows])


def _pair(
    csv_path: Path, line: int, row: dict[str, str | list[str] | None]
) -> ScenePair:
    texts = {
        key: text.strip() for key, text in row.items() if isinstance(text, str) and key
    }
    if None in row:
        raise SceneError(csv_path, f'row {line} has more fields than columns.')
    paths: dict[str, Path] = {}
    for column in _COLUMNS[:3]:
        if not texts.get(column):
            if column in _REQUIRED:
                raise SceneError(csv_path, f'row {line} has no {column}.')
            continue
        path = csv_path.parent / texts[column]
        if not path.exists():
            raise SceneError(
                csv_path,
                f"row {line}: {column} '{path}' does not exist. Paths are relative to "
                'the table.',
            )
        paths[column] = path
    name = texts.get('name') or product_name(paths['s2'])
    if name in ('.', '..') or set(name) & set('/\\'):
        raise SceneError(
            csv_path, f'row {line}: the name {name!r} cannot be that of a folder.'
        )
    return ScenePair(name, paths['s2'], paths['s1'], paths.get('cloud_mask'))
