# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A TorchGeo dataset of stored chips: one index row a chip, each in its native pixels.

TorchGeo's :class:`~torchgeo.datasets.RasterDataset` warps all files into one CRS, which
resamples the chips of every zone but one. Here the index may lie in any CRS, but what
is read are the pixels as stored, and ``bounds``, ``transform`` and ``epsg`` say where
they lie in the chip's own CRS.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import rasterio
import shapely
import torch
from geopandas import GeoDataFrame
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from torchgeo.datasets import GeoDataset, RasterDataset, UnionDataset
from torchgeo.datasets.errors import RGBBandsMissingError
from torchgeo.datasets.utils import GeoSlice, Sample

from ..transforms.bands import SENTINEL2_BANDS
from .footprints import METRES_PER_DEGREE, chip_frame, pixel_windows
from .index import GDAL_SETTINGS
from .layout import Layer
from .plotting import plot_sample
from .queries import ChipQuery, chip_queries
from .reading import (
    Grid,
    Window,
    read_cloud,
    read_float,
    read_labels,
    read_optical,
)


class _Lookups(NamedTuple):
    """What follows from the index and would be slow to work out at every query."""

    rows: dict[str, list[int]]
    paths: dict[str, list[str]]
    grids: list[Grid]
    windows: list[Window]
    times: list[tuple[float, float]]
    transformers: dict[int, Transformer | None]


