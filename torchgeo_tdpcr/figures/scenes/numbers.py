# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Numbers about a mapped scene, read block by block: areas, changes, scores."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ...datasets.chips.reading import IGNORE_INDEX
from ...datasets.grids import Grid, PixelBox
from ...datasets.scenes.common import SceneError
from ...datasets.scenes.formats.rasters import reading
from ...datasets.scenes.windows.clouds import CloudReader
from ...datasets.scenes.windows.detection import DetectedClouds
from ...datasets.scenes.windows.optical import OpticalReader
from ...datasets.sources import open_raster
from ...metrics.functional import restoration_scores
from ...transforms import Sentinel2Normalize
from .files import LandCoverClass, MappedScene

#: How far the window of SSIM reaches beyond a pixel.
HALO = 5


class ClassArea(NamedTuple):
    """How much of a scene a class covers.

    Args:
        kind: The class.
        pixels: Number of its pixels.
        share: Share of the mapped pixels, 0 to 1.
        hectares: Area; None where the CRS is not in units of length.
        confidence: Mean confidence in percent; None where there is none.
    """

    kind: LandCoverClass
    pixels: int
    share: float
    hectares: float | None
    confidence: float | None


def tiles(grid: Grid, size: int) -> Iterator[PixelBox]:
    """Yield windows that cover a grid once.

    Args:
        grid: The grid.
        size: Width and height of a window; those at the far edges are smaller.

    Yields:
        The windows, row by row.
    """
    for top in range(0, grid.height, size):
        for left in range(0, grid.width, size):
            right, bottom = min(left + size, grid.width), min(top + size, grid.height)
            yield PixelBox(left, top, right, bottom)


def class_areas(scene: MappedScene, size: int = 1024) -> list[ClassArea]:
    """Measure every class of the land-cover map at full resolution.

    Args:
        scene: A scene with the asset ``classes``.
        size: Width and height of the blocks that are read at a time.

    Returns:
        The classes that occur and those that the scene names, the largest first.

    Raises:
        SceneError: If the confidence has other pixels than the map.
    """
    pixels = np.zeros(256)
    sure, total = np.zeros(256), np.zeros(256)
    with ExitStack() as stack:
        stack.enter_context(reading(scene.assets['classes']))
        classes = stack.enter_context(open_raster(scene.assets['classes']))
        confidence = None
        if 'confidence' in scene.assets:
            confidence = stack.enter_context(open_raster(scene.assets['confidence']))
            if confidence.shape != classes.shape:
                raise SceneError(
                    scene.assets['confidence'],
                    f'has {confidence.shape} pixels, the land cover {classes.shape}; '
                    'map the scene again.',
                )
        grid = Grid(classes.crs, classes.transform, classes.width, classes.height)
        for tile in tiles(grid, size):
            labels = classes.read(1, window=tile.ranges).ravel()
            pixels += np.bincount(labels, minlength=256)
            if confidence is not None:
                percent = confidence.read(1, window=tile.ranges).ravel()
                known = percent != 255
                sure += np.bincount(labels[known], minlength=256)
                total += np.bincount(labels[known], percent[known], minlength=256)
    pixels[IGNORE_INDEX] = 0
    hectares = pixel_hectares(grid)
    named = {kind.value: kind for kind in scene.classes}
    found = {*named, *np.flatnonzero(pixels).tolist()} - {IGNORE_INDEX}
    areas = [
        ClassArea(
            kind=named.get(value, LandCoverClass(value, f'class {value}', '#888888')),
            pixels=int(pixels[value]),
            share=float(pixels[value] / max(pixels.sum(), 1)),
            hectares=None if hectares is None else float(pixels[value] * hectares),
            confidence=float(total[value] / sure[value]) if sure[value] else None,
        )
        for value in found
    ]
    return sorted(areas, key=lambda area: (-area.pixels, area.kind.value))


def pixel_hectares(grid: Grid) -> float | None:
    """Area of a pixel in hectares, None if the CRS is not in units of length.

    Args:
        grid: The grid.

    Example:
        >>> from rasterio import Affine
        >>> from rasterio.crs import CRS
        >>> utm = Grid(CRS.from_epsg(32755), Affine.scale(10, -10), 5, 5)
        >>> pixel_hectares(utm)
        0.01
    """
    if grid.crs is None or not grid.crs.is_projected:
        return None
    metres = grid.crs.linear_units_factor[1]
    return float(abs(grid.transform.determinant) * metres**2 / 10_000)


