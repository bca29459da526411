# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Samples in the layout of M3M-CR, tiny, to read and to break."""

from pathlib import Path

import numpy as np
from osfcr_files import write_tif

#: Pixels of a sample of M3M-CR at 3 m and at 10 m; the real ones are 300 and 90.
OPTICAL, COARSE = 60, 18
#: Where the optical images and, as in the real data, the others begin.
X, Y = 760299.0, 1898412.0
COARSE_X, COARSE_Y = 760300.0, 1898410.0
CODES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)

M3MCR_NAMES = ('planet_cloudy', 'planet_cloudfree', 'S1', 'landcover', 'cloudmask')


def m3mcr_path(
    root: Path, layer: str, split: str, season: str, area: int, patch: int
) -> Path:
    name = f'{layer}_{season}'
    suffix = 'npy' if layer == 'cloudmask' else 'tif'
    file = f'{name}_{area}_p_{patch}.{suffix}'
    return root / split / name / f'{name}_{area}' / file


def write_m3mcr(
    root: Path,
    split: str = 'train',
    season: str = 'fall',
    area: int = 1,
    patch: int = 457,
    *,
    epsg: int = 32646,
    shift: float = 0.0,
) -> dict[str, Path]:
    """Write a sample; returns the file of each layer."""
    rng = np.random.default_rng([area, patch, len(season)])
    clear = rng.integers(200, 3000, (4, OPTICAL, OPTICAL)).astype('uint16')
    cloud = rng.random((OPTICAL, OPTICAL)) > 0.5
    data = {
        'planet_cloudy': (clear + 4000 * cloud).astype('uint16'),
        'planet_cloudfree': clear,
        'S1': rng.normal(-14, 4, (2, COARSE, COARSE)),
        'landcover': rng.choice(CODES, (1, COARSE, COARSE)).astype('uint8'),
    }
    paths = {
        layer: m3mcr_path(root, layer, split, season, area, patch)
        for layer in M3MCR_NAMES
    }
    for layer, array in data.items():
        optical = layer.startswith('planet')
        write_tif(
            paths[layer],
            array,
            f'EPSG:{epsg}',
            shift + (X if optical else COARSE_X),
            Y if optical else COARSE_Y,
            3.0 if optical else 10.0,
        )
    paths['cloudmask'].parent.mkdir(parents=True, exist_ok=True)
    np.save(paths['cloudmask'], cloud)
    return paths
