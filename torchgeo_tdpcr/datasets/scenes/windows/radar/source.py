# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Numbers of a Sentinel-1 raster on its own pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....grids import PixelBox
from ...formats.polarisations import RadarProduct
from ...formats.rasters import RasterFiles, read_mask, reading
from ..warping import turns


class RadarSource:
    """Numbers of a Sentinel-1 raster on its own pixels, scale and offset tags applied.

    Args:
        product: The raster.
        files: To open it with.
    """

    def __init__(self, product: RadarProduct, files: RasterFiles) -> None:
        self.bands = product.bands
        self.grid = product.grid
        self.fills: tuple[float, ...] = ()
        """Numbers that stand for a missing pixel where both bands have them."""
        self._files = files

    def values(self, window: PixelBox, size: int | None = None) -> NDArray[np.float32]:
        """Read a window.

        Args:
            window: Pixels of the raster; columns as :func:`~.warping.turns` has them.
            size: Rows and columns at most, None for all.

        Returns:
            VV and VH, 2×H×W; NaN where the raster says that they are missing, where both
            are 0 as stored, and where both are one of :attr:`fills`.

        Raises:
            SceneError: If it cannot be read.
        """
        height, width = window.height, window.width
        if size is not None:
            height, width = min(height, size), min(width, size)
        image = np.full((2, height, width), np.nan, np.float32)
        for first, last, shift in turns(self.grid, window.left, window.right):
            left, right = (
                round((column + shift - window.left) * width / window.width)
                for column in (first, last)
            )
            if left < right:
                part = PixelBox(first, window.top, last, window.bottom)
                self._read(part, image[..., left:right])
        self.take_out_fills(image)
        return image

    def take_out_fills(self, image: NDArray[np.float32]) -> None:
        """Set what stands for missing pixels to NaN, in place.

        Args:
            image: VV and VH, of shape 2×H×W.
        """
        for fill in self.fills:
            image[:, (image == np.float32(fill)).all(axis=0)] = np.nan

    def _read(self, window: PixelBox, image: NDArray[np.float32]) -> None:
        """Read a window of the raster into a part of an image, reduced to its size."""
        height, width = image.shape[1:]
        vv, vh = self.bands
        # Two bands of one file in one read, for what they share is then decoded once
        groups = [[0, 1]] if vv.path == vh.path else [[0], [1]]
        empty: list[NDArray[np.bool_]] = []
        for group in groups:
            path = self.bands[group[0]].path
            indexes = [self.bands[i].index for i in group]
            header = self._files.header(path)
            with reading(path):
                array: NDArray[Any] = self._files[path].read(
                    indexes,
                    window=window.ranges,
                    out_shape=(len(indexes), height, width),
                )
                if (mask := header.mask(indexes)) is not None:
                    there = read_mask(
                        self._files[path],
                        mask,
                        window=window.ranges,
                        out_shape=(height, width),
                    )
            image[group] = array
            for i, index, values in zip(group, indexes, array, strict=True):
                gain, shift = header.scales[index - 1]
                if (gain, shift) != (1, 0):
                    image[i] = image[i] * np.float32(gain) + np.float32(shift)
                if shift:
                    # What was never written, which the offset turns into a number
                    empty.append(values == 0)
                nodata = header.nodata[index - 1]
                if nodata is not None and not np.isnan(nodata):
                    image[i][values == values.dtype.type(nodata)] = np.nan
                if mask is not None:
                    image[i][there == 0] = np.nan
        if len(empty) == len(image):
            image[:, np.logical_and(*empty)] = np.nan
