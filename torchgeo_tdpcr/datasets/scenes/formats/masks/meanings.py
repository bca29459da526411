# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the numbers of cloud masks mean: which are known to be clear."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Probability from which on a pixel is cloud: the default threshold of s2cloudless
#: (``S2PixelCloudDetector(threshold=0.4)``).
CLOUDY = 0.4


@dataclass(frozen=True, slots=True)
class Classes:
    """Each number is a class.

    Args:
        clear: The classes without cloud and shadow; any other number is no such class,
            or not known.

    Example:
        >>> Classes((0, 1, 3)).is_clear(np.array([0, 2, 3, 255]))
        array([ True, False,  True, False])
    """

    clear: tuple[int, ...]

    def is_clear(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which numbers, of any shape, are known to be clear."""
        return np.isin(numbers, self.clear)


@dataclass(frozen=True, slots=True)
class Bits:
    """Each bit says something.

    Args:
        cloudy: Sum of the bits that say cloud or shadow.
        fill: Number of missing pixels.

    Example:
        >>> Bits(0b1010, 255).is_clear(np.array([64, 66, 72, 255, np.nan]))
        array([ True, False, False, False, False])
    """

    cloudy: int
    fill: int

    def is_clear(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which numbers, of any shape, are known to be clear."""
        known = (numbers >= 0) & (numbers < self.fill)
        bits = numbers
        if numbers.dtype.kind == 'f':
            known &= numbers % 1 == 0
            bits = np.where(known, numbers, 0).astype(np.int64)
        clear: NDArray[np.bool_] = known & ((bits & self.cloudy) == 0)
        return clear


@dataclass(frozen=True, slots=True)
class Probability:
    """Numbers are probabilities of cloud.

    Args:
        full: What stands for certainty: 1, 100 or 255.

    Example:
        >>> Probability(100).is_clear(np.array([0, 39, 40, 255, -1]))
        array([ True,  True, False, False, False])
    """

    full: int

    def is_clear(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which numbers, of any shape, are known to be clear."""
        clear: NDArray[np.bool_] = (numbers >= 0) & (numbers < CLOUDY * self.full)
        return clear


type Meaning = Classes | Bits | Probability
