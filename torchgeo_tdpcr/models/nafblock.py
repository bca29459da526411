# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""NAFBlock: the nonlinear-activation-free block that every encoder and decoder uses.

After L. Chen, X. Chu, X. Zhang, J. Sun: *Simple Baselines for Image Restoration*,
ECCV 2022. https://arxiv.org/abs/2204.04676
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn


class MirroredConv2d(nn.Conv2d):
    """A 3×3 convolution that sees the image mirrored beyond its borders.

    Zeros there would tell each layer where the image ends: twice the error in the
    outermost pixels.

    Args:
        in_channels: Number of channels of the input.
        out_channels: Number of channels of the output.
        groups: Number of groups of channels that do not mix.
        bias: Whether it adds a bias.

    Example:
        >>> flat = MirroredConv2d(1, 1)(torch.ones(1, 1, 4, 4))
        >>> bool((flat - flat.mean()).abs().max() < 1e-6)
        True
    """

    def __init__(
        self, in_channels: int, out_channels: int, groups: int = 1, bias: bool = True
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            3,
            padding=1,
            groups=groups,
            bias=bias,
            padding_mode='reflect',
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve a feature map.

        Args:
            x: Feature map, B×C×H×W, of at least 2×2 pixels.

        Returns:
            Feature map of the same height and width.
        """
        # Autocast on a CPU would mirror in single precision, which costs more than the
        # convolution does
        kind = x.device.type
        known = torch.amp.is_autocast_available(kind)
        with torch.autocast(kind, enabled=False) if known else nullcontext():
            x = F.pad(x, (1, 1, 1, 1), mode='reflect')
        return F.conv2d(x, self.weight, self.bias, groups=self.groups)


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
        mirrored: Whether the image is mirrored beyond its borders; else there are zeros.

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
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        wide = expansion * channels
        half = wide // 2
        self.spatial = nn.Sequential(
            LayerNorm2d(channels),
            nn.Conv2d(channels, wide, 1),
            MirroredConv2d(wide, wide, groups=wide)
            if mirrored
            else nn.Conv2d(wide, wide, 3, padding=1, groups=wide),
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


def naf_stage(channels: int, depth: int, mirrored: bool = True) -> nn.Sequential:
    """Stack NAFBlocks of one width.

    Args:
        channels: Number of channels.
        depth: Number of blocks.
        mirrored: Whether the image is mirrored beyond its borders.

    Returns:
        The stack.
    """
    return nn.Sequential(*(NAFBlock(channels, mirrored=mirrored) for _ in range(depth)))
