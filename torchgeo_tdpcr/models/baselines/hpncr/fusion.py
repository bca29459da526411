# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What surrounds the optical stages of HPN-CR: SAR blocks, selective fusion.

Selective-kernel fusion is after X. Li et al., CVPR 2019.
"""

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with batch norm and ReLU, plus a 1×1 shortcut.

    Nothing follows the sum.

    Args:
        in_channels: Number of channels of the input.
        channels: Number of channels C of the output.

    Example:
        >>> ResidualBlock(4, 8)(torch.rand(2, 4, 16, 16)).shape
        torch.Size([2, 8, 16, 16])
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C_in×H×W.

        Returns:
            Feature map, B×C×H×W.
        """
        refined: Tensor = self.residual(x) + self.shortcut(x)
        return refined


class SelectiveFusion(nn.Module):
    """Sum of two maps, weighted per channel by a softmax over the two.

    Args:
        channels: Number of channels C of both maps.

    Example:
        >>> SelectiveFusion(8)(*torch.rand(2, 1, 8, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(channels // 8, 4)
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, narrow, 1, bias=False),
            nn.LeakyReLU(),
            nn.Conv2d(narrow, 2 * channels, 1, bias=False),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Fuse the two maps.

        Args:
            x: Feature map of the decoder, B×C×H×W, which the first C weights are of.
            skip: Feature map of the encoder, B×C×H×W.

        Returns:
            Fused feature map, B×C×H×W.
        """
        # The mean of the sum is the sum of the means, which needs no H×W tensor.
        pooled = x.mean((2, 3), keepdim=True) + skip.mean((2, 3), keepdim=True)
        logits_x, logits_skip = self.weigh(pooled).chunk(2, dim=1)
        # A softmax over two is a sigmoid of their difference.
        return x + torch.sigmoid(logits_skip - logits_x) * (skip - x)
