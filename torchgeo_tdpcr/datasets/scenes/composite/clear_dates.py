# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Clear pixels of other dates of a scene, those of the nearest date first."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...grids import PixelBox
from ..common import SceneWarning
from ..windows.clouds import CloudReader
from ..windows.detection import DetectedClouds
from ..windows.optical.reader import OpticalReader
from .matching import CELL, Matcher, Matching
from .other_date import OtherDate

#: Height and width of the windows in which dates are compared: a multiple of the cells.
_TILE = 16 * CELL


class ClearDates:
    """Clear pixels of other dates, as bright as the scene is.

    Before the first window is read, each date is compared with the scene, window by
    window, which takes as long as reading both once.

    Args:
        optical: Reads the scene.
        clouds: Reads its cloud mask.
        dates: The other dates; those of an unknown day come last.
    """

    def __init__(
        self,
        optical: OpticalReader,
        clouds: CloudReader | DetectedClouds,
        dates: Sequence[OtherDate],
    ) -> None:
        self._optical = optical
        self._clouds = clouds
        self.dates = sorted(
            dates,
            key=lambda date: float('inf') if date.days is None else date.days,
        )
        """The other dates, the nearest first."""
        self._matchings: dict[int, Matching] = {}

    def read(self, window: PixelBox) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window.

        Args:
            window: Pixels of the scene.

        Returns:
            Digital numbers without offset of the nearest date that is clear, C×H×W, and
            where there is one, H×W.

        Raises:
            SceneError: If a file cannot be read.
        """
        shape = window.height, window.width
        filled = np.zeros((len(self._optical.bands), *shape), np.float32)
        there = np.zeros(shape, np.bool_)
        for number, date in enumerate(self.dates):
            numbers, clear = date.read(window)
            new = clear & ~there
            if new.any():
                matched = self._matching(number)(numbers, window)
                filled = np.where(new, matched, filled)
                there |= new
            if there.all():
                break
        return filled, there

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        for date in self.dates:
            date.close()

    def _matching(self, number: int) -> Matching:
        """Compare a date with the scene, once."""
        if number not in self._matchings:
            grid = self._optical.grid
            matcher = Matcher(len(self._optical.bands), grid.height, grid.width)
            for top in range(0, grid.height, _TILE):
                for left in range(0, grid.width, _TILE):
                    bottom = min(top + _TILE, grid.height)
                    right = min(left + _TILE, grid.width)
                    box = PixelBox(left, top, right, bottom)
                    other, clear = self.dates[number].read(box)
                    both = clear & ~self._clouds.read(box)
                    if not both.any():
                        continue
                    image, valid = self._optical.read(box)
                    scene = image.astype(np.float32) - np.float32(self._optical.offset)
                    matcher.add(scene, other, both & valid, box)
            if not matcher.tells:
                warnings.warn(
                    f"'{self.dates[number].optical.product.path}' and "
                    f"'{self._optical.product.path}' have hardly a clear pixel in common. "
                    'So the one is taken as bright as it is.',
                    SceneWarning,
                    stacklevel=2,
                )
            self._matchings[number] = matcher.result()
        return self._matchings[number]
