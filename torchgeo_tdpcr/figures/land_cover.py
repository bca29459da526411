# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Fig. 5 of the paper: land cover as each model maps it, beside the truth."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torchgeo.datasets.utils import Sample

from ..datasets.chips.reading import IGNORE_INDEX
from ..datasets.plotting import (
    add_legend,
    class_colours,
    land_cover_picture,
    panel_figure,
    rgb_picture,
)
from ..metrics.functional import confusion_matrices, segmentation_scores
from .restoration import check_counts


def plot_land_cover(
    samples: Sequence[Sample],
    predictions: Mapping[str, Sequence[Tensor]],
    class_names: Sequence[str],
    rgb: Sequence[int] = (3, 2, 1),
    row_titles: Sequence[str] = (),
    scores: bool = True,
) -> Figure:
    """Compare land-cover maps of some samples, a row each.

    Args:
        samples: Samples before normalisation: ``image`` (C×H×W digital numbers, offset
            removed) and, where present, ``image_clear`` and ``mask`` (H×W, 255 where
            there is no label).
        predictions: Class indices by the name of the model, one H×W for each sample.
        class_names: Name of each class. The legend has those that occur.
        rgb: Which of the C bands are red, green and blue.
        row_titles: What to write at the left of each row.
        scores: Whether to write pixel accuracy and mean IoU (over the classes that
            occur in the sample or its map) below each map that has a truth.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no samples, a model has not one map for each, or a
            label has no name.

    Example:
        >>> import torch
        >>> labels = torch.arange(256).reshape(16, 16) // 128
        >>> sample = {'image': torch.rand(13, 16, 16), 'mask': labels}
        >>> figure = plot_land_cover([sample], {'TDP-CR': [labels]}, ['water', 'trees'])
        >>> [ax.get_title() for ax in figure.axes]
        ['Cloudy', 'TDP-CR', 'Truth']
    """
    check_counts(samples, predictions, row_titles)
    colours = class_colours(class_names)
    rows: list[dict[str, NDArray[np.float32]]] = []
    notes: list[dict[str, str]] = []
    present: set[int] = set()
    for i, sample in enumerate(samples):
        maps = {name: made[i].cpu() for name, made in predictions.items()}
        row = {'Cloudy': rgb_picture(sample['image'], rgb)}
        if 'image_clear' in sample:
            row['Clear'] = rgb_picture(sample['image_clear'], rgb)
        notes.append({})
        if 'mask' in sample:
            truth = sample['mask'].cpu()
            if scores:
                count = len(class_names)
                notes[-1] = {k: _scores(v, truth, count) for k, v in maps.items()}
            maps['Truth'] = truth
        for name, labels in maps.items():
            present.update(_labels(name, labels, len(class_names)))
            row[name] = land_cover_picture(labels, colours)
        rows.append(row)
    fig, axes = panel_figure(rows, row_titles)
    for drawn, texts in zip(axes, notes, strict=True):
        for title, text in texts.items():
            drawn[title].set_xlabel(text, fontsize='small')
    add_legend(fig, {class_names[i]: colours[i] for i in sorted(present)})
    return fig


def _labels(name: str, labels: Tensor, num_classes: int) -> list[int]:
    """The classes that occur in a map."""
    found: list[int] = [v for v in labels.unique().tolist() if v != IGNORE_INDEX]
    unknown = [value for value in found if not 0 <= value < num_classes]
    if unknown:
        raise ValueError(
            f'{name!r} holds the labels {unknown}, but `class_names` has '
            f'{num_classes} names. Give one for every class.'
        )
    return found


def _scores(labels: Tensor, truth: Tensor, num_classes: int) -> str:
    """Accuracy of a map in words, '' where nothing is labelled."""
    confusion = confusion_matrices(labels[None], truth[None], num_classes)[0]
    found = segmentation_scores(confusion)
    if not found:
        return ''
    return f'PA {found["pa"].item():.3f}, mIoU {found["miou"].item():.3f}'
