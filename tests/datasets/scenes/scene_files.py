# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A scene's grid, and rasters on it and beside it, for tests."""

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from torchgeo_tdpcr.datasets.grids import Grid

SIZE = 60
LEFT, TOP = 6e5, 5e6
UTM32, UTM33 = CRS.from_epsg(32632), CRS.from_epsg(32633)
GRID = Grid(UTM32, from_origin(LEFT, TOP, 10, 10), SIZE, SIZE)


def write(path, array, transform=GRID.transform, crs=UTM32, labels=(), **options):
    array = array if array.ndim == 3 else array[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        count=len(array),
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype,
        crs=crs,
        transform=transform,
        **options,
    ) as file:
        file.write(array)
        if labels:
            file.descriptions = labels
    return path


def decibels(size=SIZE, seed=0):
    """VV and VH that change smoothly, so that interpolation can be compared."""
    rows, columns = np.mgrid[:size, :size] / size
    vv = -12 + 4 * np.sin(6 * rows + seed) * np.cos(5 * columns)
    return np.stack([vv, vv - 6 + rows]).astype(np.float32)


def power(array):
    return (10 ** (array / 10)).astype(np.float32)


def around(crs, resolution, margin=300):
    """Transform and size of a raster of another CRS that covers the scene."""
    left, bottom, right, top = transform_bounds(GRID.crs, crs, *GRID.bounds)
    margin *= resolution / 10
    transform = from_origin(left - margin, top + margin, resolution, resolution)
    size = max(right - left, top - bottom) + 2 * margin
    return transform, int(np.ceil(size / resolution))


def interpolated(array, transform, crs):
    """The scene's pixels, interpolated bilinearly by hand with exact coordinates."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    x, y = GRID.transform.c + 10 * columns, GRID.transform.f - 10 * rows
    x, y = Transformer.from_crs(GRID.crs, crs, always_xy=True).transform(x, y)
    column = (x - transform.c) / transform.a - 0.5
    row = (y - transform.f) / transform.e - 0.5
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    across, down = column - left, row - top
    return (
        array[:, top, left] * (1 - across) * (1 - down)
        + array[:, top, left + 1] * across * (1 - down)
        + array[:, top + 1, left] * (1 - across) * down
        + array[:, top + 1, left + 1] * across * down
    )
