# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Making another date as bright as the scene, by the pixels that are clear in both."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ...grids import PixelBox
from ..blocks import block_sums

#: Side in pixels of the cells in which the two dates are compared.
CELL = 32

# How far a cell's difference reaches, in cells; and how many pixels must differ by as much
# for half of it to be believed.
_REACH = 2.0
_DOUBT = 4000.0

# Fewer pixels that are clear in both tell nothing.
_FEWEST = 500

# Pixels of which spread and middle are taken, at most about.
_SAMPLE = 100_000

type Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Matching:
    """From the digital numbers of another date to what the scene's would be.

    Args:
        gain: Factor on each band, C.
        shift: What is added then, C.
        rest: What is added besides, in each cell of the scene, C×h×w.
    """

    gain: Array
    shift: Array
    rest: Array

    def __call__(self, numbers: Array, window: PixelBox) -> Array:
        """Match a window.

        Args:
            numbers: Digital numbers of the other date, C×H×W.
            window: Where they lie in the scene.

        Returns:
            Digital numbers as of the scene, C×H×W.
        """
        plain = numbers * self.gain[:, None, None] + self.shift[:, None, None]
        (top, bottom), (left, right) = window.ranges
        rest = _between(self.rest, np.arange(top, bottom), 1)
        return plain + _between(rest, np.arange(left, right), 2)


class Matcher:
    """Learns a :class:`Matching` from windows of both dates, part by part.

    Each band of the other date gets the middle and the spread that the scene has in
    pixels clear in both; what then differs from place to place, such as fields that have
    grown, is added smoothly, and less where fewer pixels tell it.

    Args:
        channels: Number of bands.
        height: Height of the scene.
        width: Width of the scene.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        shape = channels, -(-height // CELL), -(-width // CELL)
        self._sums = np.zeros((2, *shape))
        self._counts = np.zeros(shape[1:])
        self._step = max(round((height * width / _SAMPLE) ** 0.5), 1)
        self._samples: list[NDArray[np.float32]] = []

    def add(
        self, scene: Array, other: Array, both: NDArray[np.bool_], window: PixelBox
    ) -> None:
        """Compare a window.

        Args:
            scene: Digital numbers of the scene without offset, C×H×W.
            other: Those of the other date.
            both: Where both are clear, H×W.
            window: Where it lies in the scene: it begins where a cell does.
        """
        if not both.any():
            return
        row, column = window.top // CELL, window.left // CELL
        counts = block_sums(both, CELL)
        part = np.s_[row : row + counts.shape[0], column : column + counts.shape[1]]
        self._counts[part] += counts
        for sums, image in zip(self._sums, (scene, other), strict=True):
            sums[:, *part] += block_sums(np.where(both, image, np.float32(0)), CELL)
        places = np.flatnonzero(both)
        # Where few are clear in both, as at the edge of a swath, each of them counts
        number = min(max(len(places) // self._step**2, _FEWEST), len(places))
        chosen = places[np.linspace(0, len(places) - 1, number).astype(np.int64)]
        pair = [image.reshape(len(image), -1)[:, chosen] for image in (scene, other)]
        self._samples.append(np.stack(pair))

    @property
    def tells(self) -> bool:
        """Whether enough pixels are clear in both to tell anything."""
        return bool(self._counts.sum() >= _FEWEST)

    def result(self) -> Matching:
        """What was learned; nothing changes where :attr:`tells` is false."""
        channels = self._sums.shape[1]
        gain = np.ones(channels, np.float32)
        shift = np.zeros(channels, np.float32)
        rest = np.zeros(self._sums.shape[1:], np.float32)
        if not self.tells:
            return Matching(gain, shift, rest)
        scene, other = np.concatenate(self._samples, axis=2)
        low, middle, high = np.percentile(scene, (10, 50, 90), axis=1)
        low_other, middle_other, high_other = np.percentile(other, (10, 50, 90), axis=1)
        spread = high_other - low_other
        ratio = np.clip((high - low) / np.maximum(spread, 1), 0.5, 2)
        # A level band tells no gain
        gain[:] = np.where(spread < 1, 1, ratio)
        shift[:] = middle - gain * middle_other
        # Sums of differences, not means: few pixels weigh little
        lacking = self._sums[0] - gain[:, None, None] * self._sums[1]
        lacking = lacking - shift[:, None, None] * self._counts
        weights = _smooth(self._counts[None])
        rest[:] = _smooth(lacking) / (weights + _DOUBT)
        return Matching(gain, shift, rest)


def _smooth(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the surroundings of each cell, weighted by a bell, C×h×w."""
    radius = round(3 * _REACH)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    bell = torch.exp(-0.5 * (offsets / _REACH) ** 2)
    values = torch.from_numpy(cells)[:, None]
    values = F.conv2d(values, bell.reshape(1, 1, -1, 1), padding=(radius, 0))
    values = F.conv2d(values, bell.reshape(1, 1, 1, -1), padding=(0, radius))
    smoothed: NDArray[np.float64] = values[:, 0].numpy()
    return smoothed


def _between(cells: Array, places: NDArray[np.int64], axis: int) -> Array:
    """Interpolate linearly between the centres of cells, along one axis."""
    last = cells.shape[axis] - 1
    where = np.clip((places + 0.5) / CELL - 0.5, 0, last)
    first = np.minimum(where.astype(np.int64), max(last - 1, 0))
    shape = [1] * cells.ndim
    shape[axis] = -1
    part = (where - first).astype(np.float32).reshape(shape)
    one = cells.take(first, axis)
    two = cells.take(np.minimum(first + 1, last), axis)
    between: Array = one + part * (two - one)
    return between
