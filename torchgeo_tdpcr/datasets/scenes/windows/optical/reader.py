# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of a Sentinel-2 product, all bands on the grid of the finest."""

from collections.abc import Sequence
from math import ceil, isnan
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .....transforms.bands import QUANTIFICATION, check_bands
from ....grids import Grid, PixelBox
from ....plausibility import DIGITAL_NUMBERS, check_offset, holds_only
from ...common import SceneError
from ...formats.evidence import doubt_of
from ...formats.parts import OpticalProduct
from ...formats.rasters import RasterFiles, read_mask, reading
from .digital import (
    AS_STORED,
    as_digital,
    check_order,
    convert,
    evidence_of,
    find_gains,
    find_offset,
)
from .numbers import BandNumbers, is_filled, numbers_of, sample_pixels

#: Least number that stands for missing pixels where all bands have it.
_LEAST_FILL = np.iinfo(np.int16).max


class _Source(NamedTuple):
    """Bands to read from one file: where they go, their indexes, repetitions."""

    path: str
    positions: list[int]
    indexes: list[int]
    factor: int
    mask: int | None = None


class OpticalReader:
    """Windows of a Sentinel-2 product, all bands on the grid of the finest.

    Bands of 20 and 60 m are repeated to the finest grid: a pixel has the value of the
    coarse pixel in which it lies, whatever the window. Only the window is read. Readers
    can be pickled and forked; files are opened when first read from, in each process.

    Args:
        product: The product, of :func:`~.products.find_optical`.
        bands: Names of bands, in any order; None for all that the product has.
        offset: What was added to reflectance × 10⁴, 0 or 1000. ``'auto'`` takes what
            the product's metadata, tags, or else its numbers tell, and compares them.
        scale: Reflectance of one unit; None takes what tags tell, or else the numbers.
            Whatever it is, digital numbers are read.

    Raises:
        SceneError: If bands are missing or do not lie on each other, are in another order
            than the usual that is assumed, or the numbers are in nothing known, or their
            offset cannot be found out, or what tells it disagrees.
        ValueError: If a name is no band's, or no baseline has the offset.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import rasterio
        >>> from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
        >>> profile = {'crs': 'EPSG:32632', 'count': 13, 'dtype': 'uint16'}
        >>> profile |= {'width': 64, 'height': 64}
        >>> profile |= {'transform': rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)}
        >>> with TemporaryDirectory() as folder:
        ...     with rasterio.open(f'{folder}/s2.tif', 'w', **profile) as file:
        ...         file.write(np.full((13, 64, 64), 1007, np.uint16))
        ...     reader = OpticalReader(find_optical(f'{folder}/s2.tif'), ['B4', 'B3'])
        ...     image, valid = reader.read(PixelBox(0, 0, 32, 16))
        >>> image.shape, valid.shape, reader.offset
        ((2, 16, 32), (16, 32), 1000.0)
    """

    def __init__(
        self,
        product: OpticalProduct,
        bands: Sequence[str] | None = None,
        offset: float | Literal['auto'] = 'auto',
        scale: float | None = None,
    ) -> None:
        check_offset(offset)
        self.product = product
        self.bands = check_bands(tuple(product.bands) if bands is None else bands)
        """Names of the bands that are read, in order."""
        if missing := [band for band in self.bands if band not in product.bands]:
            raise SceneError(
                product.path,
                f'has no {", ".join(missing)}. Choose `bands` from '
                f'{list(product.bands)}, and a model that was trained with those.',
            )
        self._files = RasterFiles(product.headers)
        self.grid, self._sources, self._dtype = self._layout()
        self._bounded = all(
            holds_only(np.dtype(dtype), DIGITAL_NUMBERS)
            for source in self._sources
            for dtype in self._files.header(source.path).dtypes
        )
        self._nodata = [self._declared(band) for band in self.bands]
        samples = self._sample(offset == 'auto' and product.offset is None)
        gains = find_gains(product, self._files, samples, scale)
        self._gains = [gains[band] for band in self.bands]
        self.is_digital = all(gain == AS_STORED for gain in self._gains)
        """Whether the product holds digital numbers, which are read as stored."""
        samples = as_digital(samples, gains)
        self.medians = {
            numbers.band: float(np.median(numbers.values))
            for numbers in samples
            if numbers.values.size
        }
        """Digital number in the middle of each band, with its offset."""
        self.cover = min(numbers.cover for numbers in samples)
        """Part of the product that is not missing, as far as was looked."""
        self.evidence = evidence_of(
            product, samples, self.is_digital, scale is not None
        )
        """What tells the offset."""
        self.offset = float(
            find_offset(product, samples, self.evidence) if offset == 'auto' else offset
        )
        """What was added to reflectance × 10⁴."""
        self.doubt = (
            ''
            if offset == 'auto'
            else doubt_of(offset, {one.band: one.values for one in samples})
        )
        """What speaks against the offset that was given, '' if nothing."""
        self.close()

    @property
    def scales(self) -> dict[str, float]:
        """Reflectance of one unit of each band, as stored."""
        return {
            band: gain.factor / QUANTIFICATION
            for band, gain in zip(self.bands, self._gains, strict=True)
        }

    def read(self, window: PixelBox) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read a window.

        Args:
            window: Pixels of :attr:`grid`.

        Returns:
            Digital numbers with their offset, of shape C×H×W: as stored and of the
            product's type, or made of reflectance, then float32. And where none is
            missing, of shape H×W. Missing is what a mask or a nodata value other than 0
            says in any band, what is no number or beyond −2000 to 65535, and where all
            bands that are read are 0, or the largest number of their type: before
            baseline 04.00, and in level 2A without its offset, 0 in some bands is how
            dark ground looks.

        Raises:
            SceneError: If a file cannot be read.
            ValueError: If the window reaches beyond the scene.
        """
        self.grid.check(window)
        shape = len(self.bands), window.bottom - window.top, window.right - window.left
        image = np.empty(shape, self._dtype)
        there = np.ones(shape[1:], np.bool_)
        for source in self._sources:
            array = self._read(source, window, source.indexes)
            if len(self._sources) == 1:
                image = array
            else:
                image[source.positions] = array
            if source.mask is not None:
                there &= self._read(source, window, None)[0] != 0
        there &= self._there(image)
        image = self.digital(image)
        return image, there & self._within(image)

    def digital(self, image: NDArray[Any]) -> NDArray[Any]:
        """Make digital numbers of what the files hold.

        Args:
            image: The bands that are read, as stored, of shape C×H×W.

        Returns:
            Digital numbers with their offset: the image itself if it holds such.
        """
        return image if self.is_digital else convert(image, self._gains)

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        self._files.close()

    def _read(
        self, source: _Source, window: PixelBox, indexes: list[int] | None
    ) -> NDArray[Any]:
        """Read bands of a file, or for None its mask, on the finest grid."""
        factor = source.factor
        left, top, right, bottom = window
        coarse = PixelBox(
            left // factor, top // factor, -(-right // factor), -(-bottom // factor)
        )
        with reading(source.path):
            raster = self._files[source.path]
            array: NDArray[Any] = (
                read_mask(raster, source.mask or 0, window=coarse.ranges)[None]
                if indexes is None
                else raster.read(indexes, window=coarse.ranges)
            )
        if factor == 1:
            return array
        rows = np.arange(top, bottom) // factor - coarse.top
        columns = np.arange(left, right) // factor - coarse.left
        return array[:, rows[:, None], columns]

    def _there(self, image: NDArray[Any]) -> NDArray[np.bool_]:
        """Where no band of an image as stored says that it is missing."""
        valid: NDArray[np.bool_] = image.any(axis=0)
        signed = image.dtype.kind != 'u'
        if image.max() >= _LEAST_FILL or (signed and image.min() < 0):
            valid &= ~is_filled(image)
        for nodata, band in zip(self._nodata, image, strict=True):
            if nodata is not None:
                valid &= band != nodata
            if band.dtype.kind == 'f':
                valid &= np.isfinite(band)
        return valid

    def _within(self, image: NDArray[Any]) -> Any:
        """Where digital numbers are such."""
        if self._bounded and self.is_digital:
            return True
        low, high = DIGITAL_NUMBERS
        # Not `within`, which is slower where nothing is beyond, as a rule
        if image.dtype.kind == 'f':
            ends = np.nanmin(image, initial=low), np.nanmax(image, initial=low)
        else:
            ends = image.min(), image.max()
        if ends[0] >= low and ends[1] <= high:
            return True
        return ((image >= low) & (image <= high)).all(axis=0)

    def _declared(self, band: str) -> float | None:
        """Number of a band's missing pixels that needs to be looked for."""
        file = self.product.bands[band]
        header = self._files.header(file.path)
        nodata = header.nodata[file.index - 1]
        # NaN is found anyway, and 0 counts where all bands have it
        if nodata is None or isnan(nodata) or nodata == 0:
            return None
        # As it is in the file: a float32 is rarely the float64 that declares it
        dtype = np.dtype(header.dtypes[file.index - 1])
        return float(dtype.type(nodata)) if dtype.kind == 'f' else float(nodata)

    def _layout(self) -> tuple[Grid, list[_Source], np.dtype[Any]]:
        """The finest band's grid, and how all bands are read onto it."""
        paths = list(dict.fromkeys(self.product.bands[b].path for b in self.bands))
        grids = {path: self._files.grid(path) for path in paths}
        grid = min(grids.values(), key=lambda grid: abs(grid.transform.a))
        sources = {
            path: _Source(path, [], [], _factor(path, own, grid))
            for path, own in grids.items()
        }
        dtypes = []
        for position, band in enumerate(self.bands):
            file = self.product.bands[band]
            sources[file.path].positions.append(position)
            sources[file.path].indexes.append(file.index)
            header = self._files.header(file.path)
            dtypes.append(np.dtype(header.dtypes[file.index - 1]))
            if dtypes[-1].kind not in 'uif':
                raise SceneError(file.path, f'holds {dtypes[-1]}; give real numbers.')
        masks = {
            path: self._files.header(path).mask(source.indexes)
            for path, source in sources.items()
        }
        found = [source._replace(mask=masks[path]) for path, source in sources.items()]
        return grid, found, np.result_type(*dtypes)

    def _sample(self, undocumented: bool) -> list[BandNumbers]:
        """Numbers of the bands that are read, and of B10 if it is at hand or needed.

        Raises:
            SceneError: If all bands are not in the order that is assumed.
        """
        assumed = self.product.assumed
        wanted: dict[str, dict[str, int]] = {}
        for band, file in self.product.bands.items():
            at_hand = file.path in {source.path for source in self._sources}
            near = band in self.bands or (band == 'B10' and (undocumented or at_hand))
            # The order of all tells which these are
            if near or assumed:
                wanted.setdefault(file.path, {})[band] = file.index
        samples = []
        for path, bands in wanted.items():
            with reading(path):
                sample = sample_pixels(self._files[path], list(bands.values()))
            if assumed:
                check_order(self.product.path, sample[0])
            nodata = [self._declared(band) for band in bands]
            samples += numbers_of(path, sample, list(bands), nodata)
        return [part for part in samples if part.band in (*self.bands, 'B10')]


def _factor(path: str, own: Grid, grid: Grid) -> int:
    """How often a pixel of a band is repeated, checked to fall on the finest pixels."""
    a, b, c, d, e, f = grid.transform[:6]
    factor: int = max(round(own.transform.a / a), 1)
    # At the lower-right corner, so that pixels of a slightly different size show
    far = (own.width, own.height)
    place = np.array(own.transform[:6]).reshape(2, 3)
    scaled = np.array([[a * factor, b * factor, c], [d * factor, e * factor, f]])
    gaps = np.abs([(place - scaled) @ (*far, 1), (place - scaled)[:, 2]])
    size = ceil(grid.width / factor), ceil(grid.height / factor)
    if own.crs != grid.crs:
        fault = f'is in {own.crs}, the finest band in {grid.crs}'
    elif gaps.max() > 0.01 * abs(a):
        fault = (
            'does not have the upper-left corner of the finest band, or its pixels are '
            "no multiple of that band's"
        )
    elif far != size:
        fault = (
            f'is {far[0]}×{far[1]} pixels large; to cover the same ground as the finest '
            f'band, it would be {size[0]}×{size[1]}'
        )
    else:
        return factor
    raise SceneError(path, f'{fault}. Give all bands of one product, cropped alike.')
