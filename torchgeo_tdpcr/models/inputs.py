# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What all models do with their inputs: check them, and pad them to their stride."""

import torch
import torch.nn.functional as F
from torch import Tensor


def check_inputs(
    image: Tensor, image_sar: Tensor, in_channels: int, sar_channels: int
) -> None:
    """Raise if the inputs are not what a model was built for.

    Args:
        image: Optical image, B×C×H×W.
        image_sar: SAR image, B×S×H×W.
        in_channels: C.
        sar_channels: S.

    Raises:
        ValueError: If an input has other channels, or they differ in height or width.

    Example:
        >>> check_inputs(torch.rand(1, 3, 8, 8), torch.rand(1, 2, 8, 8), 3, 2)
    """
    for name, value, channels in (
        ('image', image, in_channels),
        ('image_sar', image_sar, sar_channels),
    ):
        if value.ndim != 4 or value.shape[1] != channels:
            raise ValueError(
                f'`{name}` has shape {tuple(value.shape)}, but this model was built '
                f'for B×{channels}×H×W. Select {channels} bands in the data module, '
                'or build the model for the bands that you have.'
            )
    if image.shape[-2:] != image_sar.shape[-2:]:
        raise ValueError(
            f'`image` is {tuple(image.shape[-2:])} pixels but `image_sar` is '
            f'{tuple(image_sar.shape[-2:])}. Bring both to one grid.'
        )


def refuse_classes(num_classes: int | None, name: str) -> None:
    """Raise if a model that only removes clouds is asked to map land cover.

    Args:
        num_classes: Number of classes that was asked for.
        name: Name of the model.

    Raises:
        ValueError: If it is not None.

    Example:
        >>> refuse_classes(None, 'DSen2-CR')
    """
    if num_classes is not None:
        raise ValueError(
            f'`num_classes={num_classes}`: {name} does not segment. Leave it None, or '
            'choose a model that does, such as tdpcr.'
        )


def padded(x: Tensor, stride: int) -> Tensor:
    """Repeat the border up to a multiple of a stride, in channels_last.

    Args:
        x: Image, B×C×H×W.
        stride: What height and width must be multiples of.

    Returns:
        The image, with rows below and columns at the right added as needed.

    Example:
        >>> padded(torch.rand(1, 3, 45, 64), 8).shape
        torch.Size([1, 3, 48, 64])
    """
    x = x.contiguous(memory_format=torch.channels_last)
    # Written so that torch.export sees 0 where the size is a multiple of the stride.
    below, right = ((n + stride - 1) // stride * stride - n for n in x.shape[-2:])
    if below or right:
        x = F.pad(x, (0, right, 0, below), mode='replicate')
    return x
