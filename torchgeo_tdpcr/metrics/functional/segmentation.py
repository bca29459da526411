# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Accuracy and intersection over union from a confusion matrix, under both rules."""

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from ._checks import check_labels, check_mask_cloud


def to_labels(
    prediction: Tensor, mask: Tensor, num_classes: int, ignore_index: int = 255
) -> tuple[Tensor, Tensor]:
    """Check prediction and mask and return both as int64 class indices.

    Args:
        prediction: B×K×H×W logits or B×H×W class indices.
        mask: B×H×W true class indices.
        num_classes: How many classes there are.
        ignore_index: Label of pixels that do not count.

    Returns:
        Prediction and mask, B×H×W int64.

    Raises:
        TypeError: If the labels are not integers or logits not floating point.
        ValueError: If shapes or labels do not fit.
    """
    if mask.ndim != 3 or mask.numel() == 0:
        raise ValueError(
            f'`mask` has shape {tuple(mask.shape)}, not a non-empty B×H×W. Drop a band '
            'dimension of one.'
        )
    check_labels('mask', mask, num_classes, ignore_index)
    batch, height, width = mask.shape
    if prediction.ndim == 4:
        if not prediction.is_floating_point():
            raise TypeError(
                f'`prediction` is {prediction.dtype}, but logits are floating point. Class '
                'indices have the shape B×H×W.'
            )
        expected: tuple[int, ...] = (batch, num_classes, height, width)
    else:
        check_labels('prediction', prediction, num_classes)
        expected = (batch, height, width)
    if tuple(prediction.shape) != expected:
        raise ValueError(
            f'`prediction` has shape {tuple(prediction.shape)}, but the mask and '
            f'`num_classes={num_classes}` go with {expected}.'
        )
    labels = prediction.argmax(1) if prediction.ndim == 4 else prediction
    return labels.long(), mask.long()


def confusion_matrices(
    prediction: Tensor,
    mask: Tensor,
    num_classes: int,
    ignore_index: int = 255,
    mask_cloud: Tensor | None = None,
) -> Tensor:
    """Confusion matrices over all, cloudy and clear pixels.

    Args:
        prediction: B×H×W int64, as :func:`to_labels` returns it.
        mask: The same shape.
        num_classes: How many classes there are.
        ignore_index: Label of pixels that do not count.
        mask_cloud: B×H×W, 1 where cloud or shadow.

    Returns:
        3×K×K int64, true classes in rows; the last two are zero without a cloud mask.

    Raises:
        TypeError: If the cloud mask is floating point.
        ValueError: If the cloud mask has another shape or other values.

    Examples:
        >>> labels = torch.tensor([[[0, 1], [1, 1]]])
        >>> confusion_matrices(labels, labels, num_classes=2)[0]
        tensor([[1, 0],
                [0, 3]])
    """

    def count(truth: Tensor) -> Tensor:
        return multiclass_confusion_matrix(
            prediction,
            truth,
            num_classes,
            ignore_index=ignore_index,
            validate_args=False,
        )

    everywhere = count(mask)
    if mask_cloud is None:
        nothing = torch.zeros_like(everywhere)
        return torch.stack((everywhere, nothing, nothing))
    check_mask_cloud(mask_cloud, (mask.shape[0], mask.shape[1], mask.shape[2]))
    cloud = mask_cloud.to(mask.device, torch.bool)
    cloudy = count(torch.where(cloud, mask, ignore_index))
    return torch.stack((everywhere, cloudy, everywhere - cloudy))


def class_iou(confusion: Tensor) -> Tensor:
    """Intersection over union of each class.

    Args:
        confusion: K×K, true classes in rows.

    Returns:
        K values between 0 and 1; NaN for a class absent from prediction and truth.

    Examples:
        >>> class_iou(torch.tensor([[2, 1, 0], [1, 4, 0], [0, 0, 0]]))
        tensor([0.5000, 0.6667,    nan])
    """
    hits = confusion.diagonal()
    return hits / (confusion.sum(0) + confusion.sum(1) - hits)


def segmentation_scores(
    confusion: Tensor, ignore_index: int = 255
) -> dict[str, Tensor]:
    """Pixel accuracy and mean IoU under both rules.

    Args:
        confusion: K×K, true classes in rows.
        ignore_index: Label that does not count, should it be one of the K.

    Returns:
        ``pa``, the share of right pixels; ``miou``, the mean IoU of the classes that
        occur in prediction or truth; ``miou_published``, the same sum divided by the
        number of all classes, so that an absent class counts as 0. Empty where no
        pixel counts.

    Examples:
        >>> scores = segmentation_scores(torch.tensor([[2, 1, 0], [1, 4, 0], [0] * 3]))
        >>> {name: round(float(score), 3) for name, score in scores.items()}
        {'pa': 0.75, 'miou': 0.583, 'miou_published': 0.389}
    """
    total = confusion.sum()
    if total == 0:
        return {}
    iou = class_iou(confusion)
    counts = torch.arange(len(iou), device=iou.device) != ignore_index
    return {
        'pa': confusion.trace() / total,
        'miou': iou[counts].nanmean(),
        'miou_published': iou[counts].nansum() / counts.sum(),
    }


def majority_scores(confusion: Tensor, ignore_index: int = 255) -> dict[str, Tensor]:
    """What always answering the commonest class of the truth would score.

    Args:
        confusion: K×K, true classes in rows.
        ignore_index: Label that does not count, should it be one of the K.

    Returns:
        ``pa_majority`` and ``miou_majority``, by the rules of ``pa`` and ``miou``.
        Empty where no pixel counts.

    Examples:
        >>> scores = majority_scores(torch.tensor([[2, 1], [1, 4]]))
        >>> {name: round(float(score), 4) for name, score in scores.items()}
        {'pa_majority': 0.625, 'miou_majority': 0.3125}
    """
    truth = confusion.sum(1)
    constant = torch.zeros_like(confusion)
    constant[:, truth.argmax()] = truth
    scores = segmentation_scores(constant, ignore_index)
    return {f'{name}_majority': scores[name] for name in ('pa', 'miou') if scores}
