# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Convolutions as ECRformer has them: nearly all with mirrored borders, without biases."""

from typing import Literal

from torch import nn


def conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    groups: int = 1,
    bias: bool = False,
    border: Literal['reflect', 'zeros'] = 'reflect',
) -> nn.Conv2d:
    """A convolution that keeps height and width.

    Weights are Kaiming normal (fan-in, gain √2), biases 0.

    Args:
        in_channels: Number of channels that it takes.
        out_channels: Number of channels that it gives.
        kernel: Height and width of its kernel, odd.
        groups: Number of groups of channels.
        bias: Whether it has biases.
        border: What lies beyond the border: the mirror image, or zeros.

    Returns:
        The convolution.

    Example:
        >>> conv(4, 8, 3).padding_mode
        'reflect'
    """
    made = nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        padding=kernel // 2,
        groups=groups,
        bias=bias,
        # Nothing lies beyond the border of a pixel
        padding_mode=border if kernel > 1 else 'zeros',
    )
    nn.init.kaiming_normal_(made.weight)
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made
