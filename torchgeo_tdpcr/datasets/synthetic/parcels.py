# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Parcels: fields, blocks and roofs as uneven grids, one direction a farm.

Numbers of parcels are hashes of their position in the grid: no list of them is needed,
whatever the size of the place.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...transforms.noise import FloatArray, fractal_noise

IntArray = NDArray[np.int64]


class Parcels(NamedTuple):
    """A grid of parcels, all arrays H×W.

    Attributes:
        number: What tells parcels apart.
        edge: Distance to the parcel's edge in pixels.
        across: Coordinate across the strip in pixels.
        radius: Distance to the parcel's centre, 1 on the largest circle within.
    """

    number: IntArray
    edge: FloatArray
    across: FloatArray
    radius: FloatArray


def mix_integers(*keys: IntArray | int) -> IntArray:
    """Mix integers into one that looks random, equal for equal keys."""
    value = np.asarray(0x9E37, np.uint64)
    for key in keys:
        value = (value ^ np.asarray(key).astype(np.uint64)) * np.uint64(
            0xBF58476D1CE4E5B9
        )
        value = value ^ (value >> np.uint64(29))
    return (value >> np.uint64(3)).astype(np.int64)


def draw_farms(
    rng: np.random.Generator, shape: tuple[int, int], size: float
) -> IntArray:
    """Index of the nearest of scattered seeds, with natural borders."""
    height, width = shape
    count = max(2, min(40, int(height * width / size**2)))
    # nearest seed on a coarse grid is enough: borders follow field edges anyway
    step = 4
    y, x = np.mgrid[0:height:step, 0:width:step].astype(np.float32)
    wobble = np.float32(size / 6)
    y = y + wobble * fractal_noise(rng, y.shape, 3, size / step)
    x = x + wobble * fractal_noise(rng, x.shape, 3, size / step)
    seeds = (rng.random((count, 2)) * shape).astype(np.float32)
    best = np.full(y.shape, np.inf, np.float32)
    cell = np.zeros(y.shape, np.int64)
    for i, (row, col) in enumerate(seeds):
        distance = (y - row) ** 2 + (x - col) ** 2
        nearer = distance < best
        best[nearer] = distance[nearer]
        cell[nearer] = i
    return cell.repeat(step, 0).repeat(step, 1)[:height, :width]


def draw_parcels(
    rng: np.random.Generator,
    farm: IntArray,
    size: float,
    bend: FloatArray,
    aspect: tuple[float, float],
) -> Parcels:
    """Strips of uneven width, cut at uneven places."""
    height, width = farm.shape
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None]
    farms = int(farm.max()) + 1
    # neighbouring farms share a main direction, as roads and rivers force on them
    main = rng.uniform(0, np.pi)
    angle = (main + rng.normal(0, 0.35, farms)).astype(np.float32)
    across = (size * np.exp(rng.normal(0, 0.35, farms)) * aspect[0]).astype(np.float32)
    along = (size * np.exp(rng.normal(0, 0.35, farms)) * aspect[1]).astype(np.float32)
    c, s = np.cos(angle)[farm], np.sin(angle)[farm]
    u = (c * x + s * y + bend) / across[farm] + 200
    v = (c * y - s * x) / along[farm] + 200
    strip, in_strip, width_u = _uneven(u, mix_integers(farm, 1))
    part, in_part, width_v = _uneven(v, mix_integers(farm, strip, 2))
    wide, long = width_u * across[farm], width_v * along[farm]
    right, down = in_strip * across[farm], in_part * along[farm]
    edge = np.minimum(np.minimum(right, wide - right), np.minimum(down, long - down))
    radius = np.hypot(right - wide / 2, down - long / 2) / (np.minimum(wide, long) / 2)
    return Parcels(mix_integers(farm, strip, part), edge, u * across[farm], radius)


def _uneven(
    position: FloatArray, key: IntArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Cut a line at whole numbers moved by up to 0.35: index, offset and length."""
    position = position + (key % 997).astype(np.float32) / 997
    cell = np.floor(position).astype(np.int64)

    def cut(index: IntArray) -> FloatArray:
        move = (mix_integers(key, index) % 1009).astype(np.float32) / 1009
        return index.astype(np.float32) + (move - np.float32(0.5)) * np.float32(0.7)

    start = cut(cell)
    cell = np.where(position < start, cell - 1, cell)
    after = cut(cell + 1)
    cell = np.where(position >= after, cell + 1, cell)
    start, end = cut(cell), cut(cell + 1)
    return cell, position - start, end - start
