# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Attention within windows, for maps of any size, and its learned position bias.

After Z. Liu et al.: *Swin Transformer: Hierarchical Vision Transformer using Shifted
Windows*, ICCV 2021. https://arxiv.org/abs/2103.14030
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PositionBias(nn.Module):
    """A learned number for each head and each offset between two pixels of a window.

    Args:
        window: Height and width of a window.
        heads: Number of attention heads.

    Example:
        >>> PositionBias(8, heads=4)().shape
        torch.Size([4, 64, 64])
    """

    index: Tensor

    def __init__(self, window: int, heads: int) -> None:
        super().__init__()
        side = 2 * window - 1
        self.table = nn.Parameter(torch.empty(heads, side * side))
        nn.init.trunc_normal_(self.table, std=0.02)
        pixel = torch.arange(window * window)
        row, column = pixel // window, pixel % window
        offset = (row[:, None] - row + window - 1) * side + (
            column[:, None] - column + window - 1
        )
        self.register_buffer('index', offset, persistent=False)

    def forward(self) -> Tensor:
        """Look the biases up.

        Returns:
            Biases, heads × pixels × pixels of one window.
        """
        return self.table[:, self.index]


def window_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, window: int, shift: int
) -> Tensor:
    """Attend within windows, for maps of any size.

    Maps that are no multiple of the window are continued by their border pixels: above
    and at the left by *shift*, which moves the windows' grid, below and at the right up
    to the next multiple. The continued part is cropped again. So a shifted grid needs
    no cyclic roll and no mask.

    Args:
        query: B×C×H×W.
        key: B×C×H×W.
        value: B×V×H×W.
        bias: What is added to the logits, heads × window² × window².
        window: Height and width of a window.
        shift: By how many pixels the grid of windows is moved, less than a window.

    Returns:
        B×V×H×W.

    Example:
        >>> image = torch.rand(1, 4, 10, 13)
        >>> window_attention(image, image, image, torch.zeros(2, 16, 16), 4, 2).shape
        torch.Size([1, 4, 10, 13])
    """
    batch, channels, height, width = value.shape
    heads = bias.shape[0]
    below, right = (-(n + shift) % window for n in (height, width))
    rows, columns = (
        (height + shift + below) // window,
        (width + shift + right) // window,
    )

    def split(x: Tensor) -> Tensor:
        if shift or below or right:
            x = F.pad(x, (shift, right, shift, below), mode='replicate')
        x = x.permute(0, 2, 3, 1)
        x = x.reshape(batch, rows, window, columns, window, heads, -1)
        x = x.permute(0, 1, 3, 5, 2, 4, 6)
        return x.reshape(batch * rows * columns, heads, window * window, -1)

    out = F.scaled_dot_product_attention(
        split(query), split(key), split(value), attn_mask=bias[None].to(query.dtype)
    )
    out = out.reshape(batch, rows, columns, heads, window, window, -1)
    out = out.permute(0, 1, 4, 2, 5, 3, 6)
    out = out.reshape(batch, rows * window, columns * window, channels)
    out = out[:, shift : shift + height, shift : shift + width]
    return out.permute(0, 3, 1, 2)
