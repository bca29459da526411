# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Blocks of the hourglass diffusion transformer, over maps with the channels last.

After K. Crowson, S. A. Baumann, A. Birch, T. M. Abraham, D. Z. Kaplan, E. Shippole:
*Scalable High-Resolution Pixel-Space Image Synthesis with Hourglass Diffusion
Transformers*, 2024. https://arxiv.org/abs/2401.11605
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import global_attention, neighbourhood_attention

EPSILON = 1e-6


def rms_norm(x: Tensor) -> Tensor:
    """Scale each pixel to a root mean square of one, computed in float32.

    Args:
        x: Features, …×C.

    Returns:
        Normalised features, float32.
    """
    x = x.float()
    return x * (x.square().mean(-1, keepdim=True) + EPSILON).rsqrt()


class Norm(nn.Module):
    """RMS norm with a learned gain, which keeps the type that autocast gave its input.

    Args:
        channels: Width C of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise features.

        Args:
            x: Features, …×C.

        Returns:
            Normalised features of the same shape and type.
        """
        return (rms_norm(x) * self.gain).to(x.dtype)


class AdaptiveNorm(nn.Module):
    """RMS norm whose gain the noise level sets; at the start the gain is one.

    Args:
        channels: Width C of the features.
        mapping: Width M of the condition.
    """

    def __init__(self, channels: int, mapping: int) -> None:
        super().__init__()
        self.gain = nn.Linear(mapping, channels, bias=False)
        nn.init.zeros_(self.gain.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Normalise a map.

        Args:
            x: Map, B×H×W×C.
            condition: Features of the noise level, B×M or 1×M.

        Returns:
            Normalised map of the same shape and type.
        """
        gain: Tensor = 1 + self.gain(condition).float()[:, None, None]
        return (rms_norm(x) * gain).to(x.dtype)


class RotaryPosition(nn.Module):
    """Turn part of the queries and keys by angles that grow with row and column.

    Half of each head is turned, a quarter by the row and a quarter by the column.
    Positions are those of the pixels' centres; the longer side of the map spans -1 to 1,
    and the shorter one as much less as it is shorter.

    Args:
        heads: Number of heads.
        head_dim: Width of a head, a multiple of 8.
    """

    frequencies: Tensor

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        count = head_dim // 8
        steps = torch.arange(heads * count) / (heads * count)
        # From π to 10π, dealt out so that every head gets the whole range.
        frequencies = math.pi * 10**steps
        self.register_buffer(
            'frequencies', frequencies.view(count, heads).T.clone(), persistent=False
        )

    def forward(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the angles of a map.

        Args:
            height: Rows H of the map.
            width: Columns W of the map.

        Returns:
            Cosines and sines, H×W×heads×(head_dim/4) each.
        """
        rows, columns = (
            (2 * torch.arange(n, device=self.frequencies.device) + 1 - n)
            / max(height, width)
            for n in (height, width)
        )
        angles = torch.cat(
            [
                (rows[:, None, None] * self.frequencies)[:, None].expand(
                    -1, width, -1, -1
                ),
                (columns[:, None, None] * self.frequencies)[None].expand(
                    height, -1, -1, -1
                ),
            ],
            -1,
        )
        return angles.cos(), angles.sin()


def unit(x: Tensor) -> Tensor:
    """Scale vectors to unit length, computed in float32.

    Args:
        x: Queries or keys, …×D.

    Returns:
        Vectors of the same shape, float32; shorter than 1 where *x* is near zero.
    """
    x = x.float()
    return x * (x.square().sum(-1, keepdim=True) + EPSILON).rsqrt()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn pairs of channels, and leave the rest.

    Args:
        x: Queries or keys, …×D.
        cosine: Cosines of the angles, …×P with 2P ≤ D.
        sine: Sines of the angles, of the same shape.

    Returns:
        Turned queries or keys of the shape of *x*.

    Example:
        >>> rotate(torch.tensor([1., 0., 5.]), torch.zeros(1), torch.ones(1)).tolist()
        [0.0, 1.0, 5.0]
    """
    pairs = cosine.shape[-1]
    first, second, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    turned = (first * cosine - second * sine, first * sine + second * cosine)
    return torch.cat([*turned, rest], -1)


class SelfAttention(nn.Module):
    """Residual self-attention by cosine similarity, global or in a neighbourhood.

    Args:
        channels: Width C, a multiple of *head_dim*.
        mapping: Width M of the condition.
        head_dim: Width of a head, a multiple of 8.
        kernel_size: Height and width of the neighbourhood, None for global attention.
        dropout: Share of what is attended to that is dropped in training.
    """

    def __init__(
        self,
        channels: int,
        mapping: int,
        head_dim: int,
        kernel_size: int | None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads = channels // head_dim
        self.kernel_size = kernel_size
        self.norm = AdaptiveNorm(channels, mapping)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.scale = nn.Parameter(torch.full((self.heads, 1), 10.0))
        self.position = RotaryPosition(self.heads, head_dim)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(channels, channels, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Attend.

        Args:
            x: Map, B×H×W×C.
            condition: Features of the noise level, B×M or 1×M.

        Returns:
            Map of the same shape.
        """
        qkv = self.qkv(self.norm(x, condition)).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.unbind(-3)
        turn = self.position(x.shape[1], x.shape[2])
        query = rotate(unit(query), *turn) * self.scale
        key = rotate(unit(key), *turn)
        query, key = query.to(value.dtype), key.to(value.dtype)
        if self.kernel_size is None:
            mixed = global_attention(query, key, value)
        else:
            mixed = neighbourhood_attention(query, key, value, self.kernel_size)
        out: Tensor = x + self.out(self.dropout(mixed.flatten(-2)))
        return out


class FeedForward(nn.Module):
    """Residual feed-forward layer with a GELU gate.

    Args:
        channels: Width C.
        hidden: Width between the two linear layers.
        mapping: Width M of the condition, None for a plain norm with a learned gain.
        dropout: Share of the hidden features that is dropped in training.
    """

    def __init__(
        self, channels: int, hidden: int, mapping: int | None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm = (
            Norm(channels) if mapping is None else AdaptiveNorm(channels, mapping)
        )
        self.up = nn.Linear(channels, 2 * hidden, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.down = nn.Linear(hidden, channels, bias=False)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Mix the channels of each pixel.

        Args:
            x: Map, B×H×W×C; B×C without a condition.
            condition: Features of the noise level, B×M or 1×M.

        Returns:
            Map of the same shape.
        """
        normed = self.norm(x) if condition is None else self.norm(x, condition)
        value, gate = self.up(normed).chunk(2, -1)
        out: Tensor = x + self.down(self.dropout(value * F.gelu(gate)))
        return out


class Block(nn.Module):
    """Self-attention, then a feed-forward layer.

    Args:
        channels: Width C, a multiple of *head_dim*.
        hidden: Width of the feed-forward layer.
        mapping: Width M of the condition.
        head_dim: Width of a head, a multiple of 8.
        kernel_size: Height and width of the neighbourhood, None for global attention.
        dropout: Share of features that is dropped in training.

    Example:
        >>> block = Block(16, 32, 8, head_dim=8, kernel_size=3)
        >>> block(torch.rand(2, 5, 6, 16), torch.rand(2, 8)).shape
        torch.Size([2, 5, 6, 16])
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        mapping: int,
        head_dim: int = 64,
        kernel_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(
            channels, mapping, head_dim, kernel_size, dropout
        )
        self.feed_forward = FeedForward(channels, hidden, mapping, dropout)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Refine a map.

        Args:
            x: Map, B×H×W×C.
            condition: Features of the noise level, B×M or 1×M.

        Returns:
            Map of the same shape.
        """
        x = self.attention(x, condition)
        refined: Tensor = self.feed_forward(x, condition)
        return refined
