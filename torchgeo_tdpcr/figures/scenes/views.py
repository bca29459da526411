# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Overviews of a mapped scene, and how its layers are drawn."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from ...datasets.chips.reading import IGNORE_INDEX
from ...datasets.plotting import heat_picture, land_cover_picture, rgb_picture, stretch
from ...datasets.scenes.common import SceneError
from ...datasets.scenes.formats.products import find_optical
from .files import (
    MappedScene,
    image_overview,
    open_map,
    overview_shape,
    read_overview,
)
from .land_cover import check_labels, labels_overview
from .product import SceneProduct, open_input

Picture = NDArray[np.float32]

#: Grey of pixels without data.
NOTHING = np.float32(0.85)


@dataclass(slots=True)
class Views:
    """A scene, what it can be compared with, and how it changed."""

    scene: MappedScene
    shape: tuple[int, int]
    after: Picture
    before: Picture | None = None
    truth: Picture | None = None
    change: NDArray[np.float32] | None = None
    original: SceneProduct | None = None
    clear: SceneProduct | None = None
    true_labels: NDArray[np.uint8] | None = None
    fault: str = ''


def look(
    folder: str | PathLike[str],
    truth: str | PathLike[str] | None,
    size: int,
    truth_land_cover: Path | None = None,
) -> Views:
    """Open a scene and read its overviews."""
    scene = open_map(folder)
    shape = overview_shape(scene.grid, size)
    image = image_overview(scene, shape)
    views = Views(scene, shape, optical_picture(image))
    original = None
    try:
        views.original = open_input(scene)
        original = views.original.overview(shape)
        views.before = optical_picture(original)
    except (SceneError, OSError) as error:
        views.original, views.fault = None, str(error)
    if 'change' in scene.assets:
        views.change = read_overview(scene.assets['change'], [1], shape)[0]
    elif original is not None:
        views.change = np.abs(image - original).mean(axis=0, dtype=np.float32)
    if truth is not None:
        product = find_optical(truth)
        # Neither its metadata nor B10 tell: then what was said of the scene counts
        silent = product.offset is None and 'B10' not in product.bands
        said = scene.declared.offset if silent else 'auto'
        views.clear = SceneProduct(product, scene, said)
        views.truth = optical_picture(views.clear.overview(shape))
    if truth_land_cover is not None:
        check_labels(truth_land_cover, scene)
        views.true_labels = labels_overview(truth_land_cover, shape)
    return views


def optical_picture(image: NDArray[np.float32]) -> Picture:
    """Draw digital numbers, grey where there are none."""
    picture = rgb_picture(torch.from_numpy(image), (0, 1, 2))
    return np.where(np.isfinite(picture), picture, NOTHING)


def class_picture(scene: MappedScene, labels: NDArray[np.uint8]) -> Picture:
    """Draw land cover in the colours of the scene."""
    colours = np.ones((IGNORE_INDEX, 3), dtype=np.float32)
    for kind in scene.classes:
        colours[kind.value] = to_rgb(kind.colour)
    return land_cover_picture(torch.from_numpy(labels), colours)


def change_picture(change: NDArray[np.float32]) -> tuple[Picture, float]:
    """Draw change, and say which amount is brightest."""
    known = np.isfinite(change)
    high = float(np.percentile(change[known], 98)) if known.any() else 1.0
    picture = heat_picture(torch.from_numpy(np.nan_to_num(change)), max(high, 1.0))
    return np.where(known[..., None], picture, NOTHING), max(high, 1.0)


def prompt_picture(prompt: NDArray[np.float32]) -> Picture:
    """Draw up to three components of a prompt, each from its 2nd to 98th percentile."""
    picture = np.full((*prompt.shape[1:], 3), NOTHING)
    for channel, part in enumerate(prompt[:3]):
        known = np.isfinite(part)
        if known.any():
            low, high = np.percentile(part[known], (2, 98))
            picture[known, channel] = stretch(part[known], low, max(high, low + 1e-6))
    return picture
