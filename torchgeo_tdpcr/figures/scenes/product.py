# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A Sentinel-2 product beside a mapped scene: what it was made from, or the truth."""

from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...datasets.grids import Grid, PixelBox
from ...datasets.scenes.common import SceneError
from ...datasets.scenes.formats.parts import OpticalProduct
from ...datasets.scenes.formats.products import find_optical
from ...datasets.scenes.windows.clouds import CloudReader
from ...datasets.scenes.windows.detection import DetectedClouds
from ...datasets.scenes.windows.optical import OpticalReader
from .files import RGB_BANDS, MappedScene, read_overview


class SceneProduct:
    """A Sentinel-2 product on the grid of a scene: what it was made from, or the truth.

    Args:
        product: The product.
        scene: The scene.
        offset: What the product's digital numbers carry on top, or ``'auto'``.
        scale: Reflectance of one unit, None to find out.

    Raises:
        SceneError: If the product lacks a band, or has other pixels than the scene.
    """

    def __init__(
        self,
        product: OpticalProduct,
        scene: MappedScene,
        offset: float | Literal['auto'] = 'auto',
        scale: float | None = None,
    ) -> None:
        self.product = product
        self.reader = OpticalReader(product, RGB_BANDS, offset, scale)
        check_grid(product.path, self.reader.grid, scene.grid)
        self.offset = self.reader.offset

    def overview(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Read red, green and blue at a lower resolution.

        Args:
            shape: Height and width.

        Returns:
            3×H×W digital numbers, offset removed, NaN where there are no data.
        """
        files = [self.product.bands[band] for band in RGB_BANDS]
        parts = [read_overview(file.path, [file.index], shape) for file in files]
        image = np.concatenate(parts)
        missing = (image == 0) | (image == self.product.nodata)
        image[:, missing.all(axis=0)] = np.nan
        return self.reader.digital(image) - np.float32(self.offset)

    def detail(self, window: PixelBox) -> NDArray[np.float32]:
        """Read red, green and blue of a window.

        Args:
            window: The pixels.

        Returns:
            3×H×W digital numbers, offset removed, NaN where there are no data.
        """
        array, valid = self.reader.read(window)
        return np.where(valid, array - np.float32(self.offset), np.float32(np.nan))


def open_input(scene: MappedScene) -> SceneProduct:
    """Open the product that a scene was made from, named in ``tdpcr:inputs``.

    Args:
        scene: The scene.

    Returns:
        The product.

    Raises:
        SceneError: If it is gone, or is no longer what it was.
    """
    given = (scene.properties.get('tdpcr:inputs') or {}).get('s2')
    if not given:
        raise SceneError(scene.folder, 'does not name its Sentinel-2 product.')
    paths = list(given) if isinstance(given, list) else [given]
    if not all(isinstance(path, str) for path in paths):
        raise SceneError(scene.folder, 'names a Sentinel-2 product that is no path.')
    for base in (Path(), scene.folder):
        there = [base / path for path in paths]
        if all(path.exists() for path in there):
            product = find_optical(
                there[0] if isinstance(given, str) else there,
                scene.declared.all_bands,
            )
            return SceneProduct(product, scene, scene.offset, scene.declared.scale)
    raise SceneError(paths[0], 'is no longer there.')


def open_clouds(scene: MappedScene) -> CloudReader | DetectedClouds | None:
    """Open the cloud mask that a scene was mapped with, None where there is none.

    Args:
        scene: The scene.

    Returns:
        The mask that was given, or what was found, or else the product's own. None where
        what found it is no longer installed.
    """
    if scene.properties.get('tdpcr:cloud_detector'):
        try:
            product = open_input(scene).product
            return DetectedClouds(
                product, scene.grid, scene.offset, scene.declared.scale
            )
        except (SceneError, OSError, ModuleNotFoundError):
            return None
    given = (scene.properties.get('tdpcr:inputs') or {}).get('cloud_mask')
    for base in (Path(), scene.folder):
        if given and (base / given).exists():
            kind = scene.declared.cloud_mask_kind
            return CloudReader(base / given, scene.grid, kind)
    try:
        own = None if given else open_input(scene).product.clouds
    except (SceneError, OSError):
        return None
    return None if own is None else CloudReader(own, scene.grid)


def check_grid(path: str | PathLike[str], found: Grid, wanted: Grid) -> None:
    """Check that a raster has the pixels of a scene.

    Args:
        path: The raster.
        found: Its grid.
        wanted: The grid of the scene.

    Raises:
        SceneError: If the grids differ.
    """
    same = (found.width, found.height) == (wanted.width, wanted.height)
    near = found.transform.almost_equals(wanted.transform, precision=1e-3)
    if not same or not near or found.crs != wanted.crs:
        raise SceneError(
            path,
            f'has {found.width}×{found.height} pixels from {found.bounds[0]:g}, '
            f'{found.bounds[3]:g} in {found.crs}, the scene {wanted.width}×'
            f'{wanted.height} from {wanted.bounds[0]:g}, {wanted.bounds[3]:g} in '
            f'{wanted.crs}; give it on the grid of the scene.',
        )
