# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where WHU-OPT-SAR keeps its scenes on disk, and the chips that they are cut into."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from rasterio.errors import NotGeoreferencedWarning
from torchgeo.datasets import GeoDataset
from torchgeo.datasets.errors import DatasetNotFoundError
from torchgeo.datasets.utils import Path as PathLike

from .chips.index import read_header
from .chips.layout import Layer
from .chips.selection import what_is_there
from .chips.siblings import held_out
from .chips.splits import Split
from .grids import GRID_COLUMNS
from .whu_opt_sar_scenes import TEST_SCENES, TRAIN_SCENES, sheet_bounds

#: Layers of WHU-OPT-SAR by folder.
WHU_LAYERS: Mapping[str, Layer] = MappingProxyType(
    {
        'optical': Layer('image_clear', 'optical', 4, 'ui'),
        'sar': Layer('image_sar', 'sar', 1, 'uif'),
        'lbl': Layer('mask', 'lbl', 1, 'ui'),
    }
)

#: Other names that the folders go by.
_ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        'optical': ('optical', 'opt', 'image', 'images'),
        'sar': ('sar',),
        'lbl': ('lbl', 'label', 'labels'),
    }
)


class WHULayout:
    """``optical``, ``sar`` and ``lbl`` with files of the same names, one a scene."""

    name = 'whu-opt-sar'
    looked_for = (
        "the folders 'optical' (or 'opt', 'image'), 'sar' and 'lbl' (or 'label'), with a "
        "file such as 'NH49E001013.tif' in each of them for each scene"
    )

    def folders(self, root: Path) -> dict[str, Path]:
        """Return the folder of each layer of *root*, as far as there are such."""
        there = {p.name.lower(): p for p in sorted(root.iterdir()) if p.is_dir()}
        found = {
            layer: next((there[name] for name in names if name in there), None)
            for layer, names in _ALIASES.items()
        }
        return {layer: path for layer, path in found.items() if path is not None}

    def find_root(self, path: PathLike) -> Path | None:
        """Find the folder of the data set: *path* or a folder directly in it."""
        here = Path(path).expanduser().absolute()
        if not here.is_dir():
            return None
        for candidate in (here, *sorted(p for p in here.iterdir() if p.is_dir())):
            if {'optical', 'sar'} <= self.folders(candidate).keys():
                return candidate
        return None

    def not_found(self, dataset: GeoDataset, what: str) -> DatasetNotFoundError:
        """Make the error for data that are not there."""
        error = DatasetNotFoundError(dataset)
        error.args = (f'{error.args[0]} {what} Looked for {self.looked_for}.',)
        return error


def gather_scenes(dataset: GeoDataset, paths: Sequence[PathLike]) -> pd.DataFrame:
    """List the scenes of one or more folders.

    Args:
        dataset: The dataset that asks, for errors.
        paths: Its folders.

    Returns:
        One row a scene: ``scene`` (its name), ``filepath``, the file of each layer ('' if
        there is none), the columns of :data:`~torchgeo_tdpcr.datasets.grids.GRID_COLUMNS`, and
        the ``fault`` of its optical file, '' if none.

    Raises:
        DatasetNotFoundError: If a folder is missing, empty or laid out in another way.
    """
    layout = WHULayout()
    rows: list[dict[str, Any]] = []
    for path in paths:
        root = layout.find_root(path)
        if root is None:
            raise layout.not_found(dataset, what_is_there(path))
        scenes: dict[str, dict[str, str]] = {}
        for layer, folder in layout.folders(root).items():
            for name in sorted(os.listdir(folder)):
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in ('.tif', '.tiff'):
                    scenes.setdefault(stem, {})[layer] = str(folder / name)
        for name, files in sorted(scenes.items()):
            row = {'scene': name, **dict.fromkeys(WHU_LAYERS, ''), **files}
            file = files.get('optical', next(iter(files.values())))
            rows.append({**row, 'filepath': file, **_placed(file, name)})
    if not rows:
        raise layout.not_found(dataset, 'The folders hold no GeoTIFFs.')
    return pd.DataFrame(rows)


def _placed(path: str, name: str) -> dict[str, Any]:
    """Read where a scene lies, or work it out from its name."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        *grid, _, _, fault = read_header(path)
    place = dict(zip(GRID_COLUMNS, grid, strict=True))
    width, height = place['width'], place['height']
    if fault and width:
        sheet = sheet_bounds(name)
        if sheet is None:
            fault += ', nor is its name the number of a map sheet'
        else:
            west, south, east, north = sheet
            size = (east - west) / width, (north - south) / height
            place |= {'epsg': 4326, 'x': west, 'y': north}
            place |= dict(zip(('xres', 'yres'), size, strict=True))
            fault = ''
    return {**place, 'fault': fault}


def part_of_scenes(
    scenes: pd.DataFrame, split: Split, val_share: float, seed: int
) -> pd.DataFrame:
    """Keep the scenes of a part of the published split.

    Args:
        scenes: The scenes.
        split: The part.
        val_share: Share of the training scenes that validate.
        seed: Seed of the choice of these.

    Returns:
        The scenes of the part.

    Raises:
        ValueError: If there is none.
    """
    # Of the published list, so that a scene is in the same part whatever else is there
    validate = held_out(TRAIN_SCENES, val_share, seed)
    if split == 'test':
        names = set(TEST_SCENES)
    else:
        names = validate if split == 'val' else set(TRAIN_SCENES) - validate
    part = scenes[scenes['scene'].isin(names)]
    if part.empty:
        raise ValueError(
            f'`split={split!r}` is empty: none of the {len(scenes)} scenes is in that part '
            f'of the published split, with `val_share={val_share}`.'
        )
    return part


def chips_of(scenes: pd.DataFrame, size: int, stride: int) -> pd.DataFrame:
    """Cut scenes into chips.

    Args:
        scenes: The scenes.
        size: Height and width of a chip in pixels.
        stride: Pixels from a chip to the next.

    Returns:
        One row a chip: that of its scene, with its own grid and ``filepath``, which tells
        chips apart: the file with the first row and column of the chip.
    """
    chips = []
    for scene in scenes.to_dict('records'):
        for top in range(0, scene['height'] - size + 1, stride):
            for left in range(0, scene['width'] - size + 1, stride):
                chips.append(
                    scene
                    | {
                        'filepath': f'{scene["filepath"]}:{top}:{left}',
                        'x': scene['x'] + left * scene['xres'],
                        'y': scene['y'] - top * scene['yres'],
                        'width': size,
                        'height': size,
                    }
                )
    return pd.DataFrame(chips)
