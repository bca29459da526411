# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A form in which people hold Sentinel data: how it is told, and what it means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Form[T]:
    """A form of file or folder. Readers walk a table of them; the first that fits reads.

    The texts are those of the documentation, so that it says what readers do.

    Args:
        key: Short name, which products carry.
        title: What people call it.
        told: How it is told from others.
        bands: What tells which band is which, and their order.
        scale: What tells what a number means.
        offset: What tells what is on top of numbers.
        missing: Which pixels are missing, besides what files declare.
        fits: Tells by a path whether it is of this form; no pixels are read.
        read: Reads what is at a path; further arguments are those of its table.
    """

    key: str
    title: str
    told: str
    bands: str
    scale: str
    offset: str
    missing: str
    fits: Callable[[Path], bool]
    read: Callable[..., T]

    def row(self) -> tuple[str, ...]:
        """Cells of the form in a table of the documentation."""
        return (
            self.title,
            self.told,
            self.bands,
            self.scale,
            self.offset,
            self.missing,
        )


def reading_form[T](forms: tuple[Form[T], ...], path: Path) -> Form[T]:
    """Find the form of a path.

    Args:
        forms: The table, of which the last fits everything.
        path: The path.

    Returns:
        The first form that fits.
    """
    return next(form for form in forms if form.fits(path))


def title_of(forms: tuple[Form[Any], ...], key: str) -> str:
    """What people call the form with a key; the key itself where there is none."""
    return next((form.title for form in forms if form.key == key), key)


def table(forms: tuple[Form[Any], ...]) -> str:
    """A table of forms in Markdown.

    Args:
        forms: The forms.

    Returns:
        The lines.
    """
    head = ('Form', 'Told by', 'Bands and order', 'Scale', 'Offset', 'Missing')
    return markdown(head, [form.row() for form in forms])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table in Markdown.

    Args:
        head: Names of the columns.
        rows: Cells, as many a row.

    Returns:
        The lines.
    """
    lines = [head, ('---',) * len(head), *rows]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)
