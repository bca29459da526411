# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of another date of a scene, on the pixels of the scene."""

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject

from ...grids import Grid, PixelBox
from ..formats.rasters import reading
from ..windows.clouds import CloudReader
from ..windows.detection import DetectedClouds
from ..windows.optical.reader import OpticalReader
from ..windows.warping import TOLERANCE, same_grid, source_window, transform_of


class OtherDate:
    """Windows of another Sentinel-2 product of a place, on the pixels of the scene.

    Products of other pixels, as of another crop or zone, are warped: numbers by bilinear
    interpolation among clear pixels, clouds by nearest neighbour.

    Args:
        optical: Reads the product.
        clouds: Reads its cloud mask, or finds it, on the product's own pixels.
        grid: The pixels of the scene.
        days: Days between the scene and this date; None if unknown.
    """

    def __init__(
        self,
        optical: OpticalReader,
        clouds: CloudReader | DetectedClouds,
        grid: Grid,
        days: float | None = None,
    ) -> None:
        self.optical = optical
        self.clouds = clouds
        self.grid = grid
        self.days = days
        self._same = same_grid(optical.grid, grid)

    def read(self, window: PixelBox) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window.

        Args:
            window: Pixels of :attr:`grid`.

        Returns:
            Digital numbers without offset, C×H×W, and where they are clear, H×W.

        Raises:
            SceneError: If a file cannot be read.
            ValueError: If the window reaches beyond the scene.
        """
        self.grid.check(window)
        if self._same:
            return self._own(window)
        shape = len(self.optical.bands), window.height, window.width
        numbers = np.full(shape, np.nan, np.float32)
        clear = np.zeros(shape[1:], np.uint8)
        source = self.optical.grid
        with reading(self.optical.product.path):
            part = source_window(source, self.grid, window)
            if part is None:
                return np.zeros_like(numbers), clear.astype(np.bool_)
            values, there = self._own(part)
            values[:, ~there] = np.nan
            places = {
                'src_transform': transform_of(source.transform, part),
                'src_crs': source.crs,
                'dst_transform': transform_of(self.grid.transform, window),
                'dst_crs': self.grid.crs,
                'tolerance': TOLERANCE,
            }
            reproject(
                values,
                numbers,
                src_nodata=np.nan,
                dst_nodata=np.nan,
                resampling=Resampling.bilinear,
                **places,
            )
            reproject(
                there.astype(np.uint8),
                clear,
                resampling=Resampling.nearest,
                **places,
            )
        found = (clear == 1) & np.isfinite(numbers).all(0)
        return np.where(found, numbers, np.float32(0)), found

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        self.optical.close()
        self.clouds.close()

    def _own(self, window: PixelBox) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window of the product's own pixels."""
        numbers, valid = self.optical.read(window)
        clear = valid & ~self.clouds.read(window)
        return numbers.astype(np.float32) - np.float32(self.optical.offset), clear
