# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A mapped scene on disk: its STAC item and its rasters."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from ...datasets.chips.reading import IGNORE_INDEX
from ...datasets.grids import Grid, PixelBox
from ...datasets.plotting import class_colour
from ...datasets.scenes.common import SceneError
from ...datasets.scenes.declared import Declared, declare
from ...datasets.scenes.formats.rasters import reading
from ...datasets.sources import open_raster
from ...files import expanded

#: Bands drawn red, green and blue.
RGB_BANDS = ('B4', 'B3', 'B2')


class LandCoverClass(NamedTuple):
    """A class of the land-cover map: its value, name and colour such as '#1f77b4'."""

    value: int
    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class MappedScene:
    """What ``torchgeo-tdpcr map`` has written for a scene.

    Args:
        folder: Folder of the scene.
        name: Name of the scene.
        properties: Properties of the STAC item.
        assets: Files by the key of their asset, only those that exist.
        classes: Classes of the land-cover map.
        grid: Grid of the image.
        bands: Names of the image's bands.
        rgb: Which of them, counted from 1, are red, green and blue.
        offset: What the digital numbers carry on top.
        declared: What was said of the inputs when they were mapped.
    """

    folder: Path
    name: str
    properties: dict[str, Any]
    assets: dict[str, Path]
    classes: tuple[LandCoverClass, ...]
    grid: Grid
    bands: tuple[str, ...]
    rgb: tuple[int, int, int]
    offset: float
    declared: Declared


def open_map(folder: str | PathLike[str]) -> MappedScene:
    """Read what a folder holds.

    Args:
        folder: Folder of the scene, with its STAC item and its rasters.

    Returns:
        The scene.

    Raises:
        SceneError: If the folder has no STAC item or no image, or the image lacks a
            band that a picture needs.
    """
    folder = expanded(folder)
    path, item = _item(folder)
    try:
        return _opened(folder, path, item)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise SceneError(
            path, f'is no STAC item of a map ({error}); map the scene again.'
        ) from error


def _opened(folder: Path, path: Path, item: dict[str, Any]) -> MappedScene:
    """The scene of an item."""
    properties = item.get('properties') or {}
    if not isinstance(properties.get('tdpcr:inputs') or {}, dict):
        raise TypeError('`tdpcr:inputs` names no files')
    entries: dict[str, Any] = item.get('assets') or {}
    assets = {
        key: file
        for key, entry in entries.items()
        if (file := folder / str(entry.get('href', ''))).is_file()
    }
    if 'image' not in assets:
        href = entries.get('image', {}).get('href', '<name>_image.tif')
        raise SceneError(
            path, f'its asset `image`, {href!r}, does not exist; map the scene again.'
        )
    with reading(assets['image']), open_raster(assets['image']) as source:
        grid = Grid(source.crs, source.transform, source.width, source.height)
        stored = tuple(name or '' for name in source.descriptions)
    bands = tuple(properties.get('tdpcr:bands') or stored)
    missing = [band for band in RGB_BANDS if band not in bands[: len(stored)]]
    if missing:
        raise SceneError(
            assets['image'],
            f'has no band {missing[0]}, only {list(bands)}; a picture needs '
            f'{", ".join(RGB_BANDS)}.',
        )
    red, green, blue = (bands.index(band) + 1 for band in RGB_BANDS)
    return MappedScene(
        folder=folder,
        name=str(item.get('id') or path.stem),
        properties=properties,
        assets=assets,
        classes=_classes(entries.get('classes', {}).get('classification:classes')),
        grid=grid,
        bands=bands,
        rgb=(red, green, blue),
        offset=float(properties.get('tdpcr:offset') or 0),
        declared=declare(**(properties.get('tdpcr:declared') or {})),
    )


