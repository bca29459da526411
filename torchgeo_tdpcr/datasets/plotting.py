# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Pictures of a sample: optical, radar, cloud, land cover, and what a model made."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torchgeo.datasets.utils import Sample

from .reading import IGNORE_INDEX

#: Digital numbers (offset removed) drawn black and white.
RGB_RANGE = (0.0, 3500.0)

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
    return stretch(np.moveaxis(array, 0, -1), *RGB_RANGE)


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


def prompt_picture(prompt: Tensor) -> NDArray[np.float32]:
    """Draw the first three principal components of a prompt as colours.

    Args:
        prompt: C×H×W.

    Returns:
        H×W×3 in 0 to 1, each component from its 2nd to its 98th percentile. The sign of
        a component, which is arbitrary, is such that its largest loading is positive.
    """
    flat = prompt.detach().float().cpu().flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    _, vectors = torch.linalg.eigh(flat @ flat.T)
    axes = vectors.flip(1)[:, :3]
    largest = axes.abs().argmax(dim=0, keepdim=True)
    axes = axes * axes.gather(0, largest).sign()
    parts = (axes.T @ flat).reshape(-1, *prompt.shape[-2:]).numpy()
    picture = np.zeros((*prompt.shape[-2:], 3), dtype=np.float32)
    for channel, part in enumerate(parts):
        low, high = np.percentile(part, (2, 98))
        if high > low:
            picture[..., channel] = stretch(part, low, high)
    return picture


def plot_sample(
    sample: Sample,
    rgb: Sequence[int],
    num_classes: int,
    class_names: Sequence[str] = (),
    show_titles: bool = True,
    suptitle: str | None = None,
) -> Figure:
    """Draw every layer of a sample that there is, side by side.

    Args:
        sample: A sample before normalisation.
        rgb: Which bands are red, green and blue.
        num_classes: Number of land-cover classes.
        class_names: Their names, for a legend.
        show_titles: Whether to write above each panel what it shows.
        suptitle: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If the sample has nothing to draw.
    """
    colours = ListedColormap(colormaps['tab20'](np.arange(num_classes) % 20))

    def optical(ax: Axes, value: Tensor) -> None:
        ax.imshow(rgb_picture(value, rgb))

    def radar(ax: Axes, value: Tensor) -> None:
        ax.imshow(sar_picture(value))

    def land_cover(ax: Axes, value: Tensor) -> None:
        labels = value.squeeze().cpu().numpy()
        shown = np.ma.masked_equal(labels, IGNORE_INDEX)
        ax.set_facecolor('white')
        ax.imshow(shown, cmap=colours, vmin=-0.5, vmax=num_classes - 0.5)
        labels_shown = np.unique(shown.compressed())
        if class_names and labels_shown.size:
            for label in labels_shown:
                ax.scatter([], [], color=colours(int(label)), label=class_names[label])
            ax.legend(fontsize='x-small', loc='lower right')

    def cloud(ax: Axes, value: Tensor) -> None:
        ax.imshow(value.squeeze().cpu().numpy(), cmap='gray', vmin=0, vmax=1)

    def thickness(ax: Axes, value: Tensor) -> None:
        ax.imshow(value.squeeze().cpu().numpy(), cmap='magma', vmin=0)

    def prompt(ax: Axes, value: Tensor) -> None:
        ax.imshow(prompt_picture(value))

    panels: dict[str, tuple[str, Callable[[Axes, Tensor], None]]] = {
        'image': ('Cloudy', optical),
        'image_sar': ('Radar (VV, VH, VV − VH)', radar),
        'reconstruction': ('Reconstruction', optical),
        'image_clear': ('Clear', optical),
        'mask': ('Land cover', land_cover),
        'prediction': ('Predicted land cover', land_cover),
        'mask_cloud': ('Cloud and shadow', cloud),
        'image_thickness': ('Optical thickness', thickness),
        'prompt': ('Prompt (principal components)', prompt),
    }
    keys = [key for key in panels if key in sample]
    if not keys:
        raise ValueError(
            f'`sample` has none of the keys {list(panels)}, so there is nothing to '
            f'draw. It has {list(sample)}.'
        )
    fig, axes = plt.subplots(
        1, len(keys), figsize=(3 * len(keys), 3.4), squeeze=False, layout='constrained'
    )
    for ax, key in zip(axes[0], keys, strict=True):
        title, draw = panels[key]
        draw(ax, sample[key])
        ax.set(xticks=[], yticks=[])
        if show_titles:
            ax.set_title(title)
    if suptitle is not None:
        fig.suptitle(suptitle)
    return fig
