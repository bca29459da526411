# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Fig. 4 of the paper: the learned degradation prompts beside the cloudy images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torchgeo.datasets.utils import Sample

from ..datasets.plotting import (
    grey_picture,
    heat_picture,
    panel_figure,
    prompt_pictures,
    rgb_picture,
)
from .restoration import check_counts


def plot_prompts(
    samples: Sequence[Sample],
    prompts: Mapping[str, Sequence[Tensor]],
    rgb: Sequence[int] = (3, 2, 1),
    row_titles: Sequence[str] = (),
) -> Figure:
    """Draw the prompts of some samples, a row each.

    The first three principal components of a prompt are red, green and blue. They are
    those of all the prompts of a model together: within a column, a colour means the
    same in every row. Columns of different models cannot be compared so.

    Args:
        samples: Samples before normalisation: ``image`` (C×H×W digital numbers, offset
            removed) and, where present, ``mask_cloud`` and ``image_thickness``.
        prompts: Prompts by the name of the model, one P×H×W for each sample.
        rgb: Which of the C bands are red, green and blue.
        row_titles: What to write at the left of each row.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no samples, or a model has not one prompt for each.

    Example:
        >>> import torch
        >>> sample = {'image': torch.rand(13, 16, 16), 'mask_cloud': torch.ones(16, 16)}
        >>> figure = plot_prompts([sample], {'Prompt': [torch.rand(8, 16, 16)]})
        >>> [ax.get_title() for ax in figure.axes]
        ['Cloudy', 'Cloud and shadow', 'Prompt']
    """
    check_counts(samples, prompts, row_titles)
    thickest = max(
        (float(s['image_thickness'].max()) for s in samples if 'image_thickness' in s),
        default=0.0,
    )
    pictures = {name: prompt_pictures(made) for name, made in prompts.items()}
    rows: list[dict[str, NDArray[np.float32]]] = []
    for i, sample in enumerate(samples):
        row = {'Cloudy': rgb_picture(sample['image'], rgb)}
        if 'mask_cloud' in sample:
            row['Cloud and shadow'] = grey_picture(sample['mask_cloud'])
        if 'image_thickness' in sample:
            title = f'Optical thickness (0 to {thickest:.2g})'
            row[title] = heat_picture(sample['image_thickness'], thickest)
        rows.append(row | {name: made[i] for name, made in pictures.items()})
    return panel_figure(rows, row_titles)[0]
