# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How well predicted class boundaries lie on the true ones: F1 and IoU."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .segmentation import to_labels


def near_another(labels: Tensor, valid: Tensor, num_classes: int, width: int) -> Tensor:
    """Mark the pixels with a pixel of another class at most ``width`` pixels away.

    Args:
        labels: B×H×W class indices.
        valid: B×H×W, False where a pixel is neither marked nor marks another.
        num_classes: How many classes there are.
        width: Distance in pixels, the larger of that in rows and in columns.

    Returns:
        B×H×W boolean. What lies beyond the edge of the image marks nothing.
    """
    # a label that loses every comparison hides invalid pixels from their neighbours
    highest = _largest(torch.where(valid, labels, -1).float(), width)
    lowest = -_largest(torch.where(valid, -labels, -num_classes).float(), width)
    return valid & ((highest != labels) | (lowest != labels))


def class_boundaries(labels: Tensor, valid: Tensor, num_classes: int) -> Tensor:
    """Mark the pixels of each class that touch a pixel of another class.

    Args:
        labels: B×H×W class indices.
        valid: B×H×W, False where a pixel is neither a boundary nor makes one.
        num_classes: How many classes there are.

    Returns:
        B×K×H×W boolean. Neighbours are the eight around a pixel; the edge of the image
        is no boundary.
    """
    boundary = near_another(labels, valid, num_classes, 1)
    classes = torch.arange(num_classes, device=labels.device).view(-1, 1, 1)
    return (labels.unsqueeze(1) == classes) & boundary.unsqueeze(1)


def _largest(values: Tensor, width: int) -> Tensor:
    """Largest value at most ``width`` pixels away in rows and columns, one by one."""
    size = 2 * width + 1
    rows = F.max_pool2d(values, (size, 1), 1, (width, 0))
    return F.max_pool2d(rows, (1, size), 1, (0, width))


def _near(boundary: Tensor, tolerance: int) -> Tensor:
    """Grow the marked pixels by ``tolerance`` in each of the eight directions."""
    return _largest(boundary.float(), tolerance) > 0


def boundary_f1_scores(
    prediction: Tensor,
    mask: Tensor,
    num_classes: int,
    ignore_index: int = 255,
    tolerance: int = 2,
) -> Tensor:
    """Boundary F1 score of each image.

    For each class, precision is the share of its predicted boundary pixels with a true
    one of that class at most ``tolerance`` pixels away, in rows and in columns; recall
    is the same the other way round, and F1 is their harmonic mean. The image's score is
    the mean over the classes with a boundary in truth or prediction. Ignored pixels are
    taken out of both: they are no boundary, make none, and count as no error.

    Source: Csurka et al., *What is a good evaluation measure for semantic
    segmentation?*, BMVC 2013. The distance there is Euclidean.

    Args:
        prediction: B×K×H×W logits or B×H×W class indices.
        mask: B×H×W true class indices.
        num_classes: How many classes there are.
        ignore_index: Label of pixels that do not count.
        tolerance: Distance in pixels.

    Returns:
        B values between 0 and 1; NaN for an image without any boundary.

    Raises:
        TypeError: If the labels are not integers or logits not floating point.
        ValueError: If shapes or labels do not fit.

    Examples:
        >>> mask = torch.tensor([[[0, 0, 0, 1, 1, 1]]])
        >>> shifted = torch.tensor([[[0, 0, 1, 1, 1, 1]]])
        >>> boundary_f1_scores(shifted, mask, num_classes=2, tolerance=0)
        tensor([0.])
        >>> boundary_f1_scores(shifted, mask, num_classes=2, tolerance=1)
        tensor([1.])
    """
    prediction, mask = to_labels(prediction, mask, num_classes, ignore_index)
    valid = mask != ignore_index
    found = class_boundaries(prediction, valid, num_classes)
    true = class_boundaries(mask, valid, num_classes)
    found_count, true_count = found.sum((-2, -1)), true.sum((-2, -1))
    found_hits = (found & _near(true, tolerance)).sum((-2, -1))
    true_hits = (true & _near(found, tolerance)).sum((-2, -1))
    precision = found_hits / found_count.clamp(min=1)
    recall = true_hits / true_count.clamp(min=1)
    score = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    present = (found_count + true_count) > 0
    if 0 <= ignore_index < num_classes:
        present[:, ignore_index] = False
    return (score * present).sum(1) / present.sum(1)


def boundary_iou_scores(
    prediction: Tensor,
    mask: Tensor,
    num_classes: int,
    ignore_index: int = 255,
    width: int = 2,
) -> Tensor:
    """Boundary IoU of each image.

    The band of a class is its pixels that have a pixel of another class at most
    ``width`` pixels away, in rows and in columns: the pixels on its side of its contour
    and within ``width`` of it. The score of a class is the intersection over union of
    its bands in prediction and truth, and the image's score is the mean over the
    classes with a band in truth or prediction. As in :func:`boundary_f1_scores`, the
    edge of the image is no contour, and ignored pixels are taken out of both: they are
    in no band, make none, and count as no error.

    Source: Cheng et al., *Boundary IoU: improving object-centric image segmentation
    evaluation*, CVPR 2021. The edge of the image is a contour there, and the width 2 %
    of the image's diagonal.

    Args:
        prediction: B×K×H×W logits or B×H×W class indices.
        mask: B×H×W true class indices.
        num_classes: How many classes there are.
        ignore_index: Label of pixels that do not count.
        width: Width of the bands in pixels, at least 1.

    Returns:
        B values between 0 and 1; NaN for an image without any contour.

    Raises:
        TypeError: If the labels are not integers or logits not floating point.
        ValueError: If shapes or labels do not fit, or the width is less than 1.

    Examples:
        >>> mask = torch.tensor([[[0, 0, 0, 1, 1, 1]]])
        >>> shifted = torch.tensor([[[0, 0, 1, 1, 1, 1]]])
        >>> boundary_iou_scores(shifted, mask, num_classes=2, width=2)
        tensor([0.3333])
        >>> boundary_iou_scores(mask, mask, num_classes=2, width=2)
        tensor([1.])
    """
    if width < 1:
        raise ValueError(f'`width={width}` must be a number of pixels, 1 or more.')
    prediction, mask = to_labels(prediction, mask, num_classes, ignore_index)
    valid = mask != ignore_index
    found = near_another(prediction, valid, num_classes, width)
    true = near_another(mask, valid, num_classes, width)
    both = found & true & (prediction == mask)
    hits = _counts(prediction, both, num_classes)
    marked = _counts(prediction, found, num_classes) + _counts(mask, true, num_classes)
    union = marked - hits
    present = union > 0
    if 0 <= ignore_index < num_classes:
        present[:, ignore_index] = False
    iou = hits / union.clamp(min=1)
    return (iou * present).sum(1) / present.sum(1)


def _counts(labels: Tensor, marked: Tensor, num_classes: int) -> Tensor:
    """Number of marked pixels of each class in each image, B×K."""
    batch = len(labels)
    first = torch.arange(batch, device=labels.device).view(-1, 1, 1) * num_classes
    counts = torch.bincount((labels + first)[marked], minlength=batch * num_classes)
    return counts.view(batch, num_classes)
