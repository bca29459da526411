# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""NAFBlock: the nonlinear-activation-free block that every encoder and decoder uses.

After L. Chen, X. Chu, X. Zhang, J. Sun: *Simple Baselines for Image Restoration*,
ECCV 2022. https://arxiv.org/abs/2204.04676
"""

from collections.abc import Callable
from typing import Literal

import torch
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn


def mirrored(
    in_channels: int, out_channels: int, groups: int = 1, bias: bool = True
) -> nn.Conv2d:
    """Make a 3×3 convolution that sees the image mirrored beyond its borders.

    Zeros there would tell each layer where the image ends: twice the error in the
    outermost pixels.

    Args:
        in_channels: Number of channels of the input.
        out_channels: Number of channels of the output.
        groups: Number of groups of channels that do not mix.
        bias: Whether it adds a bias.

    Returns:
        The convolution. It takes images of at least 2×2 pixels.

    Example:
        >>> flat = mirrored(1, 1)(torch.ones(1, 1, 4, 4))
        >>> bool((flat - flat.mean()).abs().max() < 1e-6)
        True
    """
    return nn.Conv2d(
        in_channels,
        out_channels,
        3,
        padding=1,
        groups=groups,
        bias=bias,
        padding_mode='reflect',
    )


class SimpleGate(nn.Module):
    """Multiply one half of the channels by the other."""

    def forward(self, x: Tensor) -> Tensor:
        """Gate a feature map.

        Args:
            x: Feature map, B×2C×H×W.

        Returns:
            Gated feature map, B×C×H×W.
        """
        first, second = x.chunk(2, dim=1)
        return first * second


class SimplifiedChannelAttention(nn.Module):
    """Scale every channel by a linear function of all channel means.

    Args:
        channels: Number of channels C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Reweight the channels of a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Reweighted feature map of the same shape.
        """
        scale: Tensor = self.project(x.mean((2, 3), keepdim=True))
        return x * scale


class NAFBlock(nn.Module):
    """Spatial mixing, then channel mixing, each a scaled residual.

    The residual scales start at zero, so a new block is the identity.

    Args:
        channels: Number of channels C.
        expansion: Width of both halves as a multiple of C.
        attention: Makes what weights the channels of the spatial half, from their
            number.
        padding_mode: What lies beyond the borders, one of
            :class:`torch.nn.Conv2d`'s.

    Example:
        >>> block = NAFBlock(32)
        >>> block(torch.randn(1, 32, 16, 16)).shape
        torch.Size([1, 32, 16, 16])
    """

    def __init__(
        self,
        channels: int,
        expansion: int = 2,
        attention: Callable[[int], nn.Module] = SimplifiedChannelAttention,
        padding_mode: Literal['zeros', 'reflect', 'replicate', 'circular'] = 'zeros',
    ) -> None:
        super().__init__()
        wide = expansion * channels
        half = wide // 2
        self.spatial = nn.Sequential(
            LayerNorm2d(channels),
            nn.Conv2d(channels, wide, 1),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, padding_mode=padding_mode),
            SimpleGate(),
            attention(half),
            nn.Conv2d(half, channels, 1),
        )
        self.channel = nn.Sequential(
            LayerNorm2d(channels),
            nn.Conv2d(channels, wide, 1),
            SimpleGate(),
            nn.Conv2d(half, channels, 1),
        )
        self.spatial_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.channel_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Refined feature map of the same shape.
        """
        x = torch.addcmul(x, self.spatial(x), self.spatial_scale)
        return torch.addcmul(x, self.channel(x), self.channel_scale)


def naf_stage(channels: int, depth: int) -> nn.Sequential:
    """Stack NAFBlocks of one width, mirrored at the borders.

    Args:
        channels: Number of channels.
        depth: Number of blocks.

    Returns:
        The stack.
    """
    return nn.Sequential(
        *(NAFBlock(channels, padding_mode='reflect') for _ in range(depth))
    )
