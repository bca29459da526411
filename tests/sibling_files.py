# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tiny data sets in the layouts of M3M-CR and WHU-OPT-SAR, to read and to break."""

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


def write_scene(
    root: Path,
    name: str = 'NH49E001013',
    shape: tuple[int, int] = (70, 100),
    *,
    crs: str | None = None,
    folders: tuple[str, str, str] = ('optical', 'sar', 'lbl'),
    kind: str = 'uint8',
) -> dict[str, Path]:
    """Write a scene of WHU-OPT-SAR; returns the file of each layer."""
    rng = np.random.default_rng(sum(map(ord, name)))
    data = {
        'optical': rng.integers(20, 200, (4, *shape)).astype(kind),
        'sar': rng.integers(0, 255, (1, *shape)).astype('uint8'),
        'lbl': (rng.integers(0, 8, (1, *shape)) * 10).astype('uint8'),
    }
    paths = {}
    for (layer, array), folder in zip(data.items(), folders, strict=True):
        path = root / folder / f'{name}.tif'
        # GDAL takes pixels of 1 m at (0, 0) for no georeference
        place = (500000.0, 3500000.0, 5.0) if crs else (0.0, 0.0, 1.0)
        paths[layer] = write_tif(path, array, crs, *place)
    return paths
