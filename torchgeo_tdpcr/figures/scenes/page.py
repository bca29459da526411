# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The pieces of an HTML page that needs no other file; every text in it is escaped."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_STYLE = """
:root { color-scheme: light; --ink: #1d2730; --faint: #66727d; --line: #d9dfe4; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 24px; color: var(--ink);
  background: #fff; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { max-width: 46rem; margin: .4rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; }
dt, figcaption, .note { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
figcaption, .note { font-size: .88rem; }
img { display: block; width: 100%; height: auto; background: #eee; }
figure { margin: 0; }
.row { display: grid; gap: 12px; align-items: start; margin: 0 0 18px;
  grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); }
.slider { position: relative; max-width: 1000px; --cut: 50%; }
.slider .top { position: absolute; inset: 0; height: 100%;
  clip-path: inset(0 calc(100% - var(--cut)) 0 0); }
.slider::after { content: ''; position: absolute; top: 0; bottom: 0; left: var(--cut);
  width: 2px; margin-left: -1px; background: #fff; box-shadow: 0 0 3px #000;
  pointer-events: none; }
.slider input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0;
  opacity: 0; cursor: ew-resize; z-index: 2; }
.slider:focus-within { outline: 3px solid #3b82c4; outline-offset: 2px; }
.slider span { position: absolute; top: 8px; padding: 1px 8px; color: #fff;
  background: #000a; font-size: .85rem; border-radius: 3px; }
table { border-collapse: collapse; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: right;
  font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:first-child { white-space: nowrap; }
th { font-weight: 600; }
.key { display: inline-block; width: .9em; height: .9em; margin-right: .5em;
  vertical-align: -.1em; border: 1px solid #0003; }
@media print { .slider input { display: none; } }
"""

#: Nothing may be loaded from anywhere, whatever the files say.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)


def page(title: str, parts: Iterable[str]) -> str:
    """Return a whole page.

    Args:
        title: Title of the page, plain text.
        parts: HTML of its parts.

    Returns:
        HTML.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        + '\n'.join(parts)
        + '\n</body>\n</html>\n'
    )


def facts(items: Sequence[tuple[str, str]]) -> str:
    """Return a list of names with their values, plain text both."""
    rows = (f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in items)
    return f'<dl>{"".join(rows)}</dl>'


def heading(text: str, level: int = 2) -> str:
    """Return a heading of plain text."""
    return f'<h{level}>{escape(text)}</h{level}>'


def note(text: str) -> str:
    """Return a remark of plain text."""
    return f'<p class="note">{escape(text)}</p>'


def data_uri(picture: NDArray[np.float32], lossless: bool = False) -> str:
    """Encode a picture so that it can stand in a page.

    Args:
        picture: H×W×3 in 0 to 1.
        lossless: Whether to write PNG, for maps of classes, rather than JPEG.

    Returns:
        A ``data:`` URI.

    Example:
        >>> data_uri(np.zeros((2, 2, 3), np.float32), lossless=True)[:22]
        'data:image/png;base64,'
    """
    image = Image.fromarray((picture * 255).round().astype(np.uint8))
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, 'PNG', optimize=True)
    else:
        image.save(buffer, 'JPEG', quality=88)
    kind = 'png' if lossless else 'jpeg'
    return f'data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}'


def figure(picture: NDArray[np.float32], caption: str, lossless: bool = False) -> str:
    """Return a picture with a caption of plain text."""
    text = escape(caption)
    uri = data_uri(picture, lossless)
    return f'<figure><img src="{uri}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def row(figures: Iterable[str]) -> str:
    """Return figures side by side."""
    return f'<div class="row">{"".join(figures)}</div>'


def slider(before: NDArray[np.float32], after: NDArray[np.float32]) -> str:
    """Return two pictures of one size, one over the other, with a line to move.

    Args:
        before: H×W×3 in 0 to 1, left of the line.
        after: The same, right of it.

    Returns:
        HTML; without JavaScript each shows one half.
    """
    return (
        '<div class="slider">'
        f'<img src="{data_uri(after)}" alt="After">'
        f'<img class="top" src="{data_uri(before)}" alt="Before">'
        '<span style="left:8px">Before</span><span style="right:8px">After</span>'
        '<input type="range" min="0" max="100" step="0.1" value="50" '
        'aria-label="How much to show of the image before" '
        "oninput=\"this.parentNode.style.setProperty('--cut', this.value + '%')\">"
        '</div>'
    )


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    colours: Sequence[str] = (),
) -> str:
    """Return a table.

    Args:
        head: Titles of the columns, plain text.
        rows: Cells of each row, plain text.
        colours: Colour of a key before the first cell of each row, such as '#1f77b4'.

    Returns:
        HTML.
    """
    lines = [''.join(f'<th scope="col">{escape(text)}</th>' for text in head)]
    for i, cells in enumerate(rows):
        key = ''
        if colours:
            key = f'<span class="key" style="background:{escape(colours[i])}"></span>'
        texts = [escape(cell) for cell in cells]
        lines.append(
            ''.join(f'<td>{text}</td>' for text in [key + texts[0], *texts[1:]])
        )
    return f'<table>{"".join(f"<tr>{line}</tr>" for line in lines)}</table>'
