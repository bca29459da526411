# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Pictures of a sample: optical, radar, cloud, land cover, and what a model made."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from torch import Tensor
from torchgeo.datasets.utils import Sample

from .chips.reading import IGNORE_INDEX

#: H×W×3 in 0 to 1.
Picture = NDArray[np.float32]

#: Digital numbers (offset removed) drawn black and white.
RGB_RANGE = (150.0, 3000.0)

#: Exponent between them. Land is dark beside clouds, and would be black in a page.
RGB_GAMMA = 0.65

#: Colours of classes that have one by custom; others get those of ``tab20``.
CLASS_COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        'water': (65, 155, 223),
        'trees': (57, 125, 73),
        'forest': (57, 125, 73),
        'grass': (136, 176, 83),
        'rangeland': (200, 190, 110),
        'wetland': (122, 135, 198),
        'crops': (228, 150, 53),
        'cropland': (228, 150, 53),
        'shrub': (190, 170, 80),
        'built': (196, 40, 27),
        'bare': (165, 155, 143),
        'snow': (179, 159, 225),
    }
)

#: Backscatter in dB drawn black and white: VV, VH, and VV minus VH.
SAR_RANGES = ((-25.0, 0.0), (-32.5, -5.0), (0.0, 15.0))


def stretch(array: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Map *low* to 0 and *high* to 1, and clip."""
    return ((array - low) / (high - low)).clip(0, 1)


def rgb_picture(image: Tensor, rgb: Sequence[int]) -> NDArray[np.float32]:
    """Draw digital numbers as colours.

    Args:
        image: C×H×W digital numbers, offset removed.
        rgb: Which of the C bands are red, green and blue.

    Returns:
        H×W×3 in 0 to 1.
    """
    array = image[list(rgb)].float().cpu().numpy()
    picture: Picture = stretch(np.moveaxis(array, 0, -1), *RGB_RANGE) ** RGB_GAMMA
    return picture


def sar_picture(image: Tensor) -> NDArray[np.float32]:
    """Draw backscatter as colours: VV red, VH green, their difference blue.

    Args:
        image: 2×H×W, VV and VH in dB.

    Returns:
        H×W×3 in 0 to 1.
    """
    vv, vh = image.float().cpu().numpy()
    channels = zip((vv, vh, vv - vh), SAR_RANGES, strict=True)
    return np.stack([stretch(array, *limits) for array, limits in channels], axis=-1)


def prompt_pictures(prompts: Sequence[Tensor]) -> list[NDArray[np.float32]]:
    """Draw the first three principal components of some prompts as colours.

    The components and their ranges are those of all the prompts together, so that a
    colour means the same in every picture.

    Args:
        prompts: C×H×W each, of one C; heights and widths may differ.

    Returns:
        H×W×3 in 0 to 1 for each, every component from its 2nd to its 98th percentile.
        The sign of a component, which is arbitrary, is such that its largest loading is
        positive.

    Raises:
        ValueError: If the prompts differ in their number of channels.
    """
    flats = [prompt.detach().float().cpu().flatten(1) for prompt in prompts]
    if len({len(flat) for flat in flats}) > 1:
        raise ValueError(
            f'`prompts` have {[len(flat) for flat in flats]} channels; draw only '
            'prompts of one model together.'
        )
    flat = torch.cat(flats, dim=1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    _, vectors = torch.linalg.eigh(flat @ flat.T)
    axes = vectors.flip(1)[:, :3]
    largest = axes.abs().argmax(dim=0, keepdim=True)
    axes = axes * axes.gather(0, largest).sign()
    picture = np.zeros((flat.shape[1], 3), dtype=np.float32)
    for channel, part in enumerate((axes.T @ flat).numpy()):
        low, high = np.percentile(part, (2, 98))
        if high > low:
            picture[:, channel] = stretch(part, low, high)
    ends = np.cumsum([flat.shape[1] for flat in flats])[:-1]
    return [
        part.reshape(*prompt.shape[-2:], 3)
        for part, prompt in zip(np.split(picture, ends), prompts, strict=True)
    ]


def class_colour(name: str, number: int) -> tuple[int, int, int]:
    """Return the colour of a land-cover class, the same in every picture and file.

    Args:
        name: Name of the class.
        number: Its number, which decides where the name has no colour of its own; from
            the 21st class on, these colours repeat.

    Returns:
        Red, green and blue, 0 to 255.

    Example:
        >>> class_colour('water', 3), class_colour('class 0', 0)
        ((65, 155, 223), (31, 119, 180))
    """
    if name in CLASS_COLOURS:
        return CLASS_COLOURS[name]
    red, green, blue = (
        round(255 * part) for part in colormaps['tab20'](number % 20)[:3]
    )
    return red, green, blue


def class_colours(names: Sequence[str]) -> NDArray[np.float32]:
    """Return the colours of all land-cover classes, see :func:`class_colour`.

    Args:
        names: Names of the classes in the order of their numbers.

    Returns:
        One row a class, red, green and blue in 0 to 1.
    """
    colours = [class_colour(name, number) for number, name in enumerate(names)]
    return np.array(colours, dtype=np.float32).reshape(-1, 3) / np.float32(255)


def land_cover_picture(
    labels: Tensor, colours: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Draw land cover, white where there is no label.

    Args:
        labels: H×W class indices, or 1×H×W; those without a colour count as no label.
        colours: Colour of each class, as :func:`class_colours` returns them.

    Returns:
        H×W×3 in 0 to 1.
    """
    table = np.ones((IGNORE_INDEX + 1, 3), dtype=np.float32)
    table[: len(colours)] = colours
    indices: NDArray[np.float32] = table[labels.squeeze().cpu().numpy()]
    return indices


def grey_picture(values: Tensor) -> NDArray[np.float32]:
    """Draw 0 black and 1 white, such as cloud white.

    Args:
        values: H×W, or 1×H×W.

    Returns:
        H×W×3 in 0 to 1.
    """
    grey = values.squeeze().float().cpu().numpy().clip(0, 1)
    return np.repeat(grey[..., None], 3, axis=-1)


def heat_picture(values: Tensor, high: float | None = None) -> NDArray[np.float32]:
    """Draw amounts, from black for none to bright yellow.

    Args:
        values: H×W, or 1×H×W, such as the optical thickness of cloud.
        high: Amount drawn brightest (defaults to the largest).

    Returns:
        H×W×3 in 0 to 1.
    """
    amounts = values.squeeze().float().cpu().numpy()
    high = float(amounts.max()) if high is None else high
    colours = colormaps['magma'](stretch(amounts, 0, max(high, 1e-6)))
    return np.asarray(colours[..., :3], dtype=np.float32)


def panel_figure(
    rows: Sequence[Mapping[str, NDArray[np.float32]]],
    row_titles: Sequence[str] = (),
    show_titles: bool = True,
    suptitle: str | None = None,
) -> tuple[Figure, list[dict[str, Axes]]]:
    """Draw rows of pictures, each picture in the column of its title.

    Args:
        rows: Pictures by title, H×W×3 in 0 to 1. Columns are in the order in which
            titles first occur; where a row lacks one its place is empty.
        row_titles: What to write at the left of each row.
        show_titles: Whether to write the titles above the first row.
        suptitle: Title of the figure.

    Returns:
        The figure, and the axes of each row by title.
    """
    columns = list(dict.fromkeys(title for row in rows for title in row))
    fig, grid = plt.subplots(
        len(rows),
        len(columns),
        # As high as titles and a legend take, so that the panels are as wide as can be
        figsize=(3 * len(columns), 3.1 * len(rows) + 0.7),
        squeeze=False,
        layout='constrained',
    )
    drawn: list[dict[str, Axes]] = []
    for i, row in enumerate(rows):
        drawn.append({})
        for ax, title in zip(grid[i], columns, strict=True):
            ax.set(xticks=[], yticks=[])
            if title in row:
                ax.imshow(row[title])
                drawn[-1][title] = ax
            else:
                ax.set_frame_on(False)
            if show_titles and not i:
                ax.set_title(title)
        if row_titles:
            grid[i, 0].set_ylabel(row_titles[i])
    if suptitle is not None:
        # Names of files may hold dollar signs, which would start a formula.
        fig.suptitle(suptitle, parse_math=False)
    return fig, drawn


def add_legend(figure: Figure, colours: Mapping[str, Any]) -> None:
    """Write below a figure what its colours mean.

    Args:
        figure: The figure.
        colours: Colour of each name; nothing is written if there is none.
    """
    if not colours:
        return
    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    legend = figure.legend(
        handles=handles, loc='outside lower center', ncols=min(8, len(handles))
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def plot_sample(
    sample: Sample,
    rgb: Sequence[int],
    class_names: Sequence[str],
    optical_white: float = RGB_RANGE[1],
    sar_white: float | None = None,
    show_titles: bool = True,
    suptitle: str | None = None,
) -> Figure:
    """Draw every layer of a sample that there is, side by side.

    Args:
        sample: A sample before normalisation.
        rgb: Which bands are red, green and blue.
        class_names: Names of the land-cover classes, for colours and a legend.
        optical_white: Digital number of the optical images that is drawn white.
        sar_white: Number of the one SAR band that is drawn white; None where there are
            VV and VH in dB.
        show_titles: Whether to write above each panel what it shows.
        suptitle: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If the sample has nothing to draw.
    """
    colours = class_colours(class_names)

    def optical(value: Tensor) -> Picture:
        return rgb_picture(value * (RGB_RANGE[1] / optical_white), rgb)

    def sar(value: Tensor) -> Picture:
        return (
            sar_picture(value) if sar_white is None else grey_picture(value / sar_white)
        )

    def land_cover(value: Tensor) -> Picture:
        return land_cover_picture(value, colours)

    panels: dict[str, tuple[str, Callable[[Tensor], Picture]]] = {
        'image': ('Cloudy', optical),
        'image_sar': ('Radar (VV, VH, VV − VH)' if sar_white is None else 'Radar', sar),
        'reconstruction': ('Reconstruction', optical),
        'image_clear': ('Clear', optical),
        'mask': ('Land cover', land_cover),
        'prediction': ('Predicted land cover', land_cover),
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
    maps = [
        sample[key].flatten().cpu() for key in ('mask', 'prediction') if key in sample
    ]
    numbers = torch.cat(maps).tolist() if maps else []
    shown = set(numbers) & set(range(len(class_names)))
    add_legend(figure, {class_names[i]: colours[i] for i in sorted(shown)})
    return figure
