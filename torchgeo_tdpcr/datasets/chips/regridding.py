# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Bringing the layers of a chip from grids of their own to the grid of the chip."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.warp import reproject

from ..grids import Grid


def regrid(
    array: NDArray[Any],
    transform: Affine,
    grid: Grid,
    method: Literal['nearest', 'bilinear', 'average'],
) -> NDArray[Any]:
    """Resample an array to another grid of the same CRS.

    Where the grid reaches beyond the array, by less than a pixel of it, the pixels at its
    edge are repeated: layers of one place end where a pixel of theirs ends.

    Args:
        array: C×H×W, of bool, uint8, uint16, or a floating-point type.
        transform: Where its pixels lie.
        grid: Where the result's pixels lie.
        method: ``'average'`` is weighted by area and leaves out pixels of 0, which in
            optical images are missing ones.

    Returns:
        C×H×W of the grid's height and width: float32, but for ``'nearest'`` the type of
        *array*. Nothing is resampled where both grids are the same.

    Example:
        >>> array = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
        >>> grid = Grid.from_epsg(32646, 0, 20, 5, 5, 4, 4)
        >>> regrid(array, from_origin(0, 20, 10, 10), grid, 'nearest')[0, 0]
        array([0., 0., 1., 1.], dtype=float32)
    """
    target = grid.transform
    shape = (grid.height, grid.width)
    kind = array.dtype if method == 'nearest' else np.dtype(np.float32)
    if transform == target and array.shape[1:] == shape:
        return array.astype(kind, copy=False)
    source = array.astype(np.uint8 if array.dtype == bool else array.dtype, copy=False)
    result = np.zeros(
        (len(array), *shape), np.uint8 if kind == np.dtype(bool) else kind
    )
    reproject(
        np.pad(source, ((0, 0), (1, 1), (1, 1)), mode='edge'),
        result,
        src_transform=from_origin(
            transform.c - transform.a,
            transform.f - transform.e,
            transform.a,
            -transform.e,
        ),
        src_crs=grid.crs,
        src_nodata=0 if method == 'average' else None,
        dst_transform=target,
        dst_crs=grid.crs,
        resampling=Resampling[method],
    )
    return result.astype(kind, copy=False)


def coverage_fault(
    transform: Affine, width: int, height: int, epsg: int | None, grid: Grid
) -> str:
    """Tell how a layer fails to cover the grid of its chip.

    Args:
        transform: Where the layer's pixels lie.
        width: Its number of columns.
        height: Its number of rows.
        epsg: EPSG code of its CRS, None if it has none.
        grid: The grid of the chip.

    Returns:
        The fault in words, '' if it covers the grid but for less than a pixel.
    """
    if epsg != grid.epsg:
        return f'is in EPSG:{epsg}, its chip in EPSG:{grid.epsg}'
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        return 'has a grid that is not north-up'
    right = transform.c + transform.a * width
    bottom = transform.f + transform.e * height
    east, south = grid.x + grid.xres * grid.width, grid.y - grid.yres * grid.height
    gap = max(transform.c - grid.x, east - right) / transform.a
    gap = max(
        gap, (grid.y - transform.f) / -transform.e, (bottom - south) / -transform.e
    )
    if gap < 1:
        return ''
    return (
        f'is {width}×{height} pixels of {transform.a:g} m from x = {transform.c:g}, '
        f'y = {transform.f:g} on, which leaves {gap:.1f} of its pixels of the chip '
        'uncovered'
    )
