# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of a Sentinel-1 raster on the grid of a scene, in dB."""

from collections.abc import Sequence
from itertools import product
from multiprocessing import parent_process
from os import PathLike
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject

from .....kinds import SAR_SCALES, SARScale
from ....grids import Grid, PixelBox
from ....plausibility import RADAR_FILLS
from ...formats.polarisations import RadarProduct, describe_radar
from ...formats.rasters import RasterFiles, reading
from ..warping import (
    TOLERANCE,
    fineness,
    points_of,
    shift_of,
    source_pixels,
    source_window,
    transform_of,
    window_transform,
)
from .backscatter import PIXELS, check_levels, find_scale, medians_of
from .fills import check_bands, fills_of
from .polarisation_order import check_order
from .source import RadarSource
from .units import are_data, is_bright

#: Sources whose pixels are finer than the scene's by more than this are averaged.
_AVERAGED = 1.5

#: Points a side that tell the scale; more where few find less pixels than these.
_SAMPLES, _ENOUGH = (32, 256), 50


class RadarReader:
    """Windows of Sentinel-1 backscatter on the grid of a scene.

    A raster with the very pixels of the scene, or more or less of them, is read as it is.
    Any other is warped,
    window by window: bilinearly, or averaged if its pixels are more than 1.5 times
    finer. Power is warped as power, and so is amplitude.

    Scale and offset tags of the raster are applied. Pixels are missing that have its
    nodata value, or that its mask says are, or that are not finite, in power and amplitude
    those not above 0, in dB those below -80, in all those above 45 dB, and those where VV
    and VH both are exactly 0: a border in power, and in dB as well, where many programs
    write 0 beside whatever value they declare. So numbers that stand for missing pixels
    are missing though nobody declares them: -9999, -99 dB, 1e9. After warping, a pixel is
    missing if all those of the raster around it are.

    Readers can be pickled and forked; files are opened when first read from, in each
    process.

    Args:
        path: The raster or rasters, see :func:`~.polarisations.find_radar`, or what
            :func:`~.polarisations.describe_radar` told about them.
        grid: The pixels of the scene.
        scale: Whether the raster holds dB, power (linear) or amplitude. ``'auto'`` takes
            it for dB if its median is below 0, else for amplitude if a name says so, else
            for power. What the numbers contradict is an error.
        rasters: To open the files with; whoever gives them closes them (defaults to
            some that are closed after each use but :meth:`read`).

    Raises:
        SceneError: If the raster has no place, is not calibrated, is in another unit
            than *scale*, or is empty.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import rasterio
        >>> from rasterio.transform import from_origin
        >>> grid = Grid(
        ...     rasterio.CRS.from_epsg(32632), from_origin(6e5, 5e6, 10, 10), 64, 64
        ... )
        >>> profile = {'crs': grid.crs, 'transform': grid.transform, 'count': 2}
        >>> profile |= {'width': 64, 'height': 64, 'dtype': 'float32'}
        >>> with TemporaryDirectory() as folder:
        ...     with rasterio.open(f'{folder}/s1.tif', 'w', **profile) as file:
        ...         file.write(np.full((1, 64, 64), 0.1, np.float32), [1])
        ...         file.write(np.full((1, 64, 64), 0.01, np.float32), [2])
        ...     reader = RadarReader(f'{folder}/s1.tif', grid)
        ...     image = reader.read(PixelBox(0, 0, 32, 16))
        >>> reader.scale, image.shape, image.mean(axis=(1, 2)).round(3).tolist()
        ('linear', (2, 16, 32), [-10.0, -20.0])
    """

    def __init__(
        self,
        path: RadarProduct | str | PathLike[str] | Sequence[str | PathLike[str]],
        grid: Grid,
        scale: SARScale | Literal['auto'] = 'auto',
        rasters: RasterFiles | None = None,
    ) -> None:
        if scale not in ('auto', *SAR_SCALES):
            raise ValueError(
                f'`scale={scale!r}`: choose one of {("auto", *SAR_SCALES)}.'
            )
        self._shared = rasters is not None
        self._files = rasters or RasterFiles()
        source = path
        if not isinstance(source, RadarProduct):
            source = describe_radar(source, self._files)
        self._files.headers.update(source.headers)
        self.bands = source.bands
        """Where VV and VH are."""
        self.grid = grid
        self._own = source.grid
        self._source = RadarSource(source, self._files)
        self._shift = shift_of(self._own, grid)
        with reading(self.bands[0].path):
            self._averaged = fineness(self._own, grid) > _AVERAGED
        self.scale: SARScale = self._find_scale(source, scale)
        """What the raster holds."""
        self._close_own()

    def read(self, window: PixelBox) -> NDArray[np.float32]:
        """Read a window.

        Args:
            window: Pixels of :attr:`grid`.

        Returns:
            VV and VH in dB, of shape 2×H×W, NaN where there is none.

        Raises:
            SceneError: If a file cannot be read.
            ValueError: If the window reaches beyond the scene.
        """
        self.grid.check(window)
        image = self._warp(window) if self._shift is None else self._moved(window)
        return image if self.scale == 'db' else 10 * np.log10(image)

    def coverage(self, size: int = 256) -> float:
        """Tell which part of the scene has VV and VH.

        Args:
            size: Points a side at which that is looked up; few are fast.

        Returns:
            The part, 0 to 1; 0 if scene and raster are at different places, or all
            pixels are missing there, see :attr:`meets`.

        Raises:
            SceneError: If a file cannot be read.
        """
        return float(self.covered(size).mean())

    def covered(self, size: int) -> NDArray[np.bool_]:
        """Tell at which places of the scene there are VV and VH.

        Args:
            size: Points a side, see :func:`~.warping.points_of`.

        Returns:
            H×W of these points.

        Raises:
            SceneError: If a file cannot be read.
        """
        grid = self.grid
        columns, rows = points_of(grid, size)
        covered = np.zeros(columns.shape, np.bool_)
        with reading(self.bands[0].path):
            part = source_window(self._own, grid, grid.all, beyond=True)
            if part is None:
                return covered
            there = np.isfinite(self._mask(self._source.values(part, size))).all(axis=0)
            left, top = source_pixels(self._own, grid, columns, rows)
        self._close_own()
        inside = (left >= part.left) & (left < part.right)
        inside &= (top >= part.top) & (top < part.bottom)
        down = (top[inside] - part.top) * (there.shape[0] / part.height)
        across = (left[inside] - part.left) * (there.shape[1] / part.width)
        covered[inside] = there[down.astype(int), across.astype(int)]
        return covered

    @property
    def meets(self) -> bool:
        """Whether any pixel of the raster, missing or not, lies in the scene."""
        with reading(self.bands[0].path):
            part = source_window(self._own, self.grid, self.grid.all, beyond=True)
        return part is not None

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        self._files.close()

    def _close_own(self) -> None:
        if not self._shared:
            self.close()

    def _find_scale(
        self, source: RadarProduct, asked: SARScale | Literal['auto']
    ) -> SARScale:
        path = self.bands[0].path
        with reading(path):
            part = source_window(self._own, self.grid, self.grid.all, beyond=True)
        most, sample = -1, np.empty((2, 0), np.float32)
        # The part may be empty, or nearly; then any part tells
        for place, size in product((part, self._own.all), _SAMPLES):
            if place is None:
                continue
            values = self._source.values(place, size)
            count = int(are_data(values).all(axis=0).sum())
            if count > most:
                most, sample = count, values
            if count >= _ENOUGH:
                break
        self._source.fills = fills_of(tuple(sample))
        self._source.take_out_fills(sample)
        header = self._files.header(path)
        index = self.bands[0].index - 1
        plain = header.scales[index] == (1, 0)
        dtype = header.dtypes[index] if plain else None
        numbers = tuple(sample)
        scale = find_scale(path, numbers, asked, source.scale, dtype)
        check_bands(path, numbers)
        check_order(source, numbers, scale)
        if scale != 'amplitude' and is_bright(medians_of(numbers), scale):
            # A city may be as bright, but not all around it
            numbers = tuple(self._source.values(self._own.all, _SAMPLES[1]))
        check_levels(path, numbers, scale, asked, source.scale)
        return scale

    def _mask(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Set what is missing to NaN, and make power of amplitude, in place."""
        if self.scale == 'amplitude':
            image[image < 0] = np.nan
            with np.errstate(over='ignore'):
                np.square(image, out=image)
        low, high = PIXELS['db' if self.scale == 'db' else 'linear']
        image[~((image >= low) & (image <= high))] = np.nan
        if self.scale == 'linear':
            # The one number for missing pixels that could be power
            image[image == max(RADAR_FILLS)] = np.nan
        if self.scale == 'db':
            # -0 as well
            image[:, (image == 0).all(axis=0)] = np.nan
        return image

    def _read(self, window: PixelBox) -> NDArray[np.float32]:
        return self._mask(self._source.values(window))

    def _moved(self, window: PixelBox) -> NDArray[np.float32]:
        """Read a window of a raster that lies some whole pixels beside the scene."""
        across, down = self._shift or (0, 0)
        left, top = max(window.left + across, 0), max(window.top + down, 0)
        right = min(window.right + across, self._own.width)
        bottom = min(window.bottom + down, self._own.height)
        part = PixelBox(left, top, right, bottom)
        if (part.width, part.height) == (window.width, window.height):
            return self._read(part)
        image = np.full((2, window.height, window.width), np.nan, np.float32)
        if part.width > 0 and part.height > 0:
            first, start = top - down - window.top, left - across - window.left
            image[:, first : first + part.height, start : start + part.width] = (
                self._read(part)
            )
        return image

    def _warp(self, window: PixelBox) -> NDArray[np.float32]:
        shape = 2, window.bottom - window.top, window.right - window.left
        image = np.full(shape, np.nan, np.float32)
        path = self.bands[0].path
        with reading(path):
            part = source_window(self._own, self.grid, window, beyond=True)
            if part is None:
                return image
            if self._averaged:
                options: dict[str, Any] = {'resampling': Resampling.average}
            else:
                # GDAL would guess the ratio of pixel sizes from each window anew, and
                # take turned pixels for finer ones, which blurs
                options = {'resampling': Resampling.bilinear, 'XSCALE': 1, 'YSCALE': 1}
            reproject(
                self._read(part),
                image,
                src_transform=window_transform(self._own, self.grid, part),
                src_crs=self._own.crs,
                src_nodata=np.nan,
                dst_transform=transform_of(self.grid.transform, window),
                dst_crs=self.grid.crs,
                dst_nodata=np.nan,
                tolerance=TOLERANCE,
                # Threads do not survive a fork, see `reading`
                num_threads=1 if parent_process() else 2,
                # Else only what both bands miss would count as missing
                UNIFIED_SRC_NODATA='NO',
                **options,
            )
        return cast(NDArray[np.float32], image)
