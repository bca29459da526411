# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The land cover of a mapped scene beside a true one."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...datasets.chips.reading import IGNORE_INDEX
from ...datasets.grids import Grid
from ...datasets.scenes.common import SceneError
from ...datasets.scenes.formats.rasters import reading
from ...datasets.sources import open_raster
from ...metrics.functional import majority_scores, segmentation_scores
from .files import MappedScene, read_overview
from .numbers import tiles
from .product import check_grid


def check_labels(path: Path, scene: MappedScene) -> None:
    """Check that a raster is a land-cover map on the grid of a scene.

    Args:
        path: A raster of labels; 255, and its own value for no data, are unknown.
        scene: The scene.

    Raises:
        SceneError: If it has several bands, no whole numbers of a byte, or other pixels,
            or the scene has no land cover.
    """
    if 'classes' not in scene.assets:
        raise SceneError(
            scene.folder,
            'has no land cover to compare; map it with `--layers image classes`.',
        )
    with reading(path), open_raster(path) as source:
        if source.count != 1 or source.dtypes[0] != 'uint8':
            raise SceneError(
                path,
                f'has {source.count} bands of {source.dtypes[0]}; true land cover is one '
                'band of labels, uint8.',
            )
        grid = Grid(source.crs, source.transform, source.width, source.height)
    check_grid(path, grid, scene.grid)


def labels_overview(path: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Read land cover at a lower resolution, 255 where it is unknown."""
    array = read_overview(path, [1], shape, nearest=True)[0]
    labels: NDArray[np.uint8] = np.nan_to_num(array, nan=IGNORE_INDEX).astype(np.uint8)
    return labels


def land_cover_scores(
    scene: MappedScene, path: Path, size: int = 1024
) -> dict[str, float]:
    """Compare the land cover of a scene with a true one, over all its pixels.

    Args:
        scene: The scene.
        path: The true labels, see :func:`check_labels`.
        size: Width and height of the blocks that are read at a time.

    Returns:
        ``pa`` and ``miou``, and with ``_majority`` those of always answering the
        commonest class; nothing where no pixel is known in both.
    """
    confusion = np.zeros((256, 256), np.int64)
    with ExitStack() as stack:
        sources = []
        for file in (path, scene.assets['classes']):
            stack.enter_context(reading(file))
            sources.append(stack.enter_context(open_raster(file)))
        for tile in tiles(scene.grid, size):
            known = np.ones((tile.bottom - tile.top, tile.right - tile.left), bool)
            labels = []
            for source in sources:
                block = source.read(1, window=tile.ranges)
                known &= (block != IGNORE_INDEX) & (block != source.nodata)
                labels.append(block)
            truth, mapped = (block[known].astype(np.int64) for block in labels)
            pairs = np.bincount(256 * truth + mapped, minlength=256 * 256)
            confusion += pairs.reshape(256, 256)
    if not confusion.any():
        return {}
    matrix = torch.from_numpy(confusion[:IGNORE_INDEX, :IGNORE_INDEX])
    scores = segmentation_scores(matrix) | majority_scores(matrix)
    keys = ('pa', 'miou', 'pa_majority', 'miou_majority')
    return {key: float(scores[key]) for key in keys}
