# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Landscapes after land-cover maps of real places, in place of drawn ones.

A map says what lies where. Fields, towns, terrain and all that gives them their colours
are drawn as in any landscape.
"""

import hashlib
import warnings
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from ...files import expanded
from ...transforms.noise import smooth
from .biomes import BUILT, CLASSES, CROPS, GRASS, TREES, WATER, Biome
from .landscape import (
    FIRST_PARCEL,
    GARDEN,
    IGNORE,
    NUM_PARCELS,
    Landscape,
    build_towns,
    draw_furrows,
)
from .parcels import draw_farms, draw_parcels


def find_layouts(folder: str | PathLike[str]) -> list[Path]:
    """Find the land-cover maps in a folder.

    Args:
        folder: Folder of GeoTIFFs.

    Returns:
        Their paths, sorted by name.

    Raises:
        FileNotFoundError: If there are none.
    """
    paths = sorted(expanded(folder).glob('*.tif'))
    if not paths:
        raise FileNotFoundError(
            f"`layouts='{folder}'` has no '*.tif'. Give a folder of GeoTIFFs with the "
            f'labels {dict(enumerate(CLASSES))}, {IGNORE} where there is none.'
        )
    return paths


def digest(paths: list[Path]) -> str:
    """Name maps by their content.

    Args:
        paths: The maps.

    Returns:
        Twelve hexadecimal digits.
    """
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def read_layout(path: Path) -> NDArray[np.uint8]:
    """Read a map.

    Args:
        path: GeoTIFF with labels in its first band.

    Returns:
        Labels, H×W.

    Raises:
        ValueError: If a number is no label.
    """
    with warnings.catch_warnings():
        # Where a layout comes from does not matter
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            labels: NDArray[np.int64] = file.read(1).astype(np.int64)
    if others := set(np.unique(labels).tolist()) - {*range(len(CLASSES)), IGNORE}:
        raise ValueError(
            f"'{path}' has the labels {sorted(others)}. A layout has "
            f'{dict(enumerate(CLASSES))}, and {IGNORE} where there is none.'
        )
    return labels.astype(np.uint8)


def draw_layout(
    rng: np.random.Generator, paths: list[Path], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Draw a map, turn and mirror it, and take a part of it.

    Args:
        rng: Source of randomness.
        paths: Maps to draw from.
        shape: Height and width; where a map is smaller, it is continued by its mirror
            image.

    Returns:
        Labels, H×W.
    """
    labels = read_layout(paths[int(rng.integers(len(paths)))])
    labels = np.rot90(labels, int(rng.integers(4)))
    if rng.random() < 0.5:
        labels = labels[:, ::-1]
    need = [
        (0, max(0, side - length))
        for side, length in zip(shape, labels.shape, strict=True)
    ]
    labels = np.pad(labels, need, mode='symmetric')
    row, col = (
        int(rng.integers(length - side + 1))
        for side, length in zip(shape, labels.shape, strict=True)
    )
    return labels[row : row + shape[0], col : col + shape[1]].copy()


def lay_out(
    rng: np.random.Generator, place: Landscape, layout: NDArray[np.uint8], biome: Biome
) -> Landscape:
    """Put the land cover of a map onto a landscape.

    Args:
        rng: Source of randomness.
        place: The landscape, whose terrain and textures stay, and whose look where the
            map has no label.
        layout: Labels, H×W.
        biome: What the landscape is made of.

    Returns:
        The landscape, whose labels are those of the map.

    Example:
        >>> from torchgeo_tdpcr.datasets.synthetic.biomes import BIOMES
        >>> from torchgeo_tdpcr.datasets.synthetic.landscape import build_landscape
        >>> rng = np.random.default_rng(0)
        >>> place = build_landscape(rng, (64, 64), BIOMES[0])
        >>> lake = np.full((64, 64), WATER, np.uint8)
        >>> np.unique(lay_out(rng, place, lake, BIOMES[0]).segment)
        array([0], dtype=int32)
    """
    shape = layout.shape
    farm = draw_farms(rng, (shape[0], shape[1]), 230)
    still = np.zeros(shape, np.float32)
    parcel, _, across, _ = draw_parcels(rng, farm, biome.field, still, (0.7, 1.2))
    segment = np.where(layout == IGNORE, place.segment, layout).astype(np.int32)
    fields, built = layout == CROPS, layout == BUILT
    segment[fields] = FIRST_PARCEL + (parcel % NUM_PARCELS)[fields]
    build_towns(rng, farm, built, layout.copy(), segment)
    # The map says that it is built, whatever grows there
    segment[built & ((segment == GRASS) | (segment == TREES))] = GARDEN
    dry = smooth((layout != WATER).astype(np.float32))
    return replace(
        place,
        label=layout,
        segment=segment,
        shade=place.shade * dry,
        furrow=draw_furrows(rng, fields, parcel, across),
    )
