# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Writing a figure whole or not at all."""

from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ..files import replacing


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
