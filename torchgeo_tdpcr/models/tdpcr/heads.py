# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Segmentation decoders over the reconstruction decoder's feature maps.

Eqs. 9–10 of the TDP-CR paper (https://arxiv.org/abs/2601.12052), in the reading that
reproduces its Table I and in the literal one; and one that looks further around.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn

from ..nafblock import MirroredConv2d, naf_stage


def _gathered(layers: nn.ModuleList, features: Sequence[Tensor]) -> Tensor:
    """Run a layer on each map, bring all to the size of the first, concatenate them."""
    maps = [layer(x) for layer, x in zip(layers, features, strict=True)]
    size = maps[0].shape[-2:]
    coarser = (
        F.interpolate(m, size, mode='bilinear', align_corners=False) for m in maps[1:]
    )
    return torch.cat([maps[0], *coarser], 1)


def _classifier(in_channels: int, channels: int, num_classes: int) -> nn.Sequential:
    """A 3×3 convolution to a width and a 1×1 convolution to logits."""
    return nn.Sequential(
        MirroredConv2d(in_channels, channels),
        nn.GELU(),
        nn.Conv2d(channels, num_classes, 1),
    )


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
        self.predict = _classifier(len(in_channels) * channels, channels, num_classes)

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


class ContextSegmentationDecoder(nn.Module):
    """Blocks of its own over the normalised maps, down to the deepest and back.

    What maps land cover is not at hand in the maps of a decoder that learnt to restore
    alone, and the one 3×3 convolution of :class:`SegmentationDecoder` is too little to
    find it. This one spends its operations at the coarser scales: a NAFBlock at each on
    the way down, where the map of that scale is added, and one on the way up. It is no
    part of the paper.

    Args:
        in_channels: Widths of the maps, finest first, each half as large as the one
            before.
        num_classes: Number of land-cover classes K.
        channels: Width at the finest scale; twice that at the next, then four times.

    Example:
        >>> head = ContextSegmentationDecoder([32, 64], num_classes=7)
        >>> head([torch.rand(1, 32, 16, 16), torch.rand(1, 64, 8, 8)]).shape
        torch.Size([1, 7, 16, 16])
    """

    def __init__(
        self, in_channels: Sequence[int], num_classes: int, channels: int = 32
    ) -> None:
        super().__init__()
        widths = [channels * min(2**i, 4) for i in range(len(in_channels))]
        steps = list(pairwise(widths))
        self.laterals = nn.ModuleList(
            nn.Sequential(LayerNorm2d(c), nn.Conv2d(c, width, 1))
            for c, width in zip(in_channels, widths, strict=True)
        )
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in steps)
        self.refine_down = nn.ModuleList(naf_stage(b, 1) for _, b in steps)
        self.ups = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in steps)
        # None at the finest scale, where a block costs as much as all the others
        self.refine_up = nn.ModuleList(naf_stage(a, 1) for a, _ in steps[1:])
        self.predict = _classifier(channels, channels, num_classes)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Predict land cover, see :meth:`SegmentationDecoder.forward`."""
        maps = [layer(x) for layer, x in zip(self.laterals, features, strict=True)]
        scales = maps[:1]
        for down, refine, coarser in zip(
            self.downs, self.refine_down, maps[1:], strict=True
        ):
            scales.append(refine(down(scales[-1]) + coarser))

        x = scales.pop()
        for i in reversed(range(len(self.ups))):
            finer = scales.pop()
            x = finer + F.interpolate(
                self.ups[i](x), finer.shape[-2:], mode='bilinear', align_corners=False
            )
            if i:
                x = self.refine_up[i - 1](x)
        logits: Tensor = self.predict(x)
        return logits