class ChipDataset(RasterDataset):
    """Base class for data sets of stored chips with several layers.

    A subclass calls :meth:`_set_up` with a table of chips.

    A query is one of

    * a :class:`ChipQuery`, as :class:`~torchgeo_tdpcr.samplers.ChipSampler` makes them:
      the whole chip, or what a split function of TorchGeo has left of it;
    * a TorchGeo query, ``dataset[xmin:xmax, ymin:ymax]`` in the CRS of the index: of
      the chip that overlaps it most, a window of the queried number of pixels around
      the centre of the query, shifted to lie inside the chip, and at most the chip.
      Pixels are never resampled, merged or filled;
    * an integer: the chip of that row of the index.
    """

    all_bands = tuple(SENTINEL2_BANDS)
    rgb_bands = ('B4', 'B3', 'B2')
    class_names: tuple[str, ...] = ()

    _index = GeoDataFrame()
    _lookups: _Lookups | None = None

    def _set_up(
        self,
        table: pd.DataFrame,
        *,
        layers: dict[str, Layer],
        crs: CRS,
        bands: Sequence[str],
        offset: float | None,
        num_classes: int,
        transforms: Callable[[Sample], Sample] | None,
    ) -> None:
        """Initialise the dataset.

        Args:
            table: One row a chip: ``filepath``, the columns of
                :class:`~torchgeo_tdpcr.datasets.reading.Grid`, and for each layer the
                absolute path of its file.
            layers: Layers to read, by column.
            crs: CRS of the index.
            bands: Sentinel-2 bands to read.
            offset: What to subtract from digital numbers, None to find out per chip.
            num_classes: Number of land-cover classes.
            transforms: Applied to each sample.
        """
        self.layers = layers
        self.bands = tuple(bands)
        self.offset = offset
        self.num_classes = num_classes
        self.transforms = transforms
        self.time_series = False
        self.band_indexes = [self.all_bands.index(band) + 1 for band in bands]
        self._offsets: dict[str, float] = {}
        self._pixel = (
            float(table.xres.median()),
            float(table.yres.median()),
        )
        self.index = chip_frame(table, crs)
        self._res = self._resolution(crs)

    @property  # type: ignore[override]
    def index(self) -> GeoDataFrame:  # type: ignore[override]
        """One row a chip: where it lies, its files and its groups.

        Assign a part of it to keep only these chips. Do not edit it in place once the
        dataset has been read from.
        """
        return self._index

    @index.setter
    def index(self, index: GeoDataFrame) -> None:
        if 'filepath' not in index.columns:
            # TorchGeo's random_grid_cell_assignment numbers the columns, and appends
            # the new geometry to the old one
            names = list(self._index.columns)
            if len(index.columns) != len(names) + 1:
                raise ValueError(
                    f'`index` has the columns {list(index.columns)}, but needs those '
                    f'of the present index: {names}.'
                )
            values = index.set_axis([*names, '_new'], axis='columns')
            geometry = values.pop('_new')
            index = GeoDataFrame(
                pd.DataFrame(values).infer_objects(), geometry=list(geometry)
            ).set_crs(index.crs)
        self._index = index
        self._lookups = None

    @property
    def crs(self) -> CRS:
        """CRS of the index; samples keep that of their chip."""
        return self._index.crs

    @crs.setter
    def crs(self, crs: CRS) -> None:
        if crs != self.crs:
            self.index = self._index.to_crs(crs)
            self._res = self._resolution(crs)

    @property
    def files(self) -> list[str]:
        """All files of the dataset, sorted."""
        columns = [self._index[layer] for layer in self.layers]
        return sorted(path for path in pd.concat(columns) if path)

    def subset(self, rows: Sequence[int] | NDArray[np.integer]) -> 'ChipDataset':
        """Return a dataset of some chips.

        Args:
            rows: Positions of the chips in the index.

        Returns:
            A copy that holds these chips only, in the order given.
        """
        part = copy.copy(self)
        part.index = self._index.iloc[np.asarray(rows, dtype=np.int64)]
        return part

    def query(self, row: int) -> ChipQuery:
        """Return the query for the chip of a row of the index."""
        return chip_queries(self._index.iloc[[row]])[0]

    def __or__(self, other: GeoDataset) -> UnionDataset:
        """Return the union with another dataset."""
        if isinstance(other, ChipDataset | ChipUnion):
            return ChipUnion(self, other)
        return super().__or__(other)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be derived: for workers, copies and split functions."""
        return {**self.__dict__, '_lookups': None}

    def __getitem__(self, index: GeoSlice | int) -> Sample:
        """Read a sample.

        Args:
            index: See the class.

        Returns:
            The layers of one chip by their keys, and ``bounds`` (x and y minimum,
            maximum and step, then t), ``transform`` (coefficients a to i) in float64
            and ``epsg``, in the chip's own CRS.

        Raises:
            IndexError: If there is no such chip.
            CorruptChipError: If a file of the chip cannot be used.
        """
        if isinstance(index, int | np.integer):
            row = range(len(self))[int(index)]
            return self._read(row, self._derived().windows[row])
        if isinstance(index, ChipQuery):
            row = self._row(index)
            return self._read(row, self._derived().windows[row])
        return self._read(*self._window(index))

    def _resolution(self, crs: CRS) -> tuple[float, float]:
        """Size of a pixel in units of a CRS."""
        scale = METRES_PER_DEGREE if crs.is_geographic else 1.0
        return self._pixel[0] / scale, self._pixel[1] / scale

    def _derived(self) -> _Lookups:
        """Work out the lookups, once for each index."""
        if self._lookups is None:
            index = self._index
            rows: dict[str, list[int]] = {}
            for row, chip in enumerate(index['filepath']):
                rows.setdefault(chip, []).append(row)
            times = zip(index.index.left, index.index.right)
            self._lookups = _Lookups(
                rows,
                {layer: index[layer].tolist() for layer in self.layers},
                list(map(Grid._make, zip(*(index[f].tolist() for f in Grid._fields)))),
                list(map(Window._make, pixel_windows(index).tolist())),
                [(start.timestamp(), stop.timestamp()) for start, stop in times],
                {},
            )
        return self._lookups

    def _row(self, query: ChipQuery) -> int:
        """Find the row of a chip."""
        rows = self._derived().rows.get(query.chip)
        if rows is None:
            raise IndexError(f'{query.chip!r} is not a chip of this dataset')
        if len(rows) > 1:  # a split function has cut the chip into several parts
            wanted = query[0].start, query[1].start, query[0].stop, query[1].stop
            parts = shapely.bounds(self._index.geometry.to_numpy()[rows])
            rows = [rows[int(np.abs(parts - wanted).sum(axis=1).argmin())]]
        return rows[0]

    def locate(self, query: GeoSlice) -> tuple[float, int]:
        """Find the chip that overlaps a query most.

        Args:
            query: A TorchGeo query.

        Returns:
            The area of the overlap in squared units of the index's CRS, and the row of
            the chip. Of chips that overlap it equally, the first.

        Raises:
            IndexError: If no chip overlaps the query.
        """
        x, y, t = self._complete(query)
        box = shapely.box(x.start, y.start, x.stop, y.stop)
        index = self._index
        rows = np.sort(index.sindex.query(box, predicate='intersects'))
        if t is not None:
            rows = rows[index.index[rows].overlaps(pd.Interval(t.start, t.stop, 'both'))]
        geometry = index.geometry.to_numpy()[rows]
        areas = shapely.area(shapely.intersection(geometry, box))
        if not areas.size or areas.max() <= 0:
            raise IndexError(
                f'index: {query} not found in dataset with bounds: {self.bounds}'
            )
        best = int(areas.argmax())
        return float(areas[best]), int(rows[best])

    def _complete(self, query: GeoSlice) -> tuple[slice, slice, slice | None]:
        """Complete a TorchGeo query, but for a time that was not asked for."""
        parts = (query,) if isinstance(query, slice) else tuple(query)
        given = len(parts) > 2 and (parts[2].start or parts[2].stop) is not None
        ends = [end for part in parts[:2] for end in (part.start, part.stop)]
        if len(ends) < 4 or None in ends or given:
            x, y, t = self._disambiguate_slice(query)
            return x, y, t if given else None
        return parts[0], parts[1], None

    def _window(self, query: GeoSlice) -> tuple[int, Window]:
        """Find the chip and the pixels that answer a TorchGeo query."""
        row = self.locate(query)[1]
        x, y, _ = self._complete(query)
        lookups = self._derived()
        grid, inside = lookups.grids[row], lookups.windows[row]
        if grid.epsg not in lookups.transformers:
            native = CRS.from_epsg(grid.epsg)
            lookups.transformers[grid.epsg] = (
                None
                if native == self.crs
                else Transformer.from_crs(self.crs, native, always_xy=True)
            )
        transformer = lookups.transformers[grid.epsg]
        centre = (x.start + x.stop) / 2, (y.start + y.stop) / 2
        if transformer is not None:
            centre = transformer.transform(*centre)
        step = x.step or self.res[0], y.step or self.res[1]
        left, right = _shift(
            (centre[0] - grid.x) / grid.xres,
            round((x.stop - x.start) / step[0]),
            (inside.left, inside.right),
        )
        top, bottom = _shift(
            (grid.y - centre[1]) / grid.yres,
            round((y.stop - y.start) / step[1]),
            (inside.top, inside.bottom),
        )
        return row, Window(left, top, right, bottom)

    def _read(self, row: int, window: Window) -> Sample:
        """Read some pixels of the chip of a row."""
        lookups = self._derived()
        grid = lookups.grids[row]
        whole = window == (0, 0, grid.width, grid.height)
        part = None if whole else window
        sample: Sample = {}
        with rasterio.Env(**GDAL_SETTINGS):
            for name, layer in self.layers.items():
                path = lookups.paths[name][row]
                if layer.key in ('image', 'image_clear'):
                    offset = self.offset
                    if offset is None:
                        offset = self._offsets.get(path)
                    sample[layer.key], self._offsets[path] = read_optical(
                        path, layer, grid, part, self.band_indexes, offset
                    )
                elif layer.key == 'mask':
                    sample['mask'] = read_labels(
                        path, layer, grid, part, self.num_classes
                    )
                elif layer.key == 'mask_cloud':
                    sample['mask_cloud'] = read_cloud(path, layer, grid, part)
                else:
                    sample[layer.key] = read_float(path, layer, grid, part)
        xmin, xmax = (grid.x + grid.xres * i for i in (window.left, window.right))
        ymax, ymin = (grid.y - grid.yres * i for i in (window.top, window.bottom))
        sample['bounds'] = torch.tensor(
            [xmin, xmax, grid.xres, ymin, ymax, grid.yres, *lookups.times[row], 1],
            dtype=torch.float64,
        )
        sample['transform'] = torch.tensor(
            [grid.xres, 0, xmin, 0, -grid.yres, ymax, 0, 0, 1], dtype=torch.float64
        )
        sample['epsg'] = torch.tensor(grid.epsg)
        return sample if self.transforms is None else self.transforms(sample)

    def plot(
        self,
        sample: Sample,
        show_titles: bool = True,
        suptitle: str | None = None,
    ) -> Figure:
        """Draw a sample: what was seen, what is true, and what a model made of it.

        Args:
            sample: A sample of this dataset, before normalisation; where present,
                ``reconstruction``, ``prediction`` and ``prompt`` are drawn, too.
            show_titles: Whether to write above each panel what it shows.
            suptitle: Title of the figure.

        Returns:
            The figure.

        Raises:
            RGBBandsMissingError: If the dataset was made without B4, B3 or B2.
        """
        if not set(self.rgb_bands) <= set(self.bands):
            raise RGBBandsMissingError()
        rgb = [self.bands.index(band) for band in self.rgb_bands]
        return plot_sample(
            sample, rgb, self.num_classes, self.class_names, show_titles, suptitle
        )


class ChipUnion(UnionDataset):
    """Union of datasets of stored chips: a query is answered by one chip of one.

    TorchGeo's own union merges the answers of both, which is right for mosaics only.
    """

    def locate(self, query: GeoSlice) -> tuple[float, int]:
        """Find the dataset whose chip overlaps a query most.

        Args:
            query: A TorchGeo query.

        Returns:
            The area of the overlap, and which dataset it is, 0 or 1.

        Raises:
            IndexError: If no chip overlaps the query.
        """
        found = []
        for number, dataset in enumerate(self.datasets):
            try:
                found.append((dataset.locate(query)[0], -number))  # type: ignore[attr-defined]
            except IndexError:
                continue
        if not found:
            raise IndexError(
                f'index: {query} not found in dataset with bounds: {self.bounds}'
            )
        area, number = max(found)
        return area, -number

    def __or__(self, other: GeoDataset) -> UnionDataset:
        """Return the union with another dataset."""
        if isinstance(other, ChipDataset | ChipUnion):
            return ChipUnion(self, other)
        return super().__or__(other)

    def __getitem__(self, index: GeoSlice) -> Sample:
        """Read a sample of the dataset that answers the query best."""
        if isinstance(index, ChipQuery):
            return super().__getitem__(index)
        sample = self.datasets[self.locate(index)[1]][index]
        return sample if self.transforms is None else self.transforms(sample)


def _shift(centre: float, size: int, inside: tuple[int, int]) -> tuple[int, int]:
    """Place *size* pixels around *centre*, as far as they fit *inside*."""
    first, last = inside
    size = min(max(size, 1), last - first)
    start = int(np.floor(centre - size / 2 + 0.5))
    start = min(max(start, first), last - size)
    return start, start + size
