# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Queries for chips, and the way from one to pixels without going through an index."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import shapely
from geopandas import GeoDataFrame
from pyproj import CRS, Transformer

from ..grids import GRID_COLUMNS, Grid, PixelBox
from .footprints import pixel_windows


class ChipQuery(tuple[slice, slice, slice]):
    """A query for one stored chip: x, y and t as TorchGeo has them, and which chip.

    Several chips may lie at the same place, for instance with different cloud covers;
    x, y and t alone cannot tell them apart.

    Args:
        x: Extent in x, in the CRS of the index.
        y: Extent in y, in the CRS of the index.
        t: Extent in time.
        chip: Identity of the chip: the column ``filepath`` of the index.
    """

    chip: str

    def __new__(cls, x: slice, y: slice, t: slice, chip: str) -> 'ChipQuery':
        """Create a query."""
        query = super().__new__(cls, (x, y, t))
        query.chip = chip
        return query

    def __getnewargs__(self) -> tuple[slice, slice, slice, str]:
        """Survive the way to a worker process."""
        return (*self, self.chip)

    def __repr__(self) -> str:
        """Name the chip."""
        return f'ChipQuery({self[0]}, {self[1]}, {self[2]}, chip={self.chip!r})'


def chip_queries(index: GeoDataFrame) -> list[ChipQuery]:
    """Return one query for each row of an index.

    Args:
        index: Index of a
            :class:`~torchgeo_tdpcr.datasets.chips.dataset.ChipDataset`, or of a union
            of such.

    Returns:
        The queries in the order of the rows.

    Raises:
        ValueError: If the index is not of stored chips.
    """
    if 'filepath' not in index.columns:
        raise ValueError(
            "the index of `dataset` has no column 'filepath', so it does not tell one "
            'chip from another. Use a dataset of stored chips, such as OSFCR.'
        )
    bounds = index.geometry.bounds.to_numpy().tolist()
    times = zip(index.index.left, index.index.right, strict=True)
    return [
        ChipQuery(slice(xmin, xmax), slice(ymin, ymax), slice(start, stop), chip)
        for (xmin, ymin, xmax, ymax), (start, stop), chip in zip(
            bounds, times, index['filepath'], strict=True
        )
    ]


class Extent(NamedTuple):
    """Extent of a query in the CRS of the index, and in time where it names one."""

    x: slice
    y: slice
    t: slice | None


class ChipLocator:
    """What follows from an index and would be slow to work out at every query.

    Attributes:
        grids: For each row the grid of its chip.
        codes: For each row the EPSG code of that grid.
        windows: For each row the pixels of the chip that belong to it: all, unless a
            split function has cut the chip.
        times: For each row the seconds since 1970 from and until which it is valid.
    """

    def __init__(self, index: GeoDataFrame) -> None:
        """Initialize a new ChipLocator instance.

        Args:
            index: Index of a :class:`~torchgeo_tdpcr.datasets.chips.dataset.ChipDataset`.
        """
        self.index = index
        columns = [index[name].tolist() for name in GRID_COLUMNS]
        self.grids = [Grid.from_epsg(*row) for row in zip(*columns, strict=True)]
        self.codes: list[int] = index['epsg'].tolist()
        self.windows = [PixelBox(*row) for row in pixel_windows(index).tolist()]
        times = zip(index.index.left, index.index.right, strict=True)
        self.times = [(start.timestamp(), stop.timestamp()) for start, stop in times]
        self._rows: dict[str, list[int]] = {}
        for row, chip in enumerate(index['filepath']):
            self._rows.setdefault(chip, []).append(row)
        self._transformers: dict[int, Transformer | None] = {}

    def row(self, query: ChipQuery) -> int:
        """Find the row of a chip.

        Raises:
            IndexError: If the index does not have it.
        """
        rows = self._rows.get(query.chip)
        if rows is None:
            raise IndexError(f'`chip={query.chip!r}` is not a chip of this dataset.')
        if len(rows) == 1:
            return rows[0]
        # A split function has cut the chip, and several parts are here
        wanted = query[0].start, query[1].start, query[0].stop, query[1].stop
        parts = shapely.bounds(self.index.geometry.to_numpy()[rows])
        return rows[int(np.abs(parts - wanted).sum(axis=1).argmin())]

    def locate(self, extent: Extent) -> tuple[float, int]:
        """Find the chip that overlaps an extent most.

        Returns:
            The area of the overlap, and the row; of equals the first. Area 0 and row −1
            where nothing overlaps.
        """
        box = shapely.box(extent.x.start, extent.y.start, extent.x.stop, extent.y.stop)
        rows = np.sort(self.index.sindex.query(box, predicate='intersects'))
        if extent.t is not None:
            time = pd.Interval(extent.t.start, extent.t.stop, closed='both')
            rows = rows[self.index.index[rows].overlaps(time)]
        if not rows.size:
            return 0.0, -1
        chips = self.index.geometry.to_numpy()[rows]
        areas = shapely.area(shapely.intersection(chips, box))
        best = int(areas.argmax())
        return float(areas[best]), int(rows[best]) if areas[best] > 0 else -1

    def window(self, row: int, extent: Extent, res: tuple[float, float]) -> PixelBox:
        """Choose the pixels of a chip that answer a query.

        Args:
            row: The row of the chip.
            extent: Extent of the query.
            res: Size of a pixel in the CRS of the index.

        Returns:
            As many pixels as the query is large, around its centre, shifted to lie
            inside the row's part of the chip; at most that part.
        """
        grid, inside = self.grids[row], self.windows[row]
        centre = (
            (extent.x.start + extent.x.stop) / 2,
            (extent.y.start + extent.y.stop) / 2,
        )
        if transformer := self._to_native(self.codes[row]):
            centre = transformer.transform(*centre)
        left, right = _fit(
            (centre[0] - grid.x) / grid.xres,
            round((extent.x.stop - extent.x.start) / (extent.x.step or res[0])),
            (inside.left, inside.right),
        )
        top, bottom = _fit(
            (grid.y - centre[1]) / grid.yres,
            round((extent.y.stop - extent.y.start) / (extent.y.step or res[1])),
            (inside.top, inside.bottom),
        )
        return PixelBox(left, top, right, bottom)

    def _to_native(self, epsg: int) -> Transformer | None:
        """Return the way from the index's CRS to a zone's, None if that is none."""
        if epsg not in self._transformers:
            native = CRS.from_epsg(epsg)
            self._transformers[epsg] = (
                None
                if native == self.index.crs
                else Transformer.from_crs(self.index.crs, native, always_xy=True)
            )
        return self._transformers[epsg]


def _fit(centre: float, size: int, inside: tuple[int, int]) -> tuple[int, int]:
    """Place *size* pixels around *centre*, as far as they fit *inside*."""
    first, last = inside
    size = min(max(size, 1), last - first)
    # The small share keeps rounding errors from moving a query that is on the grid
    start = math.floor(centre - size / 2 + 0.5 + 1e-6)
    start = min(max(start, first), last - size)
    return start, start + size
