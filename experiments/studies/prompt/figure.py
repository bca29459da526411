# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A picture of prompt and SAR weight beside the thickness of cloud."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray

from torchgeo_tdpcr.files import replacing

from ..trained import TrainedRun, chips_of, data_module, load_task
from .features import PROMPT, collect, feature_maps

#: Bins of equally many cloudy pixels.
BINS = 12


def binned(
    thickness: NDArray[Any], values: NDArray[Any], bins: int = BINS
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Medians of some values by thickness of cloud.

    Args:
        thickness: N, from 0.
        values: N.
        bins: Bins of equally many pixels with cloud; those without have their own.

    Returns:
        The median thickness of each bin that has a pixel, and that of the values.
    """
    edges = np.quantile(thickness[thickness > 0], np.linspace(0, 1, bins + 1)[1:-1])
    number = np.where(thickness > 0, 1 + np.searchsorted(edges, thickness), 0)
    groups = [number == i for i in range(bins + 1) if (number == i).any()]
    return (
        np.array([np.median(thickness[group]) for group in groups]),
        np.array([np.median(values[group]) for group in groups]),
    )


def _rising(values: NDArray[Any], thickness: NDArray[Any]) -> NDArray[Any]:
    """Values in deviations from their mean, turned so that they rise with thickness."""
    standard = (values - values.mean()) / max(values.std(), 1e-12)
    return standard if np.cov(standard, thickness)[0, 1] >= 0 else -standard


def figure(runs: Sequence[tuple[TrainedRun, int]], limit: int, device: str) -> Figure:
    """Draw a chip, and the curves of all runs.

    Args:
        runs: Runs, each with the number of its strongest prompt channel. The chip is
            drawn for the first.
        limit: Most chips to read.
        device: Where to run the models.

    Returns:
        The figure.
    """
    fig = plt.figure(figsize=(11, 6.2), layout='constrained')
    grid = fig.add_gridspec(2, 4)
    prompts, weights = fig.add_subplot(grid[1, :2]), fig.add_subplot(grid[1, 2:])
    for number, (run, channel) in enumerate(runs):
        model, chips = load_task(run, device).model, chips_of(run, 'test', limit)
        pixels = collect(model, chips.batches)
        label = f'{run.name}, seed {run.seed}'
        prompt = pixels[PROMPT]
        assert prompt.thickness is not None
        strongest = _rising(prompt.features[:, channel], prompt.thickness)
        prompts.plot(*binned(prompt.thickness, strongest), marker='.', label=label)
        finest = pixels.get('1')
        if finest is not None and finest.thickness is not None:
            curve = binned(finest.thickness, finest.features.mean(1))
            weights.plot(*curve, marker='.', label=label)
        if not number:
            axes = [fig.add_subplot(grid[0, i]) for i in range(4)]
            _draw_chip(axes, run, model, chips.batches, channel)
    prompts.set(ylabel='strongest prompt channel (standard units)')
    weights.set(ylabel='mean weight of SAR, stage 1')
    for ax in (prompts, weights):
        ax.set(xlabel='optical thickness of cloud (median of the bin)', xscale='symlog')
    prompts.legend(fontsize='small')
    return fig


def _draw_chip(
    axes: Any, run: TrainedRun, model: Any, batches: Any, channel: int
) -> None:
    """Draw the chip whose cloud cover is closest to a half."""
    cover = [
        batch['mask_cloud'].float().mean((1, 2)).sub(0.5).abs() for batch in batches
    ]
    which = int(np.argmin([float(part.min()) for part in cover]))
    chip = {
        key: value[int(cover[which].argmin())][None]
        for key, value in batches[which].items()
    }
    maps = feature_maps(model, chip)
    names = list(data_module(run.settings).kwargs['bands'] or ())
    rgb = [names.index(band) for band in ('B4', 'B3', 'B2')] if names else [3, 2, 1]
    colours = (chip['image'][0, rgb] / 0.35).clip(0, 1).permute(1, 2, 0)
    panels = [('cloudy', colours.numpy()), ('thickness', chip['image_thickness'][0, 0])]
    panels.append((f'prompt, channel {channel}', maps[PROMPT][0, channel]))
    if '1' in maps:
        panels.append(('mean weight of SAR, stage 1', maps['1'][0].mean(0)))
    for ax, (title, picture) in zip(axes, panels, strict=False):
        ax.imshow(np.asarray(picture), cmap='magma')
        ax.set_title(title, fontsize='medium')
    axes[0].set_title(f'cloudy ({run.name}, seed {run.seed})', fontsize='medium')
    for ax in axes:
        ax.set_axis_off()


def draw(
    runs: Sequence[tuple[TrainedRun, int]], limit: int, device: str, out: Path
) -> None:
    """Draw :func:`figure`, and write it.

    Args:
        runs: See there.
        limit: See there.
        device: See there.
        out: JPEG file to write.
    """
    fig = figure(runs, limit, device)
    with replacing(out) as part:
        fig.savefig(part, format='jpg', dpi=80, pil_kwargs={'quality': 85})
    plt.close(fig)
