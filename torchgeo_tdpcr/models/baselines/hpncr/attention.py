# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Attention within windows of maps that are continued by reflection.

Its position bias is what an MLP makes of the logarithms of offsets, after Z. Liu et al.,
*Swin Transformer V2*, CVPR 2022; the reflection in place of a cyclic shift with a mask is
after Y. Song et al., *Vision Transformers for Single Image Dehazing*, IEEE TIP, 2023
(https://arxiv.org/abs/2204.03883).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Width of the MLP of position biases.
HIDDEN = 256


class OffsetBias(nn.Module):
    """An MLP of the offset between two pixels of a window, one number for each head.

    The offset of a key from its query goes in as sign · ln(1 + abs(query - key)),
    row and column. The MLP sees each offset once, however many pairs of pixels have it.

    Args:
        window: Height and width of a window.
        heads: Number of attention heads.

    Example:
        >>> OffsetBias(8, heads=4)().shape
        torch.Size([4, 64, 64])
    """

    offsets: Tensor
    index: Tensor

    def __init__(self, window: int, heads: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(2, HIDDEN), nn.LeakyReLU(), nn.Linear(HIDDEN, heads)
        )
        side = 2 * window - 1
        span = torch.arange(side).float() - (window - 1)
        span = span.sign() * span.abs().log1p()
        offsets = torch.cartesian_prod(span, span)
        self.register_buffer('offsets', offsets, persistent=False)
        pixel = torch.arange(window * window)
        row, column = pixel // window, pixel % window
        index = (row[:, None] - row + window - 1) * side + (
            column[:, None] - column + window - 1
        )
        self.register_buffer('index', index, persistent=False)

    def forward(self) -> Tensor:
        """Compute the biases.

        Returns:
            Biases, heads × queries × keys of one window.
        """
        table: Tensor = self.mlp(self.offsets)
        return table.t()[:, self.index]


def smallest_map(window: int) -> int:
    """Height and width from which on maps can be reflected to fill all windows.

    A reflection mirrors at most one pixel less than the map has; a grid that is moved by
    half a window needs the most.

    Args:
        window: Height and width of a window.

    Returns:
        A number of pixels, about three quarters of the window.

    Example:
        >>> smallest_map(16)
        13
    """
    return (2 * window - window // 2) // 2 + 1


def window_attention(
    query_key: Tensor, value: Tensor, bias: Tensor, window: int, shift: int
) -> Tensor:
    """Attend within windows, for maps from :func:`smallest_map` on.

    Maps are continued by reflection: above and at the left by *shift*, which moves the
    windows' grid, below and at the right up to the next multiple of the window. The
    continued part is cropped again. So a shifted grid needs no mask.

    Args:
        query_key: Queries, then keys, B×2C×H×W.
        value: B×C×H×W.
        bias: What is added to the logits, heads × window² × window².
        window: Height and width of a window.
        shift: By how many pixels the grid of windows is moved, at most half a window.

    Returns:
        B×C×H×W.

    Example:
        >>> image = torch.rand(1, 4, 10, 13)
        >>> query_key = torch.cat([image, image], 1)
        >>> window_attention(query_key, image, torch.zeros(2, 16, 16), 4, 2).shape
        torch.Size([1, 4, 10, 13])
    """
    batch, channels, height, width = value.shape
    heads = bias.shape[0]
    depth = channels // heads
    below, right = (-(n + shift) % window for n in (height, width))
    rows, columns = (
        (height + shift + below) // window,
        (width + shift + right) // window,
    )
    x = torch.cat([query_key, value], 1)
    if shift or below or right:
        x = F.pad(x, (shift, right, shift, below), mode='reflect')
    x = x.permute(0, 2, 3, 1)
    x = x.reshape(batch, rows, window, columns, window, 3, heads, depth)
    x = x.permute(5, 0, 1, 3, 6, 2, 4, 7)
    x = x.reshape(3, batch * rows * columns, heads, window * window, depth)
    # The fast kernel of GPUs that takes a bias wants heads of a multiple of 8. Zeros
    # change neither products nor sums.
    query, key, value = F.pad(x, (0, -depth % 8)).unbind()
    out = F.scaled_dot_product_attention(
        query, key, value, attn_mask=bias[None].to(query.dtype), scale=depth**-0.5
    )
    out = out[..., :depth].reshape(batch, rows, columns, heads, window, window, depth)
    out = out.permute(0, 1, 4, 2, 5, 3, 6)
    out = out.reshape(batch, rows * window, columns * window, channels)
    out = out[:, shift : shift + height, shift : shift + width]
    return out.permute(0, 3, 1, 2)
