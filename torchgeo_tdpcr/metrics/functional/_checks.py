# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Checks of the arguments that the metrics and the losses have in common."""

import math

import torch
from torch import Tensor


def check_images(prediction: Tensor, target: Tensor) -> None:
    """Refuse anything but two floating-point B×C×H×W tensors of one shape.

    Args:
        prediction: Restored images.
        target: True images.

    Raises:
        TypeError: If one of them is not floating point.
        ValueError: If one of them is not four-dimensional, is empty, or the shapes
            differ.
    """
    for name, image in (('prediction', prediction), ('target', target)):
        if not image.is_floating_point():
            raise TypeError(
                f'`{name}` is {image.dtype}, not floating point. Normalise the digital '
                'numbers first (Sentinel2Normalize).'
            )
        if image.ndim != 4 or image.numel() == 0:
            raise ValueError(
                f'`{name}` has shape {tuple(image.shape)}, not a non-empty B×C×H×W. Add '
                'the missing dimension (a single sample needs a batch dimension of '
                'one).'
            )
    if prediction.shape != target.shape:
        raise ValueError(
            f'`prediction` has shape {tuple(prediction.shape)}, but `target` '
            f'{tuple(target.shape)}. Give both the same images, bands and size.'
        )


def check_mask_cloud(mask_cloud: Tensor, shape: tuple[int, int, int]) -> None:
    """Refuse a cloud mask of another shape or with values other than 0 and 1.

    Args:
        mask_cloud: B×H×W, integer or boolean.
        shape: The shape that it must have.

    Raises:
        TypeError: If it is neither integer nor boolean.
        ValueError: If it has another shape or other values.
    """
    if mask_cloud.is_floating_point() or mask_cloud.is_complex():
        raise TypeError(
            f'`mask_cloud` is {mask_cloud.dtype}, neither integer nor boolean. Threshold '
            'probabilities first.'
        )
    if tuple(mask_cloud.shape) != shape:
        raise ValueError(
            f'`mask_cloud` has shape {tuple(mask_cloud.shape)}, not B×H×W {shape}. Crop '
            'it together with the images and drop a band dimension of one.'
        )
    if mask_cloud.dtype != torch.bool:
        low, high = (int(value) for value in mask_cloud.aminmax())
        if low < 0 or high > 1:
            raise ValueError(
                f'`mask_cloud` holds values from {low} to {high}, not just 0 (clear) and '
                '1 (cloud or shadow). Map the classes of the cloud product to these '
                'two.'
            )


def to_full_precision(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in one floating-point type, float32 or better.

    Args:
        prediction: Floating point of any precision.
        target: The same.

    Returns:
        Both in float32, or in float64 where one of them was.
    """
    dtype = torch.promote_types(prediction.dtype, target.dtype)
    dtype = torch.promote_types(dtype, torch.float32)
    return prediction.to(dtype), target.to(dtype)


def check_labels(
    name: str, labels: Tensor, num_classes: int, ignore_index: int | None = None
) -> None:
    """Refuse labels that are neither a class nor ``ignore_index``.

    Args:
        name: What the tensor is called in the message.
        labels: Integer class indices of any shape.
        num_classes: How many classes there are.
        ignore_index: A value that is allowed besides the classes.

    Raises:
        TypeError: If the labels are not integers.
        ValueError: If one is out of range.
    """
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(
            f'`{name}` is {labels.dtype}, not integer class indices. Convert it with '
            f'`{name}.long()`.'
        )
    wrong = (labels < 0) | (labels >= num_classes)
    allowed = f'0 to {num_classes - 1}'
    if ignore_index is not None:
        wrong &= labels != ignore_index
        allowed += f' or {ignore_index} (ignored)'
    if wrong.any():
        raise ValueError(
            f'`{name}` holds the label {int(labels[wrong][0])}, not just {allowed}. Map '
            'the labels or set `num_classes`.'
        )


def check_data_range(data_range: float) -> float:
    """Return ``data_range`` as a float, or refuse it.

    Args:
        data_range: Largest minus smallest possible value of the images.

    Returns:
        The same number.

    Raises:
        ValueError: If it is not finite and positive.
    """
    if not (math.isfinite(data_range) and data_range > 0):
        raise ValueError(
            f'`data_range={data_range}` must be a positive number; it is 1 for images in '
            '[0, 1].'
        )
    return float(data_range)
