# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Blocks of ECRformer: attention over channels, over dilated windows, and a gated MLP.

Attention over channels and the gated feed-forward network are after S. W. Zamir et al.:
*Restormer: Efficient Transformer for High-Resolution Image Restoration*, CVPR 2022.
https://arxiv.org/abs/2111.09881
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn

from ...inputs import padded


class TransposedAttention(nn.Module):
    """Cross-covariance attention: channels attend to channels, over all pixels.

    Its cost grows linearly with the number of pixels. Queries and keys are normalised
    over the pixels, so that what is weighed is their correlation.

    Args:
        heads: Number of heads, a divisor of the channels.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend.

        Args:
            q: Queries, B×C×H×W.
            k: Keys of the same shape.
            v: Values of the same shape.

        Returns:
            Mixed values of the same shape.
        """
        size = v.shape[-2:]
        q, k, v = (x.unflatten(1, (self.heads, -1)).flatten(3) for x in (q, k, v))
        # In half precision the sum of squares over an image may overflow.
        q, k = (F.normalize(x.float(), dim=-1).to(v.dtype) for x in (q, k))
        weights = (q @ k.transpose(-2, -1) * self.temperature).softmax(-1)
        mixed: Tensor = (weights.to(v.dtype) @ v).flatten(1, 2).unflatten(2, size)
        return mixed


class DilatedWindowAttention(nn.Module):
    """Attention within windows of pixels that lie a number of pixels apart.

    With dilation d, a window of w×w pixels spans w·d×w·d of the image, and takes every
    d-th pixel of it in each direction. The windows of the d·d offsets together cover the
    image once.

    Args:
        heads: Number of heads, a divisor of the channels.
        window: Pixels w of a window in each direction.
        dilation: Distance d of neighbours in a window.

    Example:
        >>> x = torch.rand(1, 4, 9, 13)
        >>> DilatedWindowAttention(heads=2, window=4, dilation=2)(x, x, x).shape
        torch.Size([1, 4, 9, 13])
    """

    def __init__(self, heads: int, window: int, dilation: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.dilation = dilation

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend.

        Args:
            q: Queries, B×C×H×W, any H and W: borders are repeated to fill windows.
            k: Keys of the same shape.
            v: Values of the same shape.

        Returns:
            Mixed values of the same shape.
        """
        height, width = q.shape[-2:]
        q, k, v = (padded(x, self.window * self.dilation) for x in (q, k, v))
        rows, columns = (
            n // (self.window * self.dilation) for n in (q.shape[-2], q.shape[-1])
        )
        x = F.scaled_dot_product_attention(
            self._windows(q), self._windows(k), self._windows(v)
        )
        window, dilation = self.window, self.dilation
        # (B, row, offset, column, offset), heads, (i, j), dim: back to the image
        x = x.unflatten(2, (window, window))
        x = x.unflatten(0, (-1, rows, dilation, columns, dilation))
        x = x.permute(0, 5, 8, 1, 6, 2, 3, 7, 4)
        x = x.flatten(7, 8).flatten(6, 7).flatten(3, 4).flatten(3, 4).flatten(1, 2)
        mixed: Tensor = x[..., :height, :width]
        return mixed

    def _windows(self, x: Tensor) -> Tensor:
        """Sort pixels by window: B×C×H×W to (windows of all images)×heads×w²×dim."""
        x = x.unflatten(3, (-1, self.window, self.dilation))
        x = x.unflatten(2, (-1, self.window, self.dilation))
        x = x.unflatten(1, (self.heads, -1))
        # B, heads, dim, row, i, offset, column, j, offset
        x = x.permute(0, 3, 5, 6, 8, 1, 4, 7, 2)
        return x.flatten(6, 7).flatten(0, 4)


class MixedAttention(nn.Module):
    """Half of the channels attend over channels, the other half over windows.

    The half for windows is shared out evenly among the dilations.

    Args:
        channels: Number of channels C.
        heads: Number of heads of the transposed attention and of each dilation.
        window: Pixels of a window in each direction.
        dilations: Dilation of each group of window heads.

    Raises:
        ValueError: If the channels cannot be shared out evenly.
    """

    def __init__(
        self, channels: int, heads: int, window: int, dilations: Sequence[int]
    ) -> None:
        super().__init__()
        half = channels // 2
        if not dilations or channels % 2 or half % (heads * len(dilations)):
            raise ValueError(
                f'`heads={heads}` and `dilations={list(dilations)}` do not go with '
                f'{channels} channels: half of these must be a multiple of heads times '
                'the number of dilations, of which there is at least one.'
            )
        self.sizes = [half] + [half // len(dilations)] * len(dilations)
        self.qkv = nn.Sequential(
            nn.Conv2d(channels, 3 * channels, 1, bias=False),
            nn.Conv2d(
                3 * channels,
                3 * channels,
                3,
                padding=1,
                groups=3 * channels,
                bias=False,
            ),
        )
        self.over_channels = TransposedAttention(heads)
        self.over_windows = nn.ModuleList(
            DilatedWindowAttention(heads, window, dilation) for dilation in dilations
        )
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map of the same shape.
        """
        q, k, v = (y.split(self.sizes, 1) for y in self.qkv(x).chunk(3, 1))
        mixed = [self.over_channels(q[0], k[0], v[0])]
        mixed += [
            attend(q[i], k[i], v[i]) for i, attend in enumerate(self.over_windows, 1)
        ]
        projected: Tensor = self.project(torch.cat(mixed, 1))
        return projected


class GatedFeedForward(nn.Module):
    """Two branches of 1×1 and depth-wise 3×3 convolution, one gating the other.

    Args:
        channels: Number of channels C.
        expansion: Width of each branch as a multiple of C.
    """

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.expand = nn.Sequential(
            nn.Conv2d(channels, 2 * hidden, 1, bias=False),
            nn.Conv2d(
                2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False
            ),
        )
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each pixel and its neighbours.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map of the same shape.
        """
        gate, value = self.expand(x).chunk(2, 1)
        projected: Tensor = self.project(F.gelu(gate) * value)
        return projected


class ECRBlock(nn.Module):
    """Mixed attention, then a gated feed-forward network, each a residual.

    Args:
        channels: Number of channels C.
        heads: Number of heads of each group of channels.
        window: Pixels of a window in each direction.
        dilations: Dilation of each group of window heads.
        expansion: Width of the feed-forward branches as a multiple of C.

    Example:
        >>> ECRBlock(8, 1, 4, (1, 2), 2.0)(torch.rand(1, 8, 9, 13)).shape
        torch.Size([1, 8, 9, 13])
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        dilations: Sequence[int],
        expansion: float,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.attention = MixedAttention(channels, heads, window, dilations)
        self.norm2 = LayerNorm2d(channels)
        self.feed_forward = GatedFeedForward(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map of the same shape.
        """
        x = x + self.attention(self.norm1(x))
        refined: Tensor = x + self.feed_forward(self.norm2(x))
        return refined


class ResidualConvs(nn.Module):
    """Two 3×3 convolutions with GELU between them, as a residual.

    Args:
        channels: Number of channels C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map of the same shape.
        """
        refined: Tensor = x + self.body(x)
        return refined
