# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of a Sentinel-2 product, all bands on the grid of the finest."""

from collections.abc import Sequence
from math import ceil, isnan
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....transforms.bands import check_bands
from ...chips.reading import detect_offset
from ...grids import Grid, PixelBox
from ..common import SceneError
from ..formats.products import OpticalProduct
from ..formats.rasters import RasterFiles, reading

#: Rows and columns at most of the reduced image that tells what the numbers mean.
_PREVIEW = 1024

#: Digital numbers whose 99th percentile is below this are reflectances.
_REFLECTANCE = 5

#: Of a reduced B10, this part may be mixed with missing pixels: overviews of files that
#: do not declare them are averages.
_MIXED = 0.01


class _Source(NamedTuple):
    """Bands to read from one file: where they go, their indexes, repetitions."""

    path: str
    positions: list[int]
    indexes: list[int]
    factor: int


class OpticalReader:
    """Windows of a Sentinel-2 product, all bands on the grid of the finest.

    Bands of 20 and 60 m are repeated to the finest grid: a pixel has the value of the
    coarse pixel in which it lies, whatever the window. Only the window is read. Readers
    can be pickled and forked; files are opened when first read from, in each process.

    Args:
        product: The product, of :func:`~.products.find_optical`.
        bands: Names of bands, in any order; None for all that the product has.
        offset: What was added to reflectance × 10⁴, 0 or 1000 as a rule. ``'auto'``
            takes the product's own, or else finds it out from B10.

    Raises:
        SceneError: If bands are missing or do not lie on each other, or the numbers are
            no digital numbers, or their offset cannot be found out.
        ValueError: If a name is no band's.

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
    ) -> None:
        self.product = product
        self.bands = check_bands(tuple(product.bands) if bands is None else bands)
        """Names of the bands that are read, in order."""
        if missing := [band for band in self.bands if band not in product.bands]:
            raise SceneError(
                product.path,
                f'has no {", ".join(missing)}. Choose `bands` from '
                f'{list(product.bands)}, and a model that was trained with those.',
            )
        self.nodata = product.nodata
        """Digital number of missing pixels."""
        self._files = RasterFiles(product.headers)
        self.grid, self._sources, self._dtype = self._layout()
        self._check_numbers()
        self.offset = float(self._find_offset() if offset == 'auto' else offset)
        """What was added to reflectance × 10⁴."""
        self.close()

    def read(self, window: PixelBox) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read a window.

        Args:
            window: Pixels of :attr:`grid`.

        Returns:
            Digital numbers as stored, offset included, of shape C×H×W and the product's
            type; and where no band is missing, of shape H×W. Of products whose missing
            pixels are 0, B10 does not count: it may be 0 where all others are there.

        Raises:
            SceneError: If a file cannot be read.
            ValueError: If the window reaches beyond the scene.
        """
        self.grid.check(window)
        shape = len(self.bands), window.bottom - window.top, window.right - window.left
        image = np.empty(shape, self._dtype)
        for source in self._sources:
            array = self._read(source, window)
            if len(self._sources) == 1:
                image = array
            else:
                image[source.positions] = array
        return image, self._valid(image)

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        self._files.close()

    def _read(self, source: _Source, window: PixelBox) -> NDArray[Any]:
        factor = source.factor
        left, top, right, bottom = window
        coarse = PixelBox(
            left // factor, top // factor, -(-right // factor), -(-bottom // factor)
        )
        with reading(source.path):
            array: NDArray[Any] = self._files[source.path].read(
                source.indexes, window=coarse.ranges
            )
        if factor == 1:
            return array
        rows = np.arange(top, bottom) // factor - coarse.top
        columns = np.arange(left, right) // factor - coarse.left
        return array[:, rows[:, None], columns]

    def _valid(self, image: NDArray[Any]) -> NDArray[np.bool_]:
        valid = np.ones(image.shape[1:], np.bool_)
        for name, band in zip(self.bands, image, strict=True):
            if self.nodata == 0 and name == 'B10' and len(self.bands) > 1:
                continue
            if not isnan(self.nodata):
                valid &= band != self.nodata
            if band.dtype.kind == 'f':
                valid &= np.isfinite(band)
        return valid

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
        return grid, list(sources.values()), np.result_type(*dtypes)

    def _preview(self, band: str) -> NDArray[Any]:
        """The pixels of a band that are not missing, reduced."""
        file = self.product.bands[band]
        with reading(file.path):
            source = self._files[file.path]
            shape = min(source.height, _PREVIEW), min(source.width, _PREVIEW)
            array: NDArray[Any] = source.read(file.index, out_shape=shape)
        valid: NDArray[Any] = array[(array != self.nodata) & np.isfinite(array)]
        return valid

    def _check_numbers(self) -> None:
        if self._dtype.kind != 'f':
            return
        band = next((band for band in self.bands if band != 'B10'), self.bands[0])
        values = self._preview(band)
        if values.size and np.percentile(values, 99) < _REFLECTANCE:
            raise SceneError(
                self.product.bands[band].path,
                'holds reflectances; digital numbers are needed. Multiply by 10000 (and '
                'give `offset=0`).',
            )

    def _find_offset(self) -> float:
        if self.product.offset is not None:
            return self.product.offset
        advice = 'Give `offset`: 1000 since processing baseline 04.00 (2022), 0 before.'
        if 'B10' not in self.product.bands:
            raise SceneError(
                self.product.path, f'has no B10 to tell which offset it has. {advice}'
            )
        values = self._preview('B10')
        if not values.size:
            raise SceneError(
                self.product.bands['B10'].path,
                f'is missing everywhere, so that nothing tells the offset. {advice}',
            )
        return detect_offset(np.quantile(values, _MIXED, method='lower'))


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
