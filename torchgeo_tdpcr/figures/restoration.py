# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Fig. 3 of the paper: cloudy image, radar, what each model made of them, truth."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torchgeo.datasets.utils import Sample

from ..datasets.plotting import panel_figure, rgb_picture, sar_picture
from ..metrics.functional import restoration_scores
from ..transforms.bands import QUANTIFICATION

#: Titles of the columns that are no model's.
COLUMNS = frozenset({'Cloudy', 'Radar', 'Clear', 'Cloud and shadow', 'Truth'})


def plot_restoration(
    samples: Sequence[Sample],
    reconstructions: Mapping[str, Sequence[Tensor]],
    rgb: Sequence[int] = (3, 2, 1),
    row_titles: Sequence[str] = (),
    scores: bool = True,
) -> Figure:
    """Compare models on some samples, a row each.

    Args:
        samples: Samples before normalisation: ``image`` (C×H×W digital numbers, offset
            removed) and, where present, ``image_sar`` (dB) and ``image_clear``.
        reconstructions: What each model made of them by its name, one C×H×W in digital
            numbers for each sample.
        rgb: Which of the C bands are red, green and blue.
        row_titles: What to write at the left of each row.
        scores: Whether to write PSNR and SSIM below what can be compared with a clear
            image, both within the digital numbers 0 to 10,000 of all C bands.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no samples, or a model has not one image for each.

    Example:
        >>> import torch
        >>> sample = {'image': torch.full((13, 16, 16), 5000.0)}
        >>> figure = plot_restoration([sample], {'TDP-CR': [sample['image'] / 2]})
        >>> [ax.get_title() for ax in figure.axes]
        ['Cloudy', 'TDP-CR']
    """
    check_counts(samples, reconstructions, row_titles)
    rows: list[dict[str, NDArray[np.float32]]] = []
    notes: list[dict[str, str]] = []
    for i, sample in enumerate(samples):
        images = {name: made[i] for name, made in reconstructions.items()}
        row = {'Cloudy': rgb_picture(sample['image'], rgb)}
        if 'image_sar' in sample:
            row['Radar'] = sar_picture(sample['image_sar'])
        row |= {name: rgb_picture(image, rgb) for name, image in images.items()}
        notes.append({})
        if 'image_clear' in sample:
            clear = sample['image_clear']
            row['Clear'] = rgb_picture(clear, rgb)
            if scores:
                compared = {'Cloudy': sample['image'], **images}
                notes[-1] = {k: _scores(v, clear) for k, v in compared.items()}
        rows.append(row)
    fig, axes = panel_figure(rows, row_titles)
    for drawn, texts in zip(axes, notes, strict=True):
        for title, text in texts.items():
            drawn[title].set_xlabel(text, fontsize='small')
    return fig


def check_counts(
    samples: Sequence[Sample],
    made: Mapping[str, Sequence[Tensor]],
    row_titles: Sequence[str] = (),
) -> None:
    """Check that there is something of each model for every sample.

    Args:
        samples: The samples.
        made: What models made of them by their names.
        row_titles: Titles of the rows, or none.

    Raises:
        ValueError: If there are no samples, a number differs from theirs, or a model
            has the title of another column.
    """
    if not samples:
        raise ValueError('`samples` is empty, so there is nothing to draw.')
    if taken := sorted(COLUMNS & set(made)):
        raise ValueError(
            f'{taken[0]!r} cannot be the name of a model: a column of the figure has '
            'that title. Choose another.'
        )
    lengths = {name: len(values) for name, values in made.items()}
    if row_titles:
        lengths['row_titles'] = len(row_titles)
    for name, length in lengths.items():
        if length != len(samples):
            raise ValueError(
                f'{name!r} has {length} items for {len(samples)} samples; give one for '
                'each.'
            )


def _scores(image: Tensor, clear: Tensor) -> str:
    """PSNR and SSIM of an image in words."""
    scaled = [
        (value.float().cpu() / QUANTIFICATION).clamp(0, 1)[None]
        for value in (image, clear)
    ]
    scores = restoration_scores(scaled[0], scaled[1])
    return f'{scores["psnr"].item():.2f} dB, SSIM {scores["ssim"].item():.3f}'
