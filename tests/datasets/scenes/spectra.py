# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A Sentinel-2 image whose bands look as they do, for what is told by numbers."""

import numpy as np
from optical_files import BANDS

#: Digital numbers of level 1C without offset, by band: woods, crops, bare ground, cloud.
_SPECTRA = np.array(
    [
        [1127, 908, 709, 467, 700, 1600, 1950, 1940, 2149, 560, 12, 1062, 464],
        [1378, 1178, 1030, 1007, 1300, 1900, 2150, 2120, 2315, 800, 14, 2180, 1389],
        [1650, 1491, 1502, 1708, 1900, 2000, 2110, 2094, 2250, 760, 13, 2677, 2155],
        [6776, 6885, 6657, 7189, 7272, 7654, 8007, 7650, 8202, 3378, 30, 5850, 4336],
    ]
)


def ground(size=72, seed=0, bands=BANDS):
    """Fields of four kinds, each with a texture that its bands share."""
    generator = np.random.default_rng(seed)
    kinds = np.kron(generator.integers(0, 4, (6, 6)), np.ones((size // 6,) * 2, int))
    light = 1 + 0.08 * generator.standard_normal((size, size))
    noise = 1 + 0.01 * generator.standard_normal((13, size, size))
    image = _SPECTRA.T[:, kinds] * light * noise
    image = np.maximum(image.round(), 1).astype(np.uint16)
    return image[[BANDS.index(band) for band in bands]]
