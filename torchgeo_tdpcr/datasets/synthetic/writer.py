# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Writing chips in the layout and names of LuojiaSET-OSFCR.

Each file is written under a temporary name and then renamed, so that a killed run
leaves no half-written chip.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from ...transforms.bands import BASELINE_OFFSET
from ...transforms.clouds import CloudyImage
from ..osfcr import COVERS, OSFCRLayout
from .radar import GRID_SHIFT
from .rasters import write_array
from .scene import Scene

_LAYOUT = OSFCRLayout()

#: Folder that holds the data set, below the root.
FOLDER = _LAYOUT.name

PIXEL = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a region lies.

    Args:
        epsg: EPSG code of its UTM zone.
        left: Easting of its left edge in metres.
        top: Northing of its upper edge in metres.
    """

    epsg: int
    left: float
    top: float


def cover_folder(cover: float) -> str:
    """Folder of a chip with this part of cloud or shadow.

    Example:
        >>> cover_folder(0.2), cover_folder(1.0)
        ('20%-40%', '80%-100%')
    """
    return COVERS[min(int(cover * len(COVERS)), len(COVERS) - 1)]


def chip_path(root: Path, cover: str, layer: str, roi: int, patch: int) -> Path:
    """Where the data set keeps a layer of a chip.

    Example:
        >>> chip_path(Path('set'), '0-20%', 's1', 1, 4).as_posix()
        'set/0-20%/s1/ROIs_01_s1_p4.tif'
    """
    folder = _LAYOUT.folder(root, layer, cover, roi)
    return folder.path / _LAYOUT.file_name(folder, roi, patch)


def to_digital(image: np.ndarray) -> NDArray[np.uint16]:
    """Round digital numbers and add the offset of the processing baseline."""
    numbers = np.clip(np.rint(image) + BASELINE_OFFSET, 1, 65535)
    return np.asarray(numbers, dtype=np.uint16)


def write_chip(
    root: Path,
    place: Place,
    scene: Scene,
    sky: CloudyImage,
    window: tuple[int, int],
    roi: int,
    patch: int,
) -> str:
    """Write the six layers of one chip.

    Args:
        root: Folder that holds, or will hold, `LuojiaSET-OSFCR`.
        place: Where the scene lies.
        scene: The region.
        sky: The chip's cloudy image.
        window: First row and column of the chip.
        roi: Number of the region.
        patch: Number of the chip within the region.

    Returns:
        The cover folder that it went to.
    """
    row, col = window
    size = sky.mask.shape[0]
    cut = np.s_[..., row : row + size, col : col + size]
    left, top = place.left + col * PIXEL, place.top - row * PIXEL
    grid = from_origin(left, top, PIXEL, PIXEL)
    shifted = from_origin(left + GRID_SHIFT[0], top + GRID_SHIFT[1], PIXEL, PIXEL)
    arrays = {
        's2': to_digital(scene.clear[cut]),
        's2_cloudy': to_digital(sky.image),
        's1': scene.sar[cut],
        'land_cover_maps': scene.label[cut][None],
        'cloud_detection_results': sky.mask[None].astype(np.float32),
        'cloud_thickness': sky.thickness[None],
    }
    cover = cover_folder(float(sky.mask.mean()))
    for layer, array in arrays.items():
        path = chip_path(root / FOLDER, cover, layer, roi, patch)
        write_raster(path, array, shifted if layer == 's1' else grid, place.epsg)
    return cover


def write_raster(path: Path, array: np.ndarray, transform: Affine, epsg: int) -> None:
    """Write one GeoTIFF, uncompressed and interleaved by pixel, under its final name.

    Args:
        path: Where to.
        array: C×H×W.
        transform: Geotransform.
        epsg: EPSG code of the coordinate reference system.
    """
    write_array(
        path,
        array,
        driver='GTiff',
        crs=CRS.from_epsg(epsg),
        transform=transform,
        interleave='pixel' if len(array) > 1 else 'band',
    )
