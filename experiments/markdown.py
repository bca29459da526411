# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tables in Markdown, their cells, and pages of them."""

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torchgeo_tdpcr.files import write_text


def cell(values: Iterable[float | None], digits: int = 2) -> str:
    """Write a mean and a standard deviation.

    Args:
        values: One value a seed; None where there is none.
        digits: Digits after the point.

    Returns:
        Such as ``'26.50 ± 0.12'``, the deviation being that of a sample, and only where
        there are two values or more; a dash where there is none.
    """
    found = [value for value in values if value is not None]
    if not found:
        return '–'
    text = f'{statistics.mean(found):.{digits}f}'
    if len(found) > 1:
        text += f' ± {statistics.stdev(found):.{digits}f}'
    return text


def table(header: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> str:
    """Write a table.

    Args:
        header: Titles of the columns.
        rows: Cells of each row.
        names: Number of columns at the left that are words, not figures.

    Returns:
        Markdown, without a line break at its end.
    """
    rule = ['---'] * names + ['---:'] * (len(header) - names)
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in (header, rule, *rows))


def write_page(out: Path, text: str, results: Any) -> None:
    """Write a page, and beside it what it was made from.

    Args:
        out: The page; the other file has the suffix ``.json``.
        text: Markdown.
        results: What goes into JSON.
    """
    write_text(out, text)
    write_text(out.with_suffix('.json'), json.dumps(results, indent=1) + '\n')
