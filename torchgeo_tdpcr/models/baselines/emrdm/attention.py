# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Self-attention over a map: between all pixels, or of each with its neighbourhood.

The neighbourhood attention is that of A. Hassani, S. Walton, J. Li, S. Li, H. Shi:
*Neighborhood Attention Transformer*, CVPR 2023, https://arxiv.org/abs/2204.07143,
in plain PyTorch: tiles of pixels share the keys around them, and a mask leaves each
pixel its own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

#: Pixels on a side of the tiles that share keys.
TILE = 8
#: Tiles of a chip attended to in one go; more are taken in turn, to bound memory.
MAX_TILES = 1024


def check_kernel(kernel_size: int) -> None:
    """Raise if a window has no centre.

    Args:
        kernel_size: Height and width of the window.

    Raises:
        ValueError: If *kernel_size* is even or not positive.

    Example:
        >>> check_kernel(7)
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(
            f'`kernel_size={kernel_size}` must be odd and positive, so that a window '
            'has a centre.'
        )


def global_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention between all pixels of a map; the scale is in the queries.

    Args:
        query: Queries, B×H×W×heads×D.
        key: Keys of the same shape.
        value: Values of the same shape.

    Returns:
        Mixed values of the same shape.

    Example:
        >>> x = torch.rand(2, 4, 5, 3, 8)
        >>> global_attention(x, x, x).shape
        torch.Size([2, 4, 5, 3, 8])
    """
    height, width = query.shape[1:3]
    query, key, value = (x.flatten(1, 2).transpose(1, 2) for x in (query, key, value))
    mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
    mixed = mixed.transpose(1, 2)
    back: Tensor = mixed.unflatten(1, (height, width))
    return back


def neighbourhood_attention(
    query: Tensor, key: Tensor, value: Tensor, kernel_size: int
) -> Tensor:
    """Attention of each pixel with the window around it; the scale is in the queries.

    A window that would cross the border is moved inside, so every pixel has
    ``kernel_size ** 2`` keys, fewer only where the map itself is smaller.

    Keys and values are copied about three times (a tile of 8×8 pixels shares 14×14
    keys for windows of 7), not 49 times, and for :data:`MAX_TILES` tiles of
    a chip at most at once; the products are four times as many as needed.

    Args:
        query: Queries, B×H×W×heads×D.
        key: Keys of the same shape.
        value: Values of the same shape.
        kernel_size: Height and width of the window, odd.

    Returns:
        Mixed values of the same shape.

    Raises:
        ValueError: If *kernel_size* is even or not positive.

    Example:
        >>> x = torch.rand(2, 9, 12, 3, 8)
        >>> neighbourhood_attention(x, x, x, 7).shape
        torch.Size([2, 9, 12, 3, 8])
    """
    check_kernel(kernel_size)
    height, width, heads, depth = query.shape[1:]
    window, tile, halo = zip(
        *(_tiling(n, min(kernel_size, n)) for n in (height, width)), strict=True
    )
    down, right = ((n + t - 1) // t for n, t in zip((height, width), tile, strict=True))
    below, beside = down * tile[0] - height, right * tile[1] - width
    device = query.device
    row_masks = _masks(height, window[0], tile[0], down, halo[0], device)
    column_masks = _masks(width, window[1], tile[1], right, halo[1], device)

    query = F.pad(query, (0, 0, 0, 0, 0, beside, 0, below))
    around = (0, 0, 0, 0, halo[1], halo[1] + beside, halo[0], halo[0] + below)
    views = [query.unfold(1, tile[0], tile[0]).unfold(2, tile[1], tile[1])]
    for x in (key, value):
        x = F.pad(x, around)
        x = x.unfold(1, tile[0] + 2 * halo[0], tile[0])
        views.append(x.unfold(2, tile[1] + 2 * halo[1], tile[1]))

    strips = []
    step = max(MAX_TILES // right, 1)
    for start in range(0, down, step):
        rows = slice(start, start + step)
        # B×down×right×heads×D×h×w → tiles×(B·heads)×(h·w)×D: the mask, the same for all
        # chips and heads, is then broadcast, not copied.
        queries, keys, values = (
            x[:, rows]
            .permute(1, 2, 0, 3, 5, 6, 4)
            .flatten(4, 5)
            .flatten(2, 3)
            .flatten(0, 1)
            for x in views
        )
        mask = (
            row_masks[rows, None, :, None, :, None]
            & column_masks[None, :, None, :, None, :]
        )
        mask = mask.flatten(4, 5).flatten(2, 3).flatten(0, 1)[:, None]
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, scale=1.0
        )
        mixed = mixed.reshape(-1, right, query.shape[0], heads, *tile, depth)
        strips.append(mixed.permute(2, 0, 4, 1, 5, 3, 6).flatten(3, 4).flatten(1, 2))
    return torch.cat(strips, 1)[:, :height, :width]


def _tiling(size: int, window: int) -> tuple[int, int, int]:
    """Window, tile and halo for one side of a map.

    A window moved inside the border must still be among the keys of its tile, so the
    last tile must hold at least ``window - halo`` pixels.
    """
    halo = window // 2
    tile = size
    for candidate in range(min(TILE, size), window - halo - 1, -1):
        if size % candidate == 0 or size % candidate >= window - halo:
            tile = candidate
            break
    return window, tile, halo


def _masks(
    size: int, window: int, tile: int, tiles: int, halo: int, device: torch.device
) -> Tensor:
    """Which keys of its tile each position sees: tiles×tile×(tile + 2 halo)."""
    starts = torch.arange(tiles, device=device)[:, None] * tile
    positions = starts + torch.arange(tile, device=device)
    keys = starts - halo + torch.arange(tile + 2 * halo, device=device)
    first = (positions - halo).clamp(0, size - window)[..., None]
    return (keys[:, None] >= first) & (keys[:, None] < first + window)
