# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Pixels from all over a raster, to see what its numbers are, at a bounded cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

#: Rows and columns at most of what is read as a whole, or of its overview.
_SIDE = 512

#: Blocks a side that are read where there is no overview, and rows and columns of each.
_BLOCKS, _BLOCK = 4, 256


def sample(
    raster: DatasetReader, indexes: Sequence[int], exact: bool = False
) -> NDArray[Any]:
    """Read pixels that are spread over a raster.

    A small raster is read as a whole, and one with overviews from these. Of any other
    16 blocks are read, whatever its size.

    Args:
        raster: The raster.
        indexes: Bands, counted from 1.
        exact: Whether overviews are left alone, which may be averages, and whether blocks
            are taken whole: rare classes count.

    Returns:
        The same pixels of each band, C×N.
    """
    height, width = raster.shape
    if max(height, width) <= _SIDE:
        return _flat(raster.read(list(indexes)))
    if not exact and raster.overviews(indexes[0]):
        return overview(raster, indexes)
    rows, columns = raster.block_shapes[indexes[0] - 1]
    down, across = _BLOCKS, _BLOCKS
    if columns >= width:
        # Strips, of which a part of a row costs as much as all of it
        down, across = _BLOCKS**2, 1
    tops = _starts(height, rows, down)
    lefts = _starts(width, columns, across)
    step = 1 if across == 1 or exact else 4
    parts = [
        _flat(
            raster.read(
                list(indexes),
                window=(
                    (top, min(top + min(rows, _BLOCK), height)),
                    (left, width if across == 1 else min(left + _BLOCK, width)),
                ),
            )[:, ::step, ::step]
        )
        for top in tops
        for left in lefts
    ]
    return np.concatenate(parts, axis=1)


def overview(raster: DatasetReader, indexes: Sequence[int]) -> NDArray[Any]:
    """Read a whole raster reduced, whatever that costs.

    Args:
        raster: The raster.
        indexes: Bands, counted from 1.

    Returns:
        The same pixels of each band, C×N.
    """
    shape = min(raster.height, _SIDE), min(raster.width, _SIDE)
    return _flat(raster.read(list(indexes), out_shape=(len(indexes), *shape)))


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(len(array), -1)


def _starts(size: int, block: int, count: int) -> list[int]:
    """First pixels of blocks that are spread over a side."""
    blocks = -(-size // block)
    chosen = np.linspace(0, blocks - 1, min(count, blocks)).round().astype(int)
    return [int(number) * block for number in np.unique(chosen)]
