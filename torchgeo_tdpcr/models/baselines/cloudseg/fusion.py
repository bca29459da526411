# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The fusion of a stage of CloudSeg."""

import torch
from timm.layers.squeeze_excite import SqueezeExcite
from torch import Tensor, nn
from torch.nn import functional as F


class MultiScale(nn.Module):
    """Mix a map with the maxima of its 2×2 and 4×4 neighbourhoods.

    Where a side is shorter than a neighbourhood, the whole of it is one: the published
    block needs 4×4 pixels.

    Args:
        channels: Number of channels C.

    Example:
        >>> MultiScale(16)(torch.rand(2, 16, 5, 3)).shape
        torch.Size([2, 16, 5, 3])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the scales.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map, B×C×H×W, not negative.
        """
        size = (x.shape[2], x.shape[3])
        scales = [x]
        for side in (2, 4):
            pooled = F.max_pool2d(x, (min(side, size[0]), min(side, size[1])))
            scales.append(F.interpolate(pooled, size))
        return F.relu(self.mix(torch.cat(scales, 1)))


class SpatialGate(nn.Module):
    """How much to believe the optical image at each pixel, from how it differs from SAR.

    Example:
        >>> SpatialGate()(torch.rand(2, 16, 8, 8)).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1, momentum=0.01)
        )

    def forward(self, difference: Tensor) -> Tensor:
        """Compute the gate.

        Args:
            difference: Optical minus SAR features, B×C×H×W.

        Returns:
            The gate, B×1×H×W, from 0 to 1.
        """
        largest = difference.amax(1, keepdim=True)
        statistics = torch.cat([largest, difference.mean(1, keepdim=True)], 1)
        gate: Tensor = self.gate(statistics).sigmoid()
        return gate


class CloudSegFusion(nn.Module):
    """Fuse the streams of a stage, and hand optical and SAR their share of the result.

    Args:
        channels: Number of channels C of each stream.
        cross: Whether there is a cross stream already; at the first stage there is not.
        gated: Whether the optical features pass the spatial gate; the teacher, which
            sees no clouds, has none.
        updates_optical: Whether to hand optical its share; else it is returned as it is.
        updates_sar: Whether to hand SAR its share.

    Example:
        >>> fuse = CloudSegFusion(16, cross=True)
        >>> [tuple(x.shape) for x in fuse(*torch.rand(3, 2, 16, 8, 8))]
        [(2, 16, 8, 8), (2, 16, 8, 8), (2, 16, 8, 8)]
    """

    def __init__(
        self,
        channels: int,
        cross: bool,
        gated: bool = True,
        updates_optical: bool = True,
        updates_sar: bool = True,
    ) -> None:
        super().__init__()
        streams = 3 if cross else 2
        self.scales = nn.ModuleList(MultiScale(channels) for _ in range(streams))
        self.gate = SpatialGate() if gated else None
        joint = streams * channels
        self.excite = SqueezeExcite(joint, rd_channels=joint // 16, bias=False)
        self.to_optical, self.to_sar = (
            nn.Conv2d(channels, channels, 3, padding=1) if wanted else None
            for wanted in (updates_optical, updates_sar)
        )

    def forward(
        self, optical: Tensor, sar: Tensor, cross: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse one stage.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.
            cross: Feature of the cross stream, B×C×H×W, where there is one.

        Returns:
            The optical and the SAR feature with their shares, and the fused feature; all
            B×C×H×W.
        """
        streams = [optical, sar] if cross is None else [optical, sar, cross]
        parts = [scale(x) for scale, x in zip(self.scales, streams, strict=True)]
        seen, radar = parts[:2]
        if self.gate is not None:
            parts[0] = self.gate(seen - radar) * seen
        weighted = self.excite(torch.cat(parts, 1))
        fused = torch.stack(weighted.chunk(len(parts), 1)).sum(0)
        return (
            _with_share(self.to_optical, optical, fused - seen),
            _with_share(self.to_sar, sar, fused - radar),
            fused,
        )


def _with_share(gate: nn.Module | None, x: Tensor, news: Tensor) -> Tensor:
    """A stream, with as much of what is new to it as its gate lets through."""
    return x if gate is None else x + news * gate(news).sigmoid()
