# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Radar: what Sentinel-1 measures of a landscape, in dB.

Backscatter follows the land cover, the parcel and the slope towards the sensor; corners
between walls and streets glint. Speckle multiplies all of it.
"""

import numpy as np

from ...transforms.noise import FloatArray, fractal_noise, smooth
from .biomes import BARE, GRASS, SHRUB, TREES, WATER
from .landscape import (
    FIRST_PARCEL,
    FIRST_ROOF,
    GARDEN,
    NUM_PARCELS,
    NUM_ROOFS,
    NUM_SEGMENTS,
    ROAD,
    Landscape,
)

#: Metres by which the grid of Sentinel-1 lies east and north of Sentinel-2's, as in
#: the real data set.
GRID_SHIFT = (3.688, -4.128)

# Mean VV and VH in dB.
_LEVEL = {
    WATER: (-18.5, -26.0),
    TREES: (-10.2, -15.8),
    BARE: (-15.0, -22.5),
    GRASS: (-13.2, -19.8),
    SHRUB: (-12.2, -18.6),
    ROAD: (-13.5, -20.5),
    GARDEN: (-10.5, -16.8),
}


def render_radar(rng: np.random.Generator, place: Landscape) -> FloatArray:
    """See a landscape with Sentinel-1.

    Args:
        rng: Source of randomness.
        place: The landscape.

    Returns:
        VV and VH backscatter in dB, 2×H×W, sampled on Sentinel-1's own grid.
    """
    level = np.full((2, NUM_SEGMENTS), -11.8, np.float32)
    for segment, values in _LEVEL.items():
        level[:, segment] = values
    level[:, WATER] += np.float32(rng.normal(0, 2.0))
    parcels = slice(FIRST_PARCEL, FIRST_PARCEL + NUM_PARCELS)
    wet = rng.normal(0, 1.5, NUM_PARCELS)
    level[0, parcels] = -11.6 + wet
    level[1, parcels] = -18.2 + 0.8 * wet + rng.normal(0, 1.2, NUM_PARCELS)
    roofs = slice(FIRST_ROOF, FIRST_ROOF + NUM_ROOFS)
    # few corners face the sensor, and those that do outshine everything
    glint = rng.gamma(0.9, 5.0, NUM_ROOFS).clip(max=20)
    level[0, roofs] = -11.0 + glint
    level[1, roofs] = -17.2 + 0.85 * glint
    level += np.float32(0.5 + rng.normal(0, 1.4))
    level[1] += np.float32(rng.normal(0, 0.6))

    ascending = rng.random() < 0.5
    look = np.float32(1 if ascending else -1)
    # slopes that face the sensor are foreshortened and bright
    facing = look * place.shade[1] + np.float32(0.2) * place.shade[0]
    slope = 9 * np.clip(facing, -0.6, 0.9)
    damp = fractal_noise(rng, place.label.shape, 2.2, 200)
    image = np.empty((2, *place.label.shape), np.float32)
    for i in range(2):
        power = level[i][place.segment]
        power = power + np.float32(1.1) * damp + np.float32(0.6) * place.vigour
        power = np.where(place.segment == WATER, power, power + slope)
        power = _resample(np.float32(10) ** (power / np.float32(10)))
        # one look, oversampled and filtered as the products are: about seven looks
        speckle = smooth(rng.standard_exponential(power.shape, dtype=np.float32))
        power = smooth(power) * speckle
        noise = np.float32(10 ** (-2.6 if i == 0 else -3.1))
        image[i] = 10 * np.log10(power + noise * speckle)
    return image


def _resample(field: FloatArray) -> FloatArray:
    """Values between the pixels, where the shifted grid has its centres."""
    col, row = GRID_SHIFT[0] / 10, -GRID_SHIFT[1] / 10
    down = np.concatenate([field[1:], field[-1:]])
    field = field * np.float32(1 - row) + down * np.float32(row)
    right = np.concatenate([field[:, 1:], field[:, -1:]], axis=1)
    return field * np.float32(1 - col) + right * np.float32(col)
