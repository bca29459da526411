# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Pixel accuracy, IoU under both rules, boundary F1 and boundary IoU over a data set."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from .functional.boundary import boundary_f1_scores, boundary_iou_scores
from .functional.segmentation import (
    class_iou,
    confusion_matrices,
    majority_scores,
    segmentation_scores,
    to_labels,
)


class SegmentationMetrics(Metric):
    """Scores of a land-cover map.

    All but the last two are taken from one confusion matrix over all pixels of all images.
    :meth:`compute` returns a flat dictionary with the keys

    * ``pa``: share of right pixels;
    * ``miou``: mean IoU of the classes that occur in prediction or truth, which is
      torchmetrics' rule;
    * ``miou_published``: mean IoU where a class that occurs in neither counts as 0,
      which is the rule of the author of LuojiaSET-OSFCR;
    * ``pa_cloudy``, ``pa_clear``, ``miou_cloudy`` and so on: over the pixels of that
      kind, given a cloud mask;
    * ``iou_<label>``: of each class that occurs, with the label in lower case and
      anything but letters and digits as ``_``;
    * ``pa_majority``, ``miou_majority``: what always answering the commonest class of
      the truth would score;
    * ``boundary_f1`` and ``boundary_iou``: of each image, averaged over the images with
      a boundary.

    A key without any pixel behind it is left out.

    Args:
        num_classes: How many classes there are, at least two.
        ignore_index: Label in the mask of pixels that do not count.
        labels: Names of the classes for the keys; by default their numbers.
        boundary_tolerance: How far in pixels, in rows and in columns, a predicted
            boundary may lie from the true one for ``boundary_f1``.
        boundary_width: Width in pixels of the bands along the boundaries that
            ``boundary_iou`` compares.
        prefix: Put before every key, such as ``'val/'``.
        **kwargs: Arguments of :class:`torchmetrics.Metric`.

    Raises:
        ValueError: If an argument is out of range, or there is not one distinct label
            for each class.

    Examples:
        >>> import torch
        >>> metrics = SegmentationMetrics(3, labels=('water', 'crop', 'tree'))
        >>> mask = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1]]])
        >>> metrics.update(mask, mask)
        >>> {key: round(float(value), 2) for key, value in metrics.compute().items()}
        ... # doctest: +NORMALIZE_WHITESPACE
        {'pa': 1.0, 'miou': 1.0, 'miou_published': 0.67, 'pa_majority': 0.5,
         'miou_majority': 0.25, 'iou_water': 1.0, 'iou_crop': 1.0, 'boundary_f1': 1.0,
         'boundary_iou': 1.0}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    confusion: Tensor
    boundary_sums: Tensor
    boundary_count: Tensor

    def __init__(
        self,
        num_classes: int,
        ignore_index: int = 255,
        labels: Sequence[str] | None = None,
        boundary_tolerance: int = 2,
        boundary_width: int = 2,
        prefix: str = '',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_classes < 2:
            raise ValueError(
                f'`num_classes={num_classes}` must be at least two classes.'
            )
        if boundary_tolerance < 0:
            raise ValueError(
                f'`boundary_tolerance={boundary_tolerance}` must be a number of pixels, 0 '
                'or more.'
            )
        if boundary_width < 1:
            raise ValueError(
                f'`boundary_width={boundary_width}` must be a number of pixels, 1 or more.'
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.boundary_tolerance = boundary_tolerance
        self.boundary_width = boundary_width
        self.prefix = prefix
        names = [str(k) for k in range(num_classes)] if labels is None else labels
        self.keys = [re.sub(r'[\W_]+', '_', name.lower()).strip('_') for name in names]
        if len(set(self.keys)) != num_classes or '' in self.keys:
            raise ValueError(
                f'`labels={list(names)}` must be {num_classes} names that differ in their '
                'letters and digits.'
            )
        zeros = torch.zeros(3, num_classes, num_classes, dtype=torch.long)
        self.add_state('confusion', zeros, 'sum')
        # F1 and IoU; images with a boundary, which are the same for both
        self.add_state('boundary_sums', torch.zeros(2), 'sum')
        self.add_state('boundary_count', torch.tensor(0), 'sum')

    def update(
        self, prediction: Tensor, mask: Tensor, mask_cloud: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            prediction: B×K×H×W logits or B×H×W class indices.
            mask: B×H×W true class indices.
            mask_cloud: B×H×W, 1 where cloud or shadow.

        Raises:
            TypeError: If labels are not integers, logits not floating point, or the
                cloud mask is floating point.
            ValueError: If shapes or values do not fit.
        """
        prediction, mask = to_labels(
            prediction, mask, self.num_classes, self.ignore_index
        )
        self.confusion += confusion_matrices(
            prediction, mask, self.num_classes, self.ignore_index, mask_cloud
        )
        labels = (prediction, mask, self.num_classes, self.ignore_index)
        scores = torch.stack(
            (
                boundary_f1_scores(*labels, self.boundary_tolerance),
                boundary_iou_scores(*labels, self.boundary_width),
            )
        )
        self.boundary_sums += scores.nansum(1)
        self.boundary_count += (~scores[0].isnan()).sum()

    def compute(self) -> dict[str, Tensor]:
        """Return the scores.

        Returns:
            A scalar for each key that has a pixel behind it.
        """
        scores: dict[str, Tensor] = {}
        for part, confusion in zip(
            ('', '_cloudy', '_clear'), self.confusion, strict=True
        ):
            found = segmentation_scores(confusion, self.ignore_index)
            scores |= {f'{name}{part}': score for name, score in found.items()}
        scores |= majority_scores(self.confusion[0], self.ignore_index)
        for k, iou in enumerate(class_iou(self.confusion[0])):
            if k != self.ignore_index and not iou.isnan():
                scores[f'iou_{self.keys[k]}'] = iou
        if self.boundary_count:
            means = self.boundary_sums / self.boundary_count
            scores |= {'boundary_f1': means[0], 'boundary_iou': means[1]}
        return {f'{self.prefix}{name}': score for name, score in scores.items()}