def largest_changes(
    change: NDArray[np.float32], grid: Grid, number: int = 3, size: int = 384
) -> list[PixelBox]:
    """Find where a scene changed most, at places well apart.

    Args:
        change: Amount of change, H×W at any resolution, NaN where there are no data.
        grid: Grid of the scene at full resolution.
        number: How many places.
        size: Width and height of a place in pixels of the grid.

    Returns:
        At most *number* windows, the most changed first. In one direction at least,
        they are a quarter of the scene and one window apart.
    """
    height, width = change.shape
    scale_y, scale_x = grid.height / height, grid.width / width
    rows = min(height, max(1, round(size / scale_y)))
    columns = min(width, max(1, round(size / scale_x)))
    # Sums over windows as differences of sums from the corner
    sums = np.pad(np.nan_to_num(change).astype(np.float64), ((1, 0), (1, 0)))
    sums = sums.cumsum(0).cumsum(1)
    means = (
        sums[rows:, columns:]
        - sums[:-rows, columns:]
        - sums[rows:, :-columns]
        + sums[:-rows, :-columns]
    )
    apart_y, apart_x = max(rows, height // 4), max(columns, width // 4)
    # What is left of zero after the differences
    least = 1e-6 * means.max()
    found: list[PixelBox] = []
    while len(found) < number and means.max() > least:
        row, column = (int(i) for i in np.unravel_index(means.argmax(), means.shape))
        left = min(round(column * scale_x), max(0, grid.width - size))
        top = min(round(row * scale_y), max(0, grid.height - size))
        right, bottom = min(left + size, grid.width), min(top + size, grid.height)
        found.append(PixelBox(left, top, right, bottom))
        means[
            max(0, row - apart_y + 1) : row + apart_y,
            max(0, column - apart_x + 1) : column + apart_x,
        ] = 0
    return found


def scene_scores(
    scene: MappedScene,
    truth: OpticalReader,
    compared: OpticalReader | None = None,
    clouds: CloudReader | DetectedClouds | None = None,
    size: int = 512,
) -> dict[str, float]:
    """Compare a scene with a clear image of the same place, over all its pixels.

    Digital numbers, offset removed, are mapped from 0…10,000 to 0…1 and clipped, as in
    training. PSNR is that of the mean squared error over the whole scene; SSIM, MAE and
    SAM are means over its pixels.

    Args:
        scene: The scene.
        truth: The clear image in the bands of the scene.
        compared: What to score instead of the scene's image, such as its input.
        clouds: Where there was cloud or shadow, for scores over such pixels besides.
        size: Width and height of the windows that are read at a time.

    Returns:
        ``psnr`` in dB, ``ssim``, ``mae`` in reflectance and ``sam`` in degrees; with
        *clouds* the same over cloudy pixels, as ``psnr_cloudy`` and so on. What no
        pixel with data in both is behind is left out.
    """
    # Sums over pixels, all and cloudy ones, and how many there are
    sums: dict[str, dict[str, float]] = {'': {}, '_cloudy': {}}
    ours = Sentinel2Normalize(
        scene.bands, scene.offset if compared is None else compared.offset
    )
    theirs = Sentinel2Normalize(scene.bands, truth.offset)
    path = scene.assets['image']
    with reading(path), open_raster(path) as source:
        for tile in tiles(scene.grid, size):
            window = PixelBox(
                max(0, tile.left - HALO),
                max(0, tile.top - HALO),
                min(scene.grid.width, tile.right + HALO),
                min(scene.grid.height, tile.bottom + HALO),
            )
            clear, counted = truth.read(window)
            if compared is None:
                image = source.read(window=window.ranges)
                valid = (image != (source.nodata or 0)).any(axis=0)
            else:
                image, valid = compared.read(window)
            # The margin serves SSIM only; its own pixels count in other windows.
            inside = np.zeros_like(counted)
            inside[
                tile.top - window.top : tile.bottom - window.top,
                tile.left - window.left : tile.right - window.left,
            ] = True
            counted = counted & valid & inside
            ours_, theirs_ = (
                normalize(torch.from_numpy(array.astype(np.float32)))[None]
                for normalize, array in ((ours, image), (theirs, clear))
            )
            parts = {'': counted}
            if clouds is not None:
                parts['_cloudy'] = counted & clouds.read(window)
            for part, mask in parts.items():
                _add(sums[part], ours_, theirs_, mask)
    return {
        f'{key}{part}': value
        for part, added in sums.items()
        for key, value in _means(added).items()
    }


def _add(
    sums: dict[str, float],
    image: torch.Tensor,
    clear: torch.Tensor,
    counted: NDArray[np.bool_],
) -> None:
    """Add the scores of the pixels of a window that count."""
    number = int(counted.sum())
    if not number:
        return
    # Scores over the pixels of a mask are called those of cloudy pixels
    scores = restoration_scores(image, clear, torch.from_numpy(counted)[None])
    values = {key: float(scores[f'{key}_cloudy']) for key in ('ssim', 'mae', 'sam')}
    values['mse'] = 10 ** (-float(scores['psnr_cloudy']) / 10)
    for key, value in {**values, 'pixels': 1.0}.items():
        sums[key] = sums.get(key, 0.0) + value * number


def _means(sums: dict[str, float]) -> dict[str, float]:
    """Turn sums over pixels into scores."""
    if not sums:
        return {}
    means = {key: sums[key] / sums['pixels'] for key in ('mse', 'ssim', 'mae', 'sam')}
    return {'psnr': -10 * math.log10(means.pop('mse')), **means}
