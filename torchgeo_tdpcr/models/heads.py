# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Segmentation decoders over the reconstruction decoder's feature maps.

Eqs. 9–10 of the TDP-CR paper (https://arxiv.org/abs/2601.12052), in the reading that
reproduces its Table I and in the literal one.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .nafblock import MirroredConv2d


def _gathered(layers: nn.ModuleList, features: Sequence[Tensor]) -> Tensor:
    """Run a layer on each map, bring all to the size of the first, concatenate them."""
    maps = [layer(x) for layer, x in zip(layers, features, strict=True)]
    size = maps[0].shape[-2:]
    coarser = (
        F.interpolate(m, size, mode='bilinear', align_corners=False) for m in maps[1:]
    )
    return torch.cat([maps[0], *coarser], 1)


class SegmentationDecoder(nn.Module):
    """Lateral 1×1 convolutions, up-sampling, then one 3×3 and one 1×1 convolution.

    Of the readings of Eqs. 9–10 that were tried, the one whose parameters and FLOPs are
    those of Table I: it spends the 3×3 convolution once, at full resolution.

    Args:
        in_channels: Widths of the decoder's maps, finest first.
        num_classes: Number of land-cover classes K.
        channels: Unified width U.

    Example:
        >>> head = SegmentationDecoder([32, 64], num_classes=7)
        >>> head([torch.rand(1, 32, 16, 16), torch.rand(1, 64, 8, 8)]).shape
        torch.Size([1, 7, 16, 16])
    """

    def __init__(
        self, in_channels: Sequence[int], num_classes: int, channels: int = 32
    ) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in in_channels)
        self.predict = nn.Sequential(
            MirroredConv2d(len(in_channels) * channels, channels),
            nn.GELU(),
            nn.Conv2d(channels, num_classes, 1),
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Predict land cover.

        Args:
            features: Maps of the reconstruction decoder, finest first.

        Returns:
            Logits, B×K×H×W, at the size of the first map.
        """
        logits: Tensor = self.predict(_gathered(self.laterals, features))
        return logits


class LiteralSegmentationDecoder(nn.Module):
    """Eqs. 9–10 to the letter: a 3×3 convolution at each scale, then one 1×1.

    Args:
        in_channels: Widths of the decoder's maps, finest first.
        num_classes: Number of land-cover classes K.
        channels: Unified width U.

    Example:
        >>> head = LiteralSegmentationDecoder([32, 64], num_classes=7)
        >>> head([torch.rand(1, 32, 16, 16), torch.rand(1, 64, 8, 8)]).shape
        torch.Size([1, 7, 16, 16])
    """

    def __init__(
        self, in_channels: Sequence[int], num_classes: int, channels: int = 8
    ) -> None:
        super().__init__()
        self.projections = nn.ModuleList(
            MirroredConv2d(c, channels) for c in in_channels
        )
        self.predict = nn.Conv2d(len(in_channels) * channels, num_classes, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Predict land cover, see :meth:`SegmentationDecoder.forward`."""
        logits: Tensor = self.predict(_gathered(self.projections, features))
        return logits
