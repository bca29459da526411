# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A TorchGeo dataset of stored chips: one index row a chip, each in its native pixels.

TorchGeo's :class:`~torchgeo.datasets.RasterDataset` warps all files into one CRS, which
resamples the chips of every zone but one. Here the index may lie in any CRS, but what
is read are the pixels as stored, and ``bounds``, ``transform`` and ``epsg`` say where
they lie in the chip's own CRS.
"""

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import torch
from geopandas import GeoDataFrame
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pyproj import CRS
from torch import Tensor
from torchgeo.datasets import GeoDataset, RasterDataset, UnionDataset
from torchgeo.datasets.errors import DatasetNotFoundError, RGBBandsMissingError
from torchgeo.datasets.utils import GeoSlice, Sample

from ...transforms.bands import SENTINEL2_BANDS
from ..gdal import CHIP_SETTINGS
from ..grids import Grid, PixelBox
from ..plotting import RGB_RANGE, plot_sample
from .footprints import METRES_PER_DEGREE, chip_frame, repaired
from .layout import Layer
from .locating import ChipLocator, ChipQuery, Extent
from .reading import (
    read_cloud,
    read_float,
    read_labels,
    read_optical,
)
from .screening import screen
from .selection import Missing, leave_out
from .union import ChipUnion


class ChipDataset(RasterDataset):
    """Base class for data sets of stored chips with several layers.

    A subclass calls :meth:`_set_up` with a table of chips. It overrides
    :meth:`_read_layers` if its layers do not lie on one grid or are not Sentinel's.

    A query is one of

    * a :class:`ChipQuery`, as :class:`~torchgeo_tdpcr.samplers.ChipSampler` makes them:
      the whole chip, or what a split function of TorchGeo has left of it;
    * a TorchGeo query, ``dataset[xmin:xmax, ymin:ymax]`` in the CRS of the index: of
      the chip that overlaps it most, a window of the queried number of pixels around
      the centre of the query, shifted to lie inside the chip, and at most the chip.
      Pixels are never resampled, merged or filled;
    * an integer: the chip of that row of the index.

    Samples of a subclass with *wavelengths* have two keys more, which say what the
    pixels are of. They are tensors, because :func:`~torchgeo.datasets.stack_samples`
    stacks nothing else, and kornia leaves them alone, because of their names:

    * ``wavelength``: of each optical band in nanometres, C float32
    * ``resolution``: size of a pixel as it was recorded, of the optical and of the SAR
      sensor, in metres, 2 float32; ``transform`` has the size of the sample's own

    Attributes:
        wavelengths: Centre of each optical band in nanometres, in file order; empty for
            Sentinel-2's.
        resolutions: Size of a pixel of the optical and of the SAR sensor in metres.
    """

    all_bands: tuple[str, ...] = tuple(SENTINEL2_BANDS)
    rgb_bands: tuple[str, ...] = ('B4', 'B3', 'B2')
    class_names: tuple[str, ...] = ()
    wavelengths: Mapping[str, float] = MappingProxyType({})
    resolutions: tuple[float, float] = (10.0, 10.0)

    #: Largest number of the optical and of the SAR image, drawn white; None for dB.
    _drawn_white: tuple[float, float | None] = (RGB_RANGE[1], None)

    _index = GeoDataFrame()
    _locator: ChipLocator | None = None

    def _set_up(
        self,
        table: pd.DataFrame,
        *,
        layers: dict[str, Layer],
        crs: CRS,
        bands: Sequence[str],
        num_classes: int,
        transforms: Callable[[Sample], Sample] | None,
        offset: float | None = 0.0,
    ) -> None:
        """Initialise the dataset.

        Args:
            table: One row a chip: ``filepath``, the columns of
                :data:`~torchgeo_tdpcr.datasets.grids.GRID_COLUMNS`, and for each layer the
                absolute path of its file.
            layers: Layers to read, by column.
            crs: CRS of the index.
            bands: Optical bands to read.
            num_classes: Number of land-cover classes.
            transforms: Applied to each sample.
            offset: What to subtract from digital numbers, None to find out per chip.
        """
        self.layers = layers
        self.bands = tuple(bands)
        self.offset = offset
        self.num_classes = num_classes
        self.transforms = transforms
        self.time_series = False
        self._indexes = [self.all_bands.index(band) + 1 for band in bands]
        self._offsets: dict[str, float] = {}
        self._pixel = float(table.xres.median()), float(table.yres.median())
        self._geographic = CRS.from_epsg(int(table.epsg.iloc[0])).is_geographic
        self.index = chip_frame(table, crs)
        self._res = self._resolution(crs)

    def _leave_out_corrupt(
        self,
        corrupt: Missing,
        cache: bool | str | os.PathLike[str],
        workers: int | None,
    ) -> None:
        """Leave out the chips that cannot be read, and say how many.

        Args:
            corrupt: ``'skip'`` to do so, ``'error'`` to leave it to whoever reads one.
            cache: See :func:`~torchgeo_tdpcr.datasets.chips.screening.screen`.
            workers: Threads that read.

        Raises:
            DatasetNotFoundError: If none is left.
        """
        if corrupt == 'error':
            return
        grids = self.locator.grids

        def read(row: int) -> Sample:
            with rasterio.Env(**CHIP_SETTINGS):
                return self._read_layers(row, grids[row], grids[row].all)

        files = list(zip(*self._paths.values(), strict=True))
        settings = type(self).__name__, self.num_classes, sorted(self.layers)
        faults = screen(read, files, settings, cache, workers)
        # Named after the file that is at fault, not after the first of the chip
        named = self._index[['filepath']].assign(filepath=[path for path, _ in faults])
        kept = leave_out(
            named,
            [fault for _, fault in faults],
            'skip',
            verifiable=True,
            option='corrupt',
        )
        if kept.empty:
            raise DatasetNotFoundError(self)
        self.index = self._index[[not fault for _, fault in faults]]

    @property
    def index(self) -> GeoDataFrame:
        """One row a chip: where it lies, its files and its groups.

        Assign a part of it to keep only these chips. Do not edit it in place once the
        dataset has been read from.
        """
        return self._index

    @index.setter
    def index(self, index: GeoDataFrame) -> None:
        index = repaired(index, self._index)
        self._index = index
        self._locator = None
        self._paths = {name: index[name].tolist() for name in self.layers}

    @property
    def crs(self) -> CRS:
        """CRS of the index; samples keep that of their chip."""
        crs: CRS = self._index.crs
        return crs

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

    def __or__(self, other: GeoDataset) -> UnionDataset:
        """Return the union with another dataset."""
        if isinstance(other, ChipDataset | ChipUnion):
            return ChipUnion(self, other)
        return super().__or__(other)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be derived: for workers, copies and split functions."""
        return {**self.__dict__, '_locator': None}

    def __getitem__(self, index: GeoSlice | int) -> Sample:
        """Read a sample.

        Args:
            index: See the class.

        Returns:
            The layers of one chip by their keys, and ``bounds`` (x and y minimum,
            maximum and step, then t), ``transform`` (coefficients a to i) in float64
            and ``epsg``, in the chip's own CRS; for some data sets more, see the class.

        Raises:
            IndexError: If there is no such chip.
            CorruptChipError: If a file of the chip cannot be used.
        """
        if isinstance(index, int | np.integer):
            row = range(len(self))[int(index)]
            return self._read(row, self.locator.windows[row])
        if isinstance(index, ChipQuery):
            row = self.locator.row(index)
            return self._read(row, self.locator.windows[row])
        row = self.locate(index)[1]
        window = self.locator.window(row, self._extent(index), self.res)
        return self._read(row, window)

    @property
    def locator(self) -> ChipLocator:
        """What finds chips and pixels, worked out once for each index."""
        if self._locator is None:
            self._locator = ChipLocator(self._index)
        return self._locator

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
        area, row = self.locator.locate(self._extent(query))
        if row < 0:
            raise IndexError(
                f'`index={query}` overlaps no chip of the dataset, whose bounds are '
                f'{self.bounds}.'
            )
        return area, row

    def _extent(self, query: GeoSlice) -> Extent:
        """Complete a TorchGeo query where it leaves out an end."""
        parts = (query,) if isinstance(query, slice) else tuple(query)
        timed = len(parts) > 2 and (parts[2].start, parts[2].stop) != (None, None)
        ends = [end for part in parts[:2] for end in (part.start, part.stop)]
        if len(ends) == 4 and None not in ends and not timed:
            return Extent(parts[0], parts[1], None)  # spares `bounds`, which is slow
        x, y, t = self._disambiguate_slice(query)
        return Extent(x, y, t if timed else None)

    def _resolution(self, crs: CRS) -> tuple[float, float]:
        """Size of a pixel in units of a CRS."""
        scale = METRES_PER_DEGREE ** (crs.is_geographic - self._geographic)
        return self._pixel[0] / scale, self._pixel[1] / scale

    def _read(self, row: int, window: PixelBox) -> Sample:
        """Read some pixels of the chip of a row, and say where they lie."""
        grid = self.locator.grids[row]
        with rasterio.Env(**CHIP_SETTINGS):
            sample = self._read_layers(row, grid, window)
        xmin, xmax = (grid.x + grid.xres * i for i in (window.left, window.right))
        ymax, ymin = (grid.y - grid.yres * i for i in (window.top, window.bottom))
        times = self.locator.times[row]
        places = {
            'bounds': [xmin, xmax, grid.xres, ymin, ymax, grid.yres, *times, 1],
            'transform': [grid.xres, 0, xmin, 0, -grid.yres, ymax, 0, 0, 1],
        }
        for key, numbers in places.items():
            sample[key] = torch.tensor(numbers, dtype=torch.float64)
        sample['epsg'] = torch.tensor(self.locator.codes[row])
        if self.wavelengths:
            centres = [self.wavelengths[band] for band in self.bands]
            sample['wavelength'] = torch.tensor(centres)
            sample['resolution'] = torch.tensor(self.resolutions)
        return sample if self.transforms is None else self.transforms(sample)

    def _read_layers(self, row: int, grid: Grid, window: PixelBox) -> Sample:
        """Read the layers of the chip of a row: here Sentinel's, all on one grid.

        Args:
            row: The row of the index.
            grid: Grid of the whole chip.
            window: Pixels of the chip that are wanted.

        Returns:
            The layers by their keys.
        """
        part = None if window == grid.all else window
        return {
            layer.key: self._read_layer(layer, self._paths[name][row], grid, part)
            for name, layer in self.layers.items()
        }

    def _read_layer(
        self, layer: Layer, path: str, grid: Grid, window: PixelBox | None
    ) -> Tensor:
        """Read a layer of a chip."""
        match layer.key:
            case 'image' | 'image_clear':
                known = self._offsets.get(path) if self.offset is None else self.offset
                image, self._offsets[path] = read_optical(
                    path, layer, grid, window, self._indexes, known
                )
                return image
            case 'mask':
                return read_labels(path, layer, grid, window, self.num_classes)
            case 'mask_cloud':
                return read_cloud(path, layer, grid, window)
            case _:
                return read_float(path, layer, grid, window)

    def offset_of(self, row: int) -> float:
        """Tell what the digital numbers of a chip carry on top in its file.

        Where it is to be found out, and this process has not read the chip, that takes
        reading it.

        Args:
            row: The row of the chip in the index.
        """
        if self.offset is not None:
            return self.offset
        (name,) = (n for n, layer in self.layers.items() if layer.key == 'image')
        path = self._paths[name][row]
        if path not in self._offsets:
            with rasterio.Env(**CHIP_SETTINGS):
                self._read_layer(self.layers[name], path, self.locator.grids[row], None)
        return self._offsets[path]

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
            RGBBandsMissingError: If the dataset was made without red, green or blue.
        """
        if not set(self.rgb_bands) <= set(self.bands):
            raise RGBBandsMissingError()
        rgb = [self.bands.index(band) for band in self.rgb_bands]
        names = self.class_names or [f'class {i}' for i in range(self.num_classes)]
        return plot_sample(
            sample, rgb, names, *self._drawn_white, show_titles, suptitle
        )
