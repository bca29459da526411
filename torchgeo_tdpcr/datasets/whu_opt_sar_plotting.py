# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Pictures of a chip of WHU-OPT-SAR, whose radar has one band and is not in dB."""

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torchgeo.datasets.utils import Sample

from .plotting import (
    RGB_RANGE,
    add_legend,
    class_colours,
    grey_picture,
    heat_picture,
    land_cover_picture,
    panel_figure,
    prompt_pictures,
    rgb_picture,
)


def plot_chip(
    sample: Sample,
    rgb: Sequence[int],
    limits: tuple[float, float],
    class_names: Sequence[str],
    show_titles: bool = True,
    suptitle: str | None = None,
) -> Figure:
    """Draw every layer of a sample that there is, side by side.

    Args:
        sample: A sample before normalisation.
        rgb: Which bands are red, green and blue.
        limits: Largest digital number of the optical and of the SAR image: drawn white.
        class_names: Names of the classes, for a legend.
        show_titles: Whether to write above each panel what it shows.
        suptitle: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If the sample has nothing to draw.
    """
    colours = class_colours(len(class_names))

    def optical(value: Tensor) -> NDArray:
        return rgb_picture(value * (RGB_RANGE[1] / limits[0]), rgb)

    def land_cover(value: Tensor) -> NDArray:
        return land_cover_picture(value, colours)

    panels: dict[str, tuple[str, Callable[[Tensor], NDArray]]] = {
        'image': ('Cloudy', optical),
        'image_sar': ('Radar', lambda value: grey_picture(value / limits[1])),
        'reconstruction': ('Reconstruction', optical),
        'image_clear': ('Clear', optical),
        'mask': ('Land use', land_cover),
        'prediction': ('Predicted land use', land_cover),
        'mask_cloud': ('Cloud and shadow', grey_picture),
        'image_thickness': ('Optical thickness', heat_picture),
        'prompt': ('Prompt (principal components)', lambda p: prompt_pictures([p])[0]),
    }
    keys = [key for key in panels if key in sample]
    if not keys:
        raise ValueError(
            f'`sample` has none of the keys {list(panels)}, so there is nothing to '
            f'draw. It has {list(sample)}.'
        )
    row = {panels[key][0]: panels[key][1](sample[key]) for key in keys}
    figure, _ = panel_figure([row], show_titles=show_titles, suptitle=suptitle)
    shown = {
        int(number)
        for key in ('mask', 'prediction')
        if key in sample
        for number in sample[key].unique()
        if number < len(class_names)
    }
    add_legend(figure, {class_names[i]: colours[i] for i in sorted(shown)})
    return figure
