# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tiny data sets in the layout of LuojiaSET-OSFCR, for tests to read and to break."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

SIZE = 32
X, Y = 404280.0, 5290490.0
LAYERS = ('s2_cloudy', 's2', 's1', 'land_cover_maps', 'cloud_detection_results')
INFIX = {
    's2_cloudy': 's2_cloudy',
    's2': 's2',
    's1': 's1',
    'land_cover_maps': 's2',
    'cloud_detection_results': 's2_cloudy',
    'cloud_thickness': 's2_cloudy',
}
#: Shift of Sentinel-1 against Sentinel-2 in the published data.
SAR_SHIFT = (3.688, -4.128)
#: A transverse Mercator that equals no EPSG code, as that of the published land cover.
ODD_CRS = (
    'PROJCS["unnamed",GEOGCS["unknown",DATUM["unnamed",SPHEROID["unnamed",6378137,'
    '298.25]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],'
    'PARAMETER["central_meridian",147],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",10000000],'
    'UNIT["metre",1]]'
)


def path_of(
    root: Path, layer: str, cover: str = '0-20%', roi: int = 1, patch: int = 1
) -> Path:
    """Return where the file of a layer of a chip belongs."""
    name = f'ROIs_{roi:02d}_{INFIX[layer]}_p{patch}.tif'
    return root / cover / layer / name


def write_tif(
    path: Path,
    array: NDArray[Any],
    crs: Any = 'EPSG:32755',
    x: float = X,
    y: float = Y,
    res: float = 10.0,
    **profile: Any,
) -> Path:
    """Write an array of shape C×H×W as GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        count=array.shape[0],
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype,
        crs=crs,
        transform=from_origin(x, y, res, res),
        interleave='pixel' if array.shape[0] > 1 else 'band',
        **profile,
    ) as file:
        file.write(array)
    return path


def arrays(
    x: float = X, y: float = Y, size: int = SIZE, offset: int = 1000, cloud: int = 500
) -> dict[str, NDArray[Any]]:
    """Return the layers of a chip: functions of the place, so that overlaps agree."""
    column = np.arange(size) + round(x / 10)
    row = np.arange(size)[:, None] - round(y / 10)
    pattern = (column * 7 + row * 13) % 97
    bands = np.arange(13)[:, None, None]
    clear = 100 * bands + pattern
    clear[10] = 5 + pattern % 11
    cloudy = clear + cloud * (bands != 10)
    mask = (column // 4 + row // 4) % 7
    sar = np.stack([-12 - pattern / 20, -18 - pattern / 20])
    return {
        's2_cloudy': (cloudy + offset).astype('uint16'),
        's2': (clear + offset).astype('uint16'),
        's1': sar.astype('float32'),
        'land_cover_maps': mask[None].astype('uint8'),
        'cloud_detection_results': (pattern[None] > 50).astype('float32'),
        'cloud_thickness': (pattern[None] / 10).astype('float32'),
    }


def write_chip(
    root: Path,
    cover: str = '0-20%',
    roi: int = 1,
    patch: int = 1,
    *,
    epsg: int = 32755,
    x: float = X,
    y: float = Y,
    size: int = SIZE,
    offset: int = 1000,
    layers: Sequence[str] = LAYERS,
) -> dict[str, Path]:
    """Write a chip as it should be.

    Returns:
        The file of each layer.
    """
    paths = {}
    data = arrays(x, y, size, offset)
    for layer in layers:
        dx, dy = SAR_SHIFT if layer == 's1' else (0.0, 0.0)
        crs = ODD_CRS if layer == 'land_cover_maps' else f'EPSG:{epsg}'
        path = path_of(root, layer, cover, roi, patch)
        paths[layer] = write_tif(path, data[layer], crs, x + dx, y + dy)
    return paths


def write_strip(
    root: Path,
    chips: int = 4,
    cover: str = '0-20%',
    roi: int = 1,
    *,
    x: float = X,
    step: int = SIZE // 2,
    **options: Any,
) -> list[dict[str, Path]]:
    """Write chips in a row, each of which overlaps the next by half."""
    return [
        write_chip(root, cover, roi, patch, x=x + 10 * step * patch, **options)
        for patch in range(chips)
    ]
