# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Footprints of chips: from grids into the CRS of an index, and back to pixels."""

import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from pyproj import CRS

#: Metres a degree of latitude, to turn metres into degrees.
METRES_PER_DEGREE = 111_320.0

#: Shares of a pixel by which a footprint may miss the grid and still be on it.
_TOLERANCE = 0.01


def common_crs(table: pd.DataFrame) -> CRS:
    """Return the CRS that all chips share, or longitude and latitude.

    Args:
        table: One row a chip, with a column ``epsg``.
    """
    codes = table['epsg'].unique()
    return CRS.from_epsg(int(codes[0]) if len(codes) == 1 else 4326)


def footprints(table: pd.DataFrame, crs: CRS) -> NDArray[np.object_]:
    """Return the footprints of chips in one CRS.

    Args:
        table: One row a chip, with the columns of
            :data:`~torchgeo_tdpcr.datasets.grids.GRID_COLUMNS`.
        crs: CRS of the footprints. In longitude and latitude, those that cross the
            180th meridian have longitudes above 180°.

    Returns:
        One polygon a row.
    """
    columns = ['x', 'y', 'xres', 'yres', 'width', 'height']
    x, y, xres, yres, width, height = table[columns].to_numpy(dtype=np.float64).T
    boxes = shapely.box(x, y - yres * height, x + xres * width, y)
    result = np.empty(len(table), dtype=object)
    for epsg, rows in table.groupby('epsg').indices.items():
        moved = gpd.GeoSeries(boxes[rows], crs=int(epsg)).to_crs(crs).to_numpy()
        if crs.is_geographic:
            west, _, east, _ = shapely.bounds(moved).T
            across = east - west > 180
            moved[across] = shapely.transform(
                moved[across],
                lambda points: np.where(
                    points < -90, points + np.array([360.0, 0.0]), points
                ),
            )
        result[rows] = moved
    return result


def chip_frame(table: pd.DataFrame, crs: CRS | None = None) -> GeoDataFrame:
    """Turn a table of chips into the index of a TorchGeo dataset.

    Args:
        table: One row a chip.
        crs: CRS of the index (defaults to that which the chips share, or longitude and
            latitude).

    Returns:
        The table with footprints, each row valid for all time: data sets of chips tell
        no dates.
    """
    crs = common_crs(table) if crs is None else crs
    times = pd.IntervalIndex.from_arrays(
        pd.DatetimeIndex([pd.Timestamp.min] * len(table)),
        pd.DatetimeIndex([pd.Timestamp.max] * len(table)),
        closed='both',
        name='datetime',
    )
    return GeoDataFrame(
        table.set_index(times), geometry=footprints(table, crs), crs=crs
    )


def repaired(index: GeoDataFrame, former: GeoDataFrame) -> GeoDataFrame:
    """Undo what TorchGeo's split functions do to an index by accident.

    :func:`~torchgeo.datasets.random_grid_cell_assignment` loses the names of columns
    and appends the new geometry to the old one; :func:`~torchgeo.datasets.roi_split`
    leaves lines and points where a chip only touches a region.

    Args:
        index: The new index.
        former: The index that it was made from.

    Returns:
        The new index with the columns of the former one, and only with areas. Chips that
        had none from the start are told in a warning.

    Raises:
        ValueError: If the columns cannot be told.
    """
    if 'filepath' not in index.columns:
        names = list(former.columns)
        if len(index.columns) != len(names) + 1:
            raise ValueError(
                f'`index` has the columns {list(index.columns)}, but needs those of '
                f'the present index: {names}.'
            )
        renamed = pd.DataFrame(index).set_axis([*names, '_new'], axis='columns')
        geometry = renamed.pop('_new').to_numpy()
        index = GeoDataFrame(renamed.infer_objects(), geometry=geometry, crs=former.crs)
    areas = shapely.area(index.geometry.to_numpy())
    if (areas > 0).all():
        return index
    lost = index['filepath'][~(areas > 0)]
    if former.empty and len(lost):
        warnings.warn(
            f"{len(lost)} of {len(index)} chips are left out, for instance '"
            f"{lost.iloc[0]}': where they lie cannot be told in the CRS of the index.",
            UserWarning,
            stacklevel=2,
        )
    return index[areas > 0]


def native_footprints(index: GeoDataFrame) -> dict[int, gpd.GeoSeries]:
    """Return the footprints of chips in their own CRS, by EPSG code.

    Args:
        index: Index of a :class:`~torchgeo_tdpcr.datasets.chips.dataset.ChipDataset`.

    Returns:
        For each zone the footprints, labelled with the position of their row.
    """
    series = gpd.GeoSeries(index.geometry.to_numpy(), crs=index.crs)
    zones = pd.Series(index['epsg'].to_numpy()).groupby(index['epsg'].to_numpy())
    return {
        int(epsg): series.iloc[rows].to_crs(int(epsg))
        for epsg, rows in zones.indices.items()
    }


def pixel_windows(index: GeoDataFrame) -> NDArray[np.int64]:
    """Return which pixels of its chip each row of an index covers.

    Args:
        index: Index of a :class:`~torchgeo_tdpcr.datasets.chips.dataset.ChipDataset`.

    Returns:
        N×4: first column, first row, last column, last row (both exclusive) of the
        pixels inside the bounding box of the geometry; at least one pixel.
    """
    windows = np.empty((len(index), 4), dtype=np.int64)
    columns = ['x', 'y', 'xres', 'yres', 'width', 'height']
    grids = index[columns].to_numpy(dtype=np.float64)
    for series in native_footprints(index).values():
        rows = series.index.to_numpy()
        x, y, xres, yres, width, height = grids[rows].T
        xmin, ymin, xmax, ymax = series.bounds.to_numpy().T
        left = np.ceil((xmin - x) / xres - _TOLERANCE).clip(0, width - 1)
        top = np.ceil((y - ymax) / yres - _TOLERANCE).clip(0, height - 1)
        right = np.floor((xmax - x) / xres + _TOLERANCE).clip(left + 1, width)
        bottom = np.floor((y - ymin) / yres + _TOLERANCE).clip(top + 1, height)
        windows[rows] = np.stack([left, top, right, bottom], axis=1).round()
    return windows
