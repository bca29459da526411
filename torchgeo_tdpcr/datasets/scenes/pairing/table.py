# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Pairs as a table tells them."""

import csv
import io
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import cast

from ....files import expanded
from ....kinds import MASK_WORDS, MaskWord
from ...sources import fault_of_place
from ..common import SceneError
from ..formats.naming import name_fault, product_name
from .pairs import OtherProduct, ScenePair, uniquely_named

_REQUIRED = ('s2', 's1')
_COLUMNS = (*_REQUIRED, 'cloud_mask', 'name', 'other_dates')

#: What stands between slices of Sentinel-1, dates, and their masks.
_BETWEEN = '|'

#: What spreadsheets and people put between fields.
_DELIMITERS = (',', ';', '\t')


def read_pairs(csv_path: str | PathLike[str]) -> list[ScenePair]:
    r"""Read pairs from a table.

    Args:
        csv_path: CSV file with the columns ``s2`` and ``s1``, and optionally
            ``cloud_mask``, ``name`` and ``other_dates``, in capitals or not, with
            commas, semicolons or tabs between them. Paths are relative to the file.
            Under ``s1`` there may be several with ``|`` between them: slices that cover
            the product together, of which the first that has a pixel is taken. So there
            may be of ``other_dates``, products of other days whose clear pixels stand
            for cloudy ones; then ``cloud_mask`` may have one for each date. It may also
            be ``product`` or ``auto``, see :class:`.ScenePair`. Names that are left out
            are those of the Sentinel-2 products.

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
        ...     _ = table.write_text('S2;S1\nS2_T32TQM.tif;s1.tif')
        ...     [pair.name for pair in read_pairs(table)]
        ['S2_T32TQM']
    """
    csv_path = expanded(csv_path)
    columns, rows = _read(csv_path)
    missing = [column for column in _REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in _COLUMNS]
    twice = [column for column in columns if columns.count(column) > 1]
    if missing or unknown or twice:
        if missing:
            what = f'has no column {missing[0]}'
        elif unknown:
            what = f'has a column {unknown[0]!r}'
        else:
            what = f'has the column {twice[0]} twice'
        raise SceneError(
            csv_path,
            f'{what}: its first row is read as {columns}. Columns are '
            f'{", ".join(_COLUMNS)}, with commas, semicolons or tabs between them.',
        )
    if not rows:
        raise SceneError(csv_path, 'has no rows.')
    return uniquely_named(
        csv_path, [_pair(csv_path, line, columns, row) for line, row in rows]
    )


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Names of the columns, and rows by the line that they end in; no empty ones."""
    try:
        text = path.read_text(encoding='utf-8-sig')
        lines = io.StringIO(text).readlines()
        first = next((i for i, line in enumerate(lines) if line.strip()), 0)
        # The first line may be Excel's, which tells what stands between fields
        told = lines[first].strip() if lines else ''
        if told[:4].lower() == 'sep=' and len(told) == 5:
            delimiter, first = told[4], first + 1
        else:
            delimiter = max(_DELIMITERS, key=lambda mark: told.count(mark))
        reader = csv.reader(lines[first:], delimiter=delimiter, skipinitialspace=True)
        table = [
            (first + reader.line_num, row) for row in reader if any(map(str.strip, row))
        ]
    except UnicodeDecodeError as error:
        raise SceneError(
            path,
            'is not in UTF-8. Save it as such, which Excel calls CSV UTF-8.',
        ) from error
    except (OSError, ValueError, csv.Error) as error:
        raise SceneError(path, f'cannot be read ({error}).') from error
    if not table:
        return [], []
    columns = [column.strip() for column in table[0][1]]
    known = [column.lower().replace(' ', '_').replace('-', '_') for column in columns]
    return [
        word if word in _COLUMNS else column
        for word, column in zip(known, columns, strict=True)
    ], table[1:]


def _pair(
    csv_path: Path, line: int, columns: Sequence[str], row: Sequence[str]
) -> ScenePair:
    fields = [text.strip() for text in row]
    if any(fields[len(columns) :]):
        raise SceneError(csv_path, f'row {line} has more fields than columns.')
    texts = dict(zip(columns, fields, strict=False))
    parts = {column: _split(csv_path, texts.get(column, '')) for column in _COLUMNS}
    for column in _REQUIRED:
        if not any(parts[column]):
            raise SceneError(csv_path, f'row {line} has no {column}.')
    (s2, *more), (s1, *slices), others = (
        [_path(csv_path, line, column, part) for part in parts[column] if part]
        for column in ('s2', 's1', 'other_dates')
    )
    if more:
        raise SceneError(csv_path, f'row {line} has several s2; see other_dates.')
    masks = _masks(csv_path, line, parts['cloud_mask'], len(others))
    name = texts.get('name') or product_name(s2)
    if fault := name_fault(name):
        raise SceneError(csv_path, f'row {line}: {fault}')
    dates = tuple(map(OtherProduct, others, masks[1:]))
    return ScenePair(name, s2, s1, masks[0], tuple(slices), dates)


def _split(csv_path: Path, text: str) -> list[str]:
    """The parts of a field; a file whose name holds what stands between them is one."""
    # Not Path.exists, to which a long list is an error
    if _BETWEEN not in text or os.path.exists(csv_path.parent / expanded(text)):
        return [text]
    return [part.strip() for part in text.split(_BETWEEN)]


def _masks(
    csv_path: Path, line: int, texts: Sequence[str], count: int
) -> list[Path | MaskWord | None]:
    """Masks of a scene and of its other dates: one for each, or a word for all."""
    masks: list[Path | MaskWord | None] = [
        cast(MaskWord, text.lower())
        if text.lower() in MASK_WORDS
        else _path(csv_path, line, 'cloud_mask', text)
        if text
        else None
        for text in texts
    ]
    if len(masks) > 1 and len(masks) != 1 + count:
        raise SceneError(
            csv_path,
            f'row {line} has {len(masks)} masks for {1 + count} dates. Give one for '
            'each, that of s2 first.',
        )
    if len(masks) == 1:
        masks += [None if isinstance(masks[0], Path) else masks[0]] * count
    return masks


def _path(csv_path: Path, line: int, column: str, text: str) -> Path:
    path = csv_path.parent / expanded(text)
    if fault := fault_of_place(path):
        raise SceneError(
            csv_path,
            f"row {line}: {column} '{path}' {fault} Paths are relative to the table.",
        )
    return path
