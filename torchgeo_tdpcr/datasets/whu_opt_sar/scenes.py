# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The scenes of WHU-OPT-SAR: their files, places and split, and the chips of them.

Scenes are named after sheets of the Chinese topographic map at 1:50,000, which tells
where they lie: see :func:`sheet_bounds`.
"""

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from rasterio.errors import NotGeoreferencedWarning
from torchgeo.datasets import GeoDataset
from torchgeo.datasets.utils import Path as PathLike

from ..chips.index import read_header
from ..chips.layout import Layer, candidates
from ..chips.selection import not_found, what_is_there
from ..chips.splits import Split, held_out
from ..grids import GRID_COLUMNS

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

#: What a folder must hold to be taken for the data set, in words.
LOOKED_FOR = (
    "the folders 'optical' (or 'opt', 'image'), 'sar' and 'lbl' (or 'label'), with a file "
    "such as 'NH49E001013.tif' in each of them for each scene"
)

_TRAIN = {
    'NH49E': '001013 002014 004013 004021 005014 005023 005024 006011 006014 '
    '006017 006022 006024 007013 007017 007023 007024 008014 008017 '
    '008024 009012 009014 009023 009024 010014 010015 010016 010022 '
    '011011 011017 012009 012017 012018 012022 013007 013018 013021 '
    '013023 014007 014017 014021 014022 014024',
    'NH50E': '003001 006001 006007 007001 007003 007004 008003 009001 009003 '
    '009004 009006 010001 010003 010004 011002 011004 012001 012004 '
    '012005 012008 013001 013002 013005 016002',
    'NI49E': '021010 021011 021012 022010 022011 022013 022014 022015 023017 '
    '024013 024017 024018 024019 024020',
}
_TEST = {
    'NH49E': '001014 001017 002012 002016 003014 003024 004011 005011 005019 '
    '006019 007014 008013 009017 010020 011024 012020 013010',
    'NH50E': '007002 011005 014003',
}


def _names(sheets: dict[str, str]) -> tuple[str, ...]:
    return tuple(a + b for a, numbers in sheets.items() for b in numbers.split())


#: The 80 training scenes of the published split.
TRAIN_SCENES = _names(_TRAIN)

#: The 20 test scenes of the published split.
TEST_SCENES = _names(_TEST)

_SHEET = re.compile(r'N([A-V])(\d\d)E(\d{3})(\d{3})', re.IGNORECASE)


def layer_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each layer of *root*, as far as there are such."""
    there = {p.name.lower(): p for p in sorted(root.iterdir()) if p.is_dir()}
    found = {
        layer: next((there[name] for name in names if name in there), None)
        for layer, names in _ALIASES.items()
    }
    return {layer: path for layer, path in found.items() if path is not None}


def _root_of(path: PathLike) -> Path | None:
    """Find the folder of the data set: *path* or a folder directly in it."""
    for candidate in candidates(path, 'whu-opt-sar'):
        if {'optical', 'sar'} <= layer_folders(candidate).keys():
            return candidate
    return None


def gather_scenes(dataset: GeoDataset, paths: Sequence[PathLike]) -> pd.DataFrame:
    """List the scenes of one or more folders.

    Args:
        dataset: The dataset that asks, for errors.
        paths: Its folders.

    Returns:
        One row a scene: ``scene`` (its name), ``filepath``, the file of each layer ('' if
        there is none), :data:`~torchgeo_tdpcr.datasets.grids.GRID_COLUMNS`, and the
        ``fault`` of its optical file, '' if none.

    Raises:
        DatasetNotFoundError: If a folder is missing, empty or laid out in another way.
    """
    rows: list[dict[str, Any]] = []
    for path in paths:
        root = _root_of(path)
        if root is None:
            raise not_found(dataset, what_is_there(path), LOOKED_FOR)
        scenes: dict[str, dict[str, str]] = {}
        for layer, folder in layer_folders(root).items():
            for name in sorted(os.listdir(folder)):
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in ('.tif', '.tiff'):
                    scenes.setdefault(stem, {})[layer] = str(folder / name)
        for name, files in sorted(scenes.items()):
            row = {'scene': name, **dict.fromkeys(WHU_LAYERS, ''), **files}
            file = files.get('optical', next(iter(files.values())))
            rows.append({**row, 'filepath': file, **_placed(file, name)})
    if not rows:
        raise not_found(dataset, 'The folders hold no GeoTIFFs.', LOOKED_FOR)
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


def sheet_bounds(name: str) -> tuple[float, float, float, float] | None:
    """Return where a sheet of the Chinese topographic map at 1:50,000 lies.

    ``NH49E001013`` is row 1 and column 13 of the 24×24 sheets of ``NH49``, which is row H
    (the eighth from the equator, 4° each) and column 49 (6° each, the first begins at
    180° W) of the map of the world. A sheet is 10 minutes of latitude high and 15 of
    longitude wide; the scenes have these proportions.

    Args:
        name: Number of the sheet.

    Returns:
        Least longitude, least latitude, greatest longitude and greatest latitude in
        degrees; None if *name* is no number of such a sheet.

    Example:
        >>> sheet_bounds('NH49E001013')
        (111.0, 31.833333333333332, 111.25, 32.0)
    """
    match = _SHEET.fullmatch(name)
    if match is None:
        return None
    row, column = int(match[3]), int(match[4])
    zone = int(match[2])
    if not (1 <= row <= 24 and 1 <= column <= 24 and 1 <= zone <= 60):
        return None
    top = 4 * (ord(match[1].upper()) - ord('A') + 1) - (row - 1) / 6
    left = 6 * zone - 186 + (column - 1) / 4
    return left, top - 1 / 6, left + 1 / 4, top
