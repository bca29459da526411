# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sums over squares of pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_sums(array: NDArray[Any], size: int) -> NDArray[np.float64]:
    """Sum over squares of pixels.

    Args:
        array: Numbers, …×H×W.
        size: Side of a square. What the last ones lack counts as 0.

    Returns:
        The sums, …×⌈H/size⌉×⌈W/size⌉.

    Example:
        >>> block_sums(np.ones((3, 4)), 2)
        array([[4., 4.],
               [2., 2.]])
    """
    *rest, height, width = array.shape
    rows, columns = -(-height // size), -(-width // size)
    if (rows * size, columns * size) != (height, width):
        beyond = (0, rows * size - height), (0, columns * size - width)
        array = np.pad(array, (*[(0, 0)] * len(rest), *beyond))
    squares = array.reshape(*rest, rows, size, columns, size)
    sums: NDArray[np.float64] = squares.sum(axis=(-3, -1), dtype=np.float64)
    return sums
