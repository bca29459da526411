# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What models do with arguments and inputs: check them, and pad to their stride."""

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


def check_multiple(name: str, value: int, divisor: int, of: str = '') -> None:
    """Raise if an argument of a model is no multiple of a number.

    Args:
        name: Name of the argument.
        value: Its value.
        divisor: The number.
        of: Name of the argument that the number is, if it is one.

    Raises:
        ValueError: If the division leaves a remainder.

    Example:
        >>> check_multiple('channels', 96, 4, 'heads')
    """
    if value % divisor:
        number = f'`{of}={divisor}`' if of else divisor
        raise ValueError(f'`{name}={value}` must be a multiple of {number}.')


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


def prepared(
    image: Tensor, image_sar: Tensor, in_channels: int, sar_channels: int, stride: int
) -> tuple[Tensor, Tensor, torch.Size]:
    """Check the inputs of a model by :func:`check_inputs`, then have them :func:`padded`.

    Args:
        image: Optical image, B×C×H×W.
        image_sar: SAR image, B×S×H×W.
        in_channels: C.
        sar_channels: S.
        stride: What height and width must be multiples of.

    Returns:
        Both images, padded, and the height and width that they came with.

    Raises:
        ValueError: If an input has other channels, or they differ in height or width.

    Example:
        >>> image, sar = torch.rand(1, 3, 45, 64), torch.rand(1, 2, 45, 64)
        >>> image, sar, size = prepared(image, sar, 3, 2, stride=8)
        >>> sar.shape, size
        (torch.Size([1, 2, 48, 64]), torch.Size([45, 64]))
    """
    check_inputs(image, image_sar, in_channels, sar_channels)
    return padded(image, stride), padded(image_sar, stride), image.shape[-2:]
