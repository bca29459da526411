# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of several Sentinel-1 rasters that cover a scene only together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .....kinds import SARScale
from ....grids import PixelBox
from ...formats.parts import BandFile
from .reader import RadarReader


class RadarMosaic:
    """Windows of Sentinel-1 slices on the grid of a scene, as of one raster.

    Of each pixel, the first slice that has VV and VH there is taken.

    Args:
        slices: A reader of each slice, all on the grid of the scene; each in its own
            scale, on its own pixels.
    """

    def __init__(self, slices: Sequence[RadarReader]) -> None:
        self.slices = tuple(slices)
        """The readers of the slices."""
        self.grid = self.slices[0].grid

    @property
    def bands(self) -> tuple[BandFile, BandFile]:
        """Where VV and VH of the first slice are."""
        return self.slices[0].bands

    @property
    def scale(self) -> SARScale:
        """What the first slice holds."""
        return self.slices[0].scale

    def read(self, window: PixelBox) -> NDArray[np.float32]:
        """Read a window, see :meth:`.RadarReader.read`."""
        image = self.slices[0].read(window)
        for reader in self.slices[1:]:
            gaps = ~np.isfinite(image).all(axis=0)
            if not gaps.any():
                break
            other = reader.read(window)
            # A whole pixel of one slice, unless none has both
            better = gaps & (np.isfinite(other).sum(0) > np.isfinite(image).sum(0))
            image[:, better] = other[:, better]
        return image

    def coverage(self, size: int = 256) -> float:
        """Tell which part of the scene has VV and VH, see :meth:`.RadarReader.coverage`."""
        covered = [reader.covered(size) for reader in self.slices]
        return float(np.logical_or.reduce(covered).mean())

    @property
    def meets(self) -> bool:
        """Whether any pixel of any slice, missing or not, lies in the scene."""
        return any(reader.meets for reader in self.slices)

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        for reader in self.slices:
            reader.close()


def radar_reader(slices: Sequence[RadarReader]) -> RadarReader | RadarMosaic:
    """A reader of one raster, or of several slices as of one."""
    return slices[0] if len(slices) == 1 else RadarMosaic(slices)
