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

#: Degrees after which longitudes come again.
_TURN = 360.0

#: Points a side at which a window is projected to find out where it lies.
_POINTS = 17


def same_grid(source: Grid, grid: Grid) -> bool:
    """Tell whether a raster has exactly the pixels of a scene."""
    return (
        (source.width, source.height) == (grid.width, grid.height)
        and bool(source.transform.almost_equals(grid.transform, 1e-6))
        and source.crs == grid.crs
    )


def shift_of(source: Grid, grid: Grid) -> tuple[int, int] | None:
    """Tell by how many whole pixels a raster lies beside a scene.

    Args:
        source: The raster's pixels, with a CRS.
        grid: The scene's pixels.

    Returns:
        Column and row of the raster where the scene's first pixel lies; None where its
        pixels are others.

    Example:
        >>> scene = Grid.from_epsg(32632, 6e5, 5e6, 10, 10, 100, 100)
        >>> shift_of(Grid.from_epsg(32632, 599_900, 5_000_050, 10, 10, 500, 500), scene)
        (10, 5)
        >>> shift_of(Grid.from_epsg(32632, 599_904, 5_000_050, 10, 10, 500, 500), scene)
    """
    if same_grid(source, grid):
        return 0, 0
    # Longitudes come again
    if source.crs != grid.crs or source.crs.is_geographic:
        return None
    onto = ~source.transform @ grid.transform
    across, down = round(onto.c), round(onto.f)
    # No corner lies further off than the whole numbers say
    for column, row in ((0, 0), (grid.width, 0), (0, grid.height)):
        x, y = _moved(onto, float(column), float(row))
        if max(abs(x - across - column), abs(y - down - row)) > TOLERANCE:
            return None
    return across, down


def transform_of(origin: Affine, window: PixelBox) -> Affine:
    """Transform of a window of a raster whose transform is *origin*."""
    left, top, right, bottom = window
    place = RasterWindow(left, top, right - left, bottom - top)
    result: Affine = moved(place, origin)
    return result


def _moved[T: (float, NDArray[np.float64])](move: Affine, x: T, y: T) -> tuple[T, T]:
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

    Where the raster has longitudes, those of a scene are all on one side of wherever they
    jump: the columns of a scene that lies across 180° do not. They go on beyond the edges
    of a raster that has both sides at its two ends, see :func:`turns`.

    Args:
        source: The raster's pixels, with a CRS.
        grid: The scene's pixels.
        columns: Columns of the scene; 0 is the left edge of its first pixel.
        rows: Rows of the scene, as many.

    Returns:
        Columns and rows of the raster, not finite where they cannot be told.
    """
    x, y = _coordinates(source, grid, columns.ravel(), rows.ravel())
    if source.crs.is_geographic:
        middle = _middle(source, grid)
        x = x - _TURN * np.round((x - middle) / _TURN)
    left, top = _moved(~source.transform, x, y)
    return left.reshape(columns.shape), top.reshape(columns.shape)


def _coordinates(
    source: Grid, grid: Grid, columns: NDArray[np.float64], rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of places of a scene in the CRS of a raster."""
    x, y = _moved(grid.transform, columns, rows)
    x, y = map(np.asarray, transform(grid.crs, source.crs, x, y))
    return x, y


def _middle(source: Grid, grid: Grid) -> float:
    """Longitude of the centre of a scene, as near to a raster's own as can be."""
    centre = np.array([grid.width / 2]), np.array([grid.height / 2])
    x = float(_coordinates(source, grid, *centre)[0][0])
    own = float(_moved(source.transform, source.width / 2, source.height / 2)[0])
    return x - _TURN * round((x - own) / _TURN) if np.isfinite(x) else own


def _period(source: Grid) -> int | None:
    """Columns of a raster in a turn of longitudes; None if it has none."""
    step = abs(float(source.transform.a))
    if not source.crs.is_geographic or not step:
        return None
    return max(round(_TURN / step), source.width)


def turns(source: Grid, first: int, last: int) -> list[tuple[int, int, int]]:
    """Split columns that may lie beyond the edges of a raster into those that it has.

    Args:
        source: The raster's pixels.
        first: First column.
        last: Last column, exclusive.

    Returns:
        First and last column of the raster of each part, and what to add to get what was
        asked for; in order.

    Example:
        >>> globe = Grid.from_epsg(4326, -180, 90, 1, 1, 360, 180)
        >>> turns(globe, -2, 3)
        [(358, 360, -360), (0, 3, 0)]
        >>> turns(Grid.from_epsg(32601, 4e5, 5e6, 10, 10, 360, 180), -2, 3)
        [(0, 3, 0)]
    """
    period = _period(source)
    shifts = (0,) if period is None else (-period, 0, period)
    parts = [
        (max(first - shift, 0), min(last - shift, source.width), shift)
        for shift in shifts
    ]
    return [part for part in parts if part[0] < part[1]]


def are_inside(
    source: Grid, left: NDArray[np.float64], top: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which places of :func:`source_pixels` lie within a raster."""
    period = _period(source)
    with np.errstate(invalid='ignore'):
        columns = left if period is None else np.mod(left, period)
        inside = (columns >= 0) & (columns < source.width)
    return inside & (top >= 0) & (top < source.height)


def window_transform(source: Grid, grid: Grid, part: PixelBox) -> Affine:
    """Transform of a window of a raster, in the longitudes that GDAL has for the scene."""
    moved = transform_of(source.transform, part)
    if not source.crs.is_geographic:
        return moved
    centre = np.array([grid.width / 2]), np.array([grid.height / 2])
    x = float(_coordinates(source, grid, *centre)[0][0])
    shift = _TURN * round((_middle(source, grid) - x) / _TURN)
    result: Affine = Affine.translation(-shift, 0) @ moved
    return result


def source_window(
    source: Grid, grid: Grid, window: PixelBox, beyond: bool = False
) -> PixelBox | None:
    """Find the pixels of a raster that a window of a scene needs.

    Args:
        source: The raster's pixels, with a CRS.
        grid: The scene's pixels.
        window: The window of the scene.
        beyond: Whether columns may lie beyond the raster's edges, as
            :func:`source_pixels` has them and :func:`turns` splits them.

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
    for places, pixels in ((left, columns), (top, rows)):
        # Twice a pixel of the scene, and twice one of the raster
        margin = 2 + 2 * np.ptp(places) / np.ptp(pixels)
        first = int(np.floor(places.min() - margin))
        edges.append((first, int(np.ceil(places.max() + margin))))
    (first, last), (upper, lower) = edges
    parts = turns(source, first, last)
    if not beyond:
        parts = [part for part in parts if not part[2]]
    upper, lower = max(upper, 0), min(lower, source.height)
    if not parts or upper >= lower:
        return None
    first = parts[0][0] + parts[0][2]
    last = parts[-1][1] + parts[-1][2]
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