def _item(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The STAC item of a folder."""
    paths = [folder / f'{folder.resolve().name}.json', *sorted(folder.glob('*.json'))]
    for path in paths:
        try:
            item = json.loads(path.read_text(encoding='utf-8'))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (ValueError, RecursionError) as error:
            raise SceneError(path, f'is not JSON ({error}).') from error
        if isinstance(item, dict) and item.get('type') == 'Feature':
            return path, item
    raise SceneError(
        folder,
        'holds no STAC item of a scene (NAME.json); give a folder that '
        '`torchgeo-tdpcr map` has written.',
    )


def _classes(entries: Sequence[dict[str, Any]] | None) -> tuple[LandCoverClass, ...]:
    """The classes that an asset names."""
    found = []
    for entry in entries or ():
        value = int(entry.get('value', IGNORE_INDEX))
        if not 0 <= value < IGNORE_INDEX:
            continue
        name = str(entry.get('name') or entry.get('description') or f'class {value}')
        colour = str(entry.get('color_hint', ''))
        if not re.fullmatch('[0-9a-fA-F]{6}', colour):
            colour = bytes(class_colour(name, value)).hex()
        colour = f'#{colour}'
        found.append(LandCoverClass(value, name, colour))
    return tuple(found)


def overview_shape(grid: Grid, size: int) -> tuple[int, int]:
    """Height and width of a picture of a scene, at most *size* each way."""
    scale = min(1.0, size / max(grid.width, grid.height))
    return max(1, round(grid.height * scale)), max(1, round(grid.width * scale))


def read_overview(
    path: str | PathLike[str],
    indexes: Sequence[int] | None,
    shape: tuple[int, int],
    nearest: bool = False,
) -> NDArray[np.float32]:
    """Read bands of a raster at a lower resolution, from its overviews where it can.

    Args:
        path: The raster.
        indexes: Bands, counted from 1; None for all.
        shape: Height and width to read it at.
        nearest: Whether to take single pixels rather than means, as labels need.

    Returns:
        float32 of shape C×H×W, NaN where there are no data.

    Raises:
        SceneError: If the raster cannot be read or lacks a band.
    """
    resampling = Resampling.nearest if nearest else Resampling.average
    return _read(path, indexes, shape=shape, resampling=resampling)


def read_detail(
    path: str | PathLike[str], indexes: Sequence[int], window: PixelBox
) -> NDArray[np.float32]:
    """Read a window of a raster at full resolution.

    Args:
        path: The raster.
        indexes: Bands, counted from 1.
        window: The pixels.

    Returns:
        float32 of shape C×H×W, NaN where there are no data.

    Raises:
        SceneError: If the raster cannot be read or lacks a band.
    """
    return _read(path, indexes, window=window.ranges)


def _read(
    path: str | PathLike[str],
    indexes: Sequence[int] | None,
    shape: tuple[int, int] | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Read bands as float32 with NaN where there are no data."""
    with reading(path), open_raster(path) as source:
        wanted = list(indexes or range(1, source.count + 1))
        if max(wanted) > source.count:
            raise SceneError(
                path,
                f'has {source.count} bands, not {max(wanted)}; map the scene again.',
            )
        if shape is not None:
            options['out_shape'] = (len(wanted), *shape)
        array: Any = source.read(wanted, masked=True, **options)
    return cast(
        NDArray[np.float32], array.astype(np.float32).filled(np.float32(np.nan))
    )


def image_overview(scene: MappedScene, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Read red, green and blue of a scene's image at a lower resolution.

    Args:
        scene: The scene.
        shape: Height and width.

    Returns:
        3×H×W digital numbers, offset removed, NaN where there are no data.
    """
    image = read_overview(scene.assets['image'], scene.rgb, shape)
    return image - np.float32(scene.offset)


def image_detail(scene: MappedScene, window: PixelBox) -> NDArray[np.float32]:
    """Read red, green and blue of a window of a scene's image.

    Args:
        scene: The scene.
        window: The pixels.

    Returns:
        3×H×W digital numbers, offset removed, NaN where there are no data.
    """
    array = read_detail(scene.assets['image'], scene.rgb, window)
    return array - np.float32(scene.offset)
