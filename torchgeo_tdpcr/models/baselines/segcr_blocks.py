# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The three ideas of SegCR: cloud-impact map, SAR-to-optical translation, fusion."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nafblock import NAFBlock, naf_stage


def frequency_split(x: Tensor, kernel: int = 3) -> tuple[Tensor, Tensor]:
    """Split a map into what is smooth and what is not.

    Args:
        x: Feature map, B×C×H×W.
        kernel: Size of the window of the local mean, odd.

    Returns:
        The local mean and the rest; they add up to the map.

    Example:
        >>> low, high = frequency_split(torch.ones(1, 1, 4, 4))
        >>> bool((low == 1).all()), bool((high == 0).all())
        (True, True)
    """
    low = F.avg_pool2d(
        x, kernel, stride=1, padding=kernel // 2, count_include_pad=False
    )
    return low, x - low


class CloudImpact(nn.Module):
    """How much cloud disturbs each pixel, from optical and SAR frequencies.

    Cloud adds smooth brightness to the optical features and takes detail away; SAR sees
    through it. So both streams are brought to common channels and split by frequency,
    and the map is a function of the differences.

    Args:
        channels: Number of channels C of each stream.

    Example:
        >>> impact = CloudImpact(16)
        >>> impact(torch.rand(2, 16, 8, 8), torch.rand(2, 16, 8, 8)).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = max(channels // 4, 8)
        self.optical = nn.Conv2d(channels, width, 1)
        self.sar = nn.Conv2d(channels, width, 1)
        self.score = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, 1, 1),
        )

    def forward(self, optical: Tensor, sar: Tensor) -> Tensor:
        """Estimate the map.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            Cloud-impact map, B×1×H×W, from 0 (clear) to 1 (nothing to be seen).
        """
        optical_low, optical_high = frequency_split(self.optical(optical))
        sar_low, sar_high = frequency_split(self.sar(sar))
        difference = torch.cat(
            [optical_low - sar_low, optical_high.abs() - sar_high.abs()], 1
        )
        impact: Tensor = self.score(difference).sigmoid()
        return impact


class TargetedFusion(nn.Module):
    """Fill optical features where cloud is, with those simulated from SAR.

    Args:
        channels: Number of channels C of each stream.

    Example:
        >>> fuse = TargetedFusion(16)
        >>> x = torch.rand(2, 16, 8, 8)
        >>> [tuple(y.shape) for y in fuse(x, x)]
        [(2, 16, 8, 8), (2, 16, 8, 8), (2, 1, 8, 8)]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.impact = CloudImpact(channels)
        self.translate = nn.Sequential(
            naf_stage(channels, 2), nn.Conv2d(channels, channels, 1)
        )
        self.complement = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1), NAFBlock(channels)
        )

    def forward(self, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse one stage.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            The fused feature and the simulated optical feature, both B×C×H×W, and the
            cloud-impact map, B×1×H×W.
        """
        impact = self.impact(optical, sar)
        simulated = self.translate(sar)
        filled = torch.lerp(
            optical, simulated.to(optical.dtype), impact.to(optical.dtype)
        )
        fused = filled + self.complement(torch.cat([filled, sar], 1))
        return fused, simulated, impact


class TranslationHead(nn.Module):
    """Make an optical image of the features simulated from SAR.

    Args:
        dims: Width of each stage, finest first.
        out_channels: Number of optical bands C.
        width: Width that all stages are brought to.

    Example:
        >>> head = TranslationHead((8, 16), 3)
        >>> head([torch.rand(1, 8, 8, 8), torch.rand(1, 16, 4, 4)]).shape
        torch.Size([1, 3, 32, 32])
    """

    def __init__(self, dims: Sequence[int], out_channels: int, width: int = 64) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(dim, width, 1) for dim in dims)
        self.up = nn.Sequential(
            nn.GELU(),
            nn.Conv2d(width, 16 * out_channels, 3, padding=1),
            nn.PixelShuffle(4),
        )

    def forward(self, simulated: Sequence[Tensor]) -> Tensor:
        """Decode the simulated features.

        Args:
            simulated: Feature maps, finest first, the first at 1/4 of the resolution.

        Returns:
            Optical image, B×C×H×W.
        """
        maps = [lateral(x) for lateral, x in zip(self.laterals, simulated, strict=True)]
        total = maps[0]
        for x in maps[1:]:
            total = total + F.interpolate(x, total.shape[-2:], mode='bilinear')
        image: Tensor = self.up(total)
        return image
