# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where a window of a scene lies in a raster of any other grid."""

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.warp import transform
from rasterio.windows import Window as RasterWindow
from rasterio.windows import transform as moved

from ...grids import Grid, PixelBox

#: Largest error of the place of a pixel, in pixels of the source. GDAL's default is an
#: eighth, which shows as seams between windows that were warped one by one.
TOLERANCE = 0.01

#: Points a side at which a window is projected to find out where it lies.
_POINTS = 17


def same_grid(source: Grid, grid: Grid) -> bool:
    """Tell whether a raster has exactly the pixels of a scene."""
    return (
        (source.width, source.height) == (grid.width, grid.height)
        and bool(source.transform.almost_equals(grid.transform, 1e-6))
        and source.crs == grid.crs
    )


def transform_of(origin: Affine, window: PixelBox) -> Affine:
    """Transform of a window of a raster whose transform is *origin*."""
    left, top, right, bottom = window
    place = RasterWindow(left, top, right - left, bottom - top)
    result: Affine = moved(place, origin)
    return result


def _moved(
    move: Affine, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return move.a * x + move.b * y + move.c, move.d * x + move.e * y + move.f


def points_of(grid: Grid, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows of evenly spread places of a scene, at most *size* a side."""
    steps = [
        (np.arange(min(size, count)) + 0.5) * (count / min(size, count))
        for count in (grid.width, grid.height)
    ]
    columns, rows = np.meshgrid(*steps)
    return columns, rows


def source_pixels(
    source: Grid,
    grid: Grid,
    columns: NDArray[np.float64],
    rows: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tell where places of a scene lie in a raster.

    Args:
        source: The raster's pixels, with a CRS.
        grid: The scene's pixels.
        columns: Columns of the scene; 0 is the left edge of its first pixel.
        rows: Rows of the scene, as many.

    Returns:
        Columns and rows of the raster, not finite where they cannot be told.
    """
    x, y = _moved(grid.transform, columns.ravel(), rows.ravel())
    x, y = map(np.asarray, transform(grid.crs, source.crs, x, y))
    left, top = _moved(~source.transform, x, y)
    return left.reshape(columns.shape), top.reshape(columns.shape)


def source_window(source: Grid, grid: Grid, window: PixelBox) -> PixelBox | None:
    """Find the pixels of a raster that a window of a scene needs.

    Args:
        source: The raster's pixels, with a CRS.
        grid: The scene's pixels.
        window: The window of the scene.

    Returns:
        The window of the raster, with a margin for interpolation, cut at the raster's
        edges; None if the two do not touch.
    """
    columns, rows = np.meshgrid(
        np.linspace(window.left, window.right, _POINTS),
        np.linspace(window.top, window.bottom, _POINTS),
    )
    left, top = source_pixels(source, grid, columns, rows)
    known = np.isfinite(left) & np.isfinite(top)
    if not known.any():
        return None
    left, top = left[known], top[known]
    edges = []
    spans = ((left, source.width, columns), (top, source.height, rows))
    for places, size, pixels in spans:
        # Twice a pixel of the scene, and twice one of the raster
        margin = 2 + 2 * np.ptp(places) / np.ptp(pixels)
        first = max(int(np.floor(places.min() - margin)), 0)
        edges.append((first, min(int(np.ceil(places.max() + margin)), size)))
    (first, last), (upper, lower) = edges
    if first >= last or upper >= lower:
        return None
    return PixelBox(first, upper, last, lower)


def fineness(source: Grid, grid: Grid) -> float:
    """Tell how many pixels of a raster go along one of the scene, at its centre."""
    column, row = grid.width / 2, grid.height / 2
    left, top = source_pixels(
        source,
        grid,
        np.array([column, column + 1, column]),
        np.array([row, row, row + 1]),
    )
    area = abs(
        (left[1] - left[0]) * (top[2] - top[0])
        - (left[2] - left[0]) * (top[1] - top[0])
    )
    return float(np.sqrt(area)) if np.isfinite(area) else 1.0
