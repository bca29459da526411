# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Blocks of ECRformer: attention, a gated feed-forward network, and what joins levels.

The gated feed-forward network and the block with transposed attention alone are after
S. W. Zamir et al.: *Restormer: Efficient Transformer for High-Resolution Image
Restoration*, CVPR 2022. https://arxiv.org/abs/2111.09881
"""

import torch
import torch.nn.functional as F
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn

from .attention import DilatedAttention, TransposedAttention, gates
from .convs import conv

#: Number of heads of attention over channels, at most.
MOST_HEADS = 4


class GatedFeedForward(nn.Module):
    """Two branches of 1×1 and depth-wise 3×3 convolution, one gating the other.

    Each is twice as wide as the map.

    Args:
        channels: Number of channels C.

    Example:
        >>> GatedFeedForward(8)(torch.rand(1, 8, 9, 13)).shape
        torch.Size([1, 8, 9, 13])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        both = 4 * channels
        self.expand = nn.Sequential(
            conv(channels, both, 1), conv(both, both, 3, groups=both)
        )
        self.project = conv(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each pixel and its neighbours.

        Args:
            x: Feature map, B×C×H×W, H and W at least 2.

        Returns:
            Feature map of the same shape.
        """
        gate, value = self.expand(x).chunk(2, 1)
        projected: Tensor = self.project(F.gelu(gate) * value)
        return projected


class ScaledResidual(nn.Module):
    """Add a learned multiple of what a layer makes of the normalised map.

    Args:
        channels: Number of channels C.
        layer: The layer.
    """

    def __init__(self, channels: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels, eps=1e-5)
        self.layer = layer
        self.scale = nn.Parameter(torch.tensor(0.01))

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map of the same shape.
        """
        # Not addcmul: autocast would have it make single precision of the whole stream
        refined: Tensor = x + self.scale * self.layer(self.norm(x))
        return refined


def restormer_block(channels: int) -> nn.Sequential:
    """Attention over channels, then a gated feed-forward network, each a residual.

    Args:
        channels: Number of channels, a multiple of 4.

    Returns:
        The block.

    Example:
        >>> restormer_block(8)(torch.rand(1, 8, 9, 13)).shape
        torch.Size([1, 8, 9, 13])
    """
    return nn.Sequential(
        ScaledResidual(channels, TransposedAttention(channels, MOST_HEADS)),
        ScaledResidual(channels, GatedFeedForward(channels)),
    )


def mixed_block(channels: int, head_channels: int) -> nn.Sequential:
    """As :func:`restormer_block`, with attention to neighbours between the two.

    Args:
        channels: Number of channels C, *head_channels* times a power of 2, at least 2.
        head_channels: Number of channels of a head that attends to neighbours. C of 2
            heads have dilations 1 and 2, wider maps 1, 2, 3 and 4.

    Returns:
        The block.

    Example:
        >>> mixed_block(16, 4)(torch.rand(1, 16, 9, 13)).shape
        torch.Size([1, 16, 9, 13])
    """
    finest = 2 * head_channels
    heads = min(MOST_HEADS, channels // finest)
    attention = DilatedAttention(
        channels, head_channels, 2 if channels == finest else 4
    )
    return nn.Sequential(
        ScaledResidual(channels, TransposedAttention(channels, heads)),
        ScaledResidual(channels, attention),
        ScaledResidual(channels, GatedFeedForward(channels)),
    )


def level(channels: int, head_channels: int, depth: int) -> nn.Sequential:
    """Blocks of one level, then gates of channels and of pixels.

    Args:
        channels: Number of channels, see :func:`mixed_block`.
        head_channels: Number of channels of a head that attends to neighbours.
        depth: Number of blocks.

    Returns:
        The level.
    """
    return nn.Sequential(
        *(mixed_block(channels, head_channels) for _ in range(depth)), *gates(channels)
    )


def down(channels: int) -> nn.Sequential:
    """Halve the resolution, double the width, gate.

    Args:
        channels: Number of channels of the finer level, even.

    Returns:
        The layers.

    Example:
        >>> down(8)(torch.rand(1, 8, 10, 14)).shape
        torch.Size([1, 16, 5, 7])
    """
    return nn.Sequential(
        conv(channels, channels // 2, 3), nn.PixelUnshuffle(2), *gates(2 * channels)
    )


def up(in_channels: int, out_channels: int) -> nn.Sequential:
    """Double the resolution, gate.

    Args:
        in_channels: Number of channels of the coarser level.
        out_channels: Number of channels that the finer level gets.

    Returns:
        The layers.

    Example:
        >>> up(16, 8)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 8, 10, 14])
    """
    return nn.Sequential(
        conv(in_channels, 4 * out_channels, 3),
        nn.PixelShuffle(2),
        *gates(out_channels),
    )
