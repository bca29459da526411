# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The attentions of ECRformer: over channels, over neighbours, and as gates.

Attention over channels is after S. W. Zamir et al.: *Restormer: Efficient Transformer for
High-Resolution Image Restoration*, CVPR 2022 (https://arxiv.org/abs/2111.09881), that over
dilated neighbourhoods after J. Jiao et al.: *DilateFormer*, IEEE Transactions on
Multimedia, 2023 (https://arxiv.org/abs/2302.01791), the gates after S. Woo et al.: *CBAM:
Convolutional Block Attention Module*, ECCV 2018 (https://arxiv.org/abs/1807.06521).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convs import conv


class TransposedAttention(nn.Module):
    """Cross-covariance attention: channels attend to channels, over all pixels.

    Its cost grows linearly with the number of pixels. Queries and keys are normalised
    over the pixels, so that what is weighed is their correlation.

    Args:
        channels: Number of channels C.
        heads: Number of heads, a divisor of C; each has consecutive channels.

    Example:
        >>> TransposedAttention(8, heads=2)(torch.rand(1, 8, 9, 13)).shape
        torch.Size([1, 8, 9, 13])
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Sequential(
            conv(channels, 3 * channels, 1),
            conv(3 * channels, 3 * channels, 3, groups=3 * channels),
        )
        self.project = conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend.

        Args:
            x: Feature map, B×C×H×W, H and W at least 2.

        Returns:
            Feature map of the same shape.
        """
        size = x.shape[-2:]
        q, k, v = (
            y.unflatten(1, (self.heads, -1)).flatten(3) for y in self.qkv(x).chunk(3, 1)
        )
        # In half precision the sum of squares over an image may overflow.
        q, k = (F.normalize(y.float(), dim=-1).to(v.dtype) for y in (q, k))
        weights = (q @ k.transpose(-2, -1) * self.temperature).softmax(-1)
        mixed = (weights.to(v.dtype) @ v).flatten(1, 2).unflatten(2, size)
        projected: Tensor = self.project(mixed)
        return projected


def neighbour_attention(
    query: Tensor, key: Tensor, value: Tensor, heads: int, dilation: int
) -> Tensor:
    """Let every pixel attend to itself and its eight neighbours at a distance.

    Computed by nine shifted views of keys and values, without a copy of any: in training
    it keeps less than a third of what unfolded neighbourhoods take.

    Args:
        query: B×C×H×W.
        key: The same shape.
        value: The same shape.
        heads: Number of heads, a divisor of C; each has consecutive channels.
        dilation: Distance of the neighbours in pixels, less than H and W: images are
            mirrored at their borders.

    Returns:
        Mixed values of the same shape, in channels_last.

    Example:
        >>> x = torch.rand(1, 4, 9, 13)
        >>> neighbour_attention(x, x, x, heads=2, dilation=3).shape
        torch.Size([1, 4, 9, 13])
    """
    height, width = query.shape[-2:]

    def by_head(x: Tensor) -> Tensor:
        split: Tensor = x.permute(0, 2, 3, 1).unflatten(3, (heads, -1))
        return split

    def shifted(x: Tensor) -> list[Tensor]:
        x = by_head(F.pad(x, (dilation,) * 4, mode='reflect'))
        return [
            x[:, top : top + height, left : left + width]
            for top in (0, dilation, 2 * dilation)
            for left in (0, dilation, 2 * dilation)
        ]

    query = by_head(query)
    query = query * query.shape[-1] ** -0.5
    logits = [(query * k).sum(-1, keepdim=True) for k in shifted(key)]
    weights = torch.cat(logits, -1).softmax(-1).to(value.dtype).split(1, -1)
    mixed = torch.zeros_like(query)
    for weight, v in zip(weights, shifted(value), strict=True):
        mixed = torch.addcmul(mixed, weight, v)
    return mixed.flatten(3).permute(0, 3, 1, 2)


class DilatedAttention(nn.Module):
    """Attention to 3×3 neighbourhoods, of another dilation for each group of channels.

    Neighbourhoods slide: every pixel is the middle of its own. A depth-wise convolution,
    padded with zeros, tells pixels where they are.

    Args:
        channels: Number of channels C.
        head_channels: Number of channels of a head.
        dilations: Number of groups; the groups' dilations count from 1.

    Example:
        >>> attend = DilatedAttention(16, head_channels=4, dilations=4)
        >>> attend(torch.rand(1, 16, 9, 13)).shape
        torch.Size([1, 16, 9, 13])
    """

    def __init__(self, channels: int, head_channels: int, dilations: int) -> None:
        super().__init__()
        self.dilations = dilations
        self.heads = channels // dilations // head_channels
        self.position = conv(
            channels, channels, 3, groups=channels, bias=True, border='zeros'
        )
        self.qkv = conv(channels, 3 * channels, 1)
        self.project = conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend.

        Args:
            x: Feature map, B×C×H×W, H and W larger than the largest dilation.

        Returns:
            Feature map of the same shape.
        """
        q, k, v = (
            y.chunk(self.dilations, 1)
            for y in self.qkv(x + self.position(x)).chunk(3, 1)
        )
        mixed = [
            neighbour_attention(q[i], k[i], v[i], self.heads, i + 1)
            for i in range(self.dilations)
        ]
        projected: Tensor = self.project(torch.cat(mixed, 1))
        return projected


class ChannelGate(nn.Module):
    """Scale every channel by what the means and the maxima of all channels say.

    Args:
        channels: Number of channels C.

    Example:
        >>> ChannelGate(48)(torch.rand(1, 48, 9, 13)).shape
        torch.Size([1, 48, 9, 13])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Any narrower than 16 channels is not in the paper
        narrow = max(channels // 16, 1)
        self.weigh = nn.Sequential(
            conv(channels, narrow, 1), nn.GELU(), conv(narrow, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Reweight the channels of a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map of the same shape.
        """
        mean, largest = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return x * torch.sigmoid(self.weigh(mean) + self.weigh(largest))


class SpatialGate(nn.Module):
    """Scale every pixel by what means and maxima over channels around it say.

    Example:
        >>> SpatialGate()(torch.rand(1, 48, 9, 13)).shape
        torch.Size([1, 48, 9, 13])
    """

    def __init__(self) -> None:
        super().__init__()
        self.weigh = conv(2, 1, 7)

    def forward(self, x: Tensor) -> Tensor:
        """Reweight the pixels of a feature map.

        Args:
            x: Feature map, B×C×H×W, H and W at least 4.

        Returns:
            Feature map of the same shape.
        """
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.weigh(pooled))


def gates(channels: int) -> nn.Sequential:
    """Gate the channels, then the pixels.

    Args:
        channels: Number of channels.

    Returns:
        Both gates.
    """
    return nn.Sequential(ChannelGate(channels), SpatialGate())
