# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Writing a file whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of a file when all went well.

    Args:
        path: The file; its folder is made if need be.

    Yields:
        The temporary file, in the same folder and with the same suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.stem}-{os.getpid()}{path.suffix}')
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def save_figure(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write a figure and close it.

    Args:
        figure: The figure.
        path: File; its suffix is the format, such as ``.png`` or ``.pdf``.
        dpi: Resolution.
    """
    with replacing(path) as part:
        figure.savefig(part, dpi=dpi, bbox_inches='tight')
    plt.close(figure)
