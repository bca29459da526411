# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Scenes in the layout of WHU-OPT-SAR, tiny, to read and to break."""

from pathlib import Path

import numpy as np
from osfcr_files import write_tif


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
