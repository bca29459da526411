# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Real samples, rewritten in OSFCR's layout so that the same commands run on them.

The ten cloudy / clear / SAR / cloud-mask quadruples of SEN12MS-CR carry no
georeferencing; the places given to them here are invented. The three TerraMind places
and the patches of BigEarthNet are clear; clouds are simulated over them.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

from torchgeo_tdpcr.datasets.synthetic.spectra import take_off_air
from torchgeo_tdpcr.datasets.synthetic.writer import (
    chip_path,
    cover_folder,
    write_raster,
)
from torchgeo_tdpcr.kinds import Level
from torchgeo_tdpcr.transforms import simulate_clouds
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

#: TerraMind's labels as 0…6; flooded vegetation (3) is too rare to learn.
TERRAMIND = {1: 0, 2: 1, 5: 2, 6: 3, 4: 4, 9: 5, 7: 6}
TERRAMIND_LABELS = ['water', 'trees', 'built', 'bare', 'crops', 'rangeland', 'snow']
#: Quadruples of SEN12MS-CR that show one place or may, as their images tell.
ONE_PLACE = (('316', '581'), ('4065', '4294', '4438'), ('7264', '7657'))
#: Digital number of the blue band on average, above which a patch is cloud or snow.
_BRIGHT = 2000
# Amounts of aerosol and water vapour on an average day of the generator's
_AEROSOL, _VAPOUR = 0.75, 1.0


def write_chip(root: Path, roi: int, patch: int, layers: dict[str, np.ndarray]) -> str:
    """Write the layers of one chip.

    Args:
        root: Folder of the data set.
        roi: Number of the ROI; also decides the invented place.
        patch: Number of the patch.
        layers: Arrays, bands first, by layer.

    Returns:
        The cloud-cover folder.
    """
    cover = float(layers['cloud_detection_results'].mean())
    folder = cover_folder(cover)
    transform = from_origin(400_000 + 10_000 * roi, 5_000_000 - 10_000 * patch, 10, 10)
    for layer, array in layers.items():
        path = chip_path(root, folder, layer, roi, patch)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_raster(path, array, transform, 32632)
    return folder


def read(path: Path) -> np.ndarray:
    """Read a raster, bands first."""
    with warnings.catch_warnings():
        # The pairs lie nowhere on Earth, as far as their files say
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            array: np.ndarray = file.read()
    return array


def at_level(image: np.ndarray, level: Level) -> np.ndarray:
    """Bring an image of level 1C to a level, by the air of an average day.

    Args:
        image: Digital numbers without offset, 13×H×W.
        level: The level.

    Returns:
        The same in uint16. B10 is 0 at level 2A.
    """
    if level == '2A':
        image = take_off_air(image.astype(np.float32), _AEROSOL, _VAPOUR)
    found: np.ndarray = np.asarray(image).clip(0, 65_535).astype(np.uint16)
    return found


def lay_out_pairs(samples: Path, root: Path, level: Level = '1C') -> list[str]:
    """Rewrite the ten quadruples, the ROI being the rank by cloud cover from 1.

    Args:
        samples: Folder of the samples.
        root: Folder to write to.
        level: Level that their images, which are of level 1C, are brought to.

    Returns:
        Names of the quadruples by ROI.
    """
    folder = samples / 'sen12mscr_pairs'
    names = [path.name.removesuffix('_s1.tif') for path in folder.glob('*_s1.tif')]
    masks = {name: read(folder / f'{name}_cloud_mask.tif') for name in names}
    names.sort(key=lambda name: (masks[name].mean(), name))
    for roi, name in enumerate(names, 1):
        layers = {
            layer: at_level(read(folder / f'{name}_{layer}.tif'), level)
            for layer in ('s2', 's2_cloudy')
        }
        layers['s1'] = read(folder / f'{name}_s1.tif')
        layers['cloud_detection_results'] = masks[name].astype(np.float32)
        write_chip(root, roi, 1, layers)
    return names


def write_skies(
    root: Path,
    roi: int,
    first: int,
    layers: dict[str, np.ndarray],
    rng: np.random.Generator,
    skies: int,
    level: Level = '1C',
) -> None:
    """Write a clear place under simulated skies, of little cover to much.

    Args:
        root: Folder of the data set.
        roi: Number of the ROI.
        first: Number of the first patch.
        layers: The clear image as ``s2``, 13×H×W, and what else there is.
        rng: Draws the skies.
        skies: How many.
        level: Level that the images are brought to.
    """
    for sky in range(skies):
        clouds = simulate_clouds(layers['s2'], rng, (sky + 0.5) / skies)
        mask = np.asarray(clouds.mask, dtype=np.float32)
        write_chip(
            root, roi, first + sky,
            {
                **layers,
                's2': at_level(layers['s2'], level),
                's2_cloudy': at_level(np.asarray(clouds.image), level),
                'cloud_detection_results': mask.reshape(1, *mask.shape[-2:]),
            },
        )  # fmt: skip


def lay_out_terramind(
    samples: Path, root: Path, skies: int = 6, seed: int = 0, level: Level = '1C'
) -> None:
    """Rewrite the three places under simulated clouds: patch 1… north, 101… south.

    Args:
        samples: Folder of the samples.
        root: Folder to write to.
        skies: Number of skies over each half of each place.
        seed: Seed of the skies.
        level: Level that the images, which are of level 1C, are brought to.
    """
    folder = samples / 'terramind'
    rng = np.random.default_rng(seed)
    for roi, path in enumerate(sorted((folder / 'S2L1C').glob('*.tif')), 1):
        clear = read(path).astype(np.float32)
        clear -= 1000 if clear[10].min() > 900 else 0
        sar = read(folder / 'S1RTC' / path.name).astype(np.float32)
        lulc = read(folder / 'LULC' / path.name)
        labels = np.full_like(lulc, 255)
        for old, new in TERRAMIND.items():
            labels[lulc == old] = new
        middle = clear.shape[1] // 2
        for half, rows in enumerate((slice(0, middle), slice(middle, 2 * middle))):
            layers = {
                's1': sar[:, rows],
                's2': clear[:, rows],
                'land_cover_maps': labels[:, rows],
            }
            write_skies(root, roi, 100 * half + 1, layers, rng, skies, level)


def lay_out_bigearthnet(
    samples: Path, root: Path, skies: int = 6, seed: int = 0
) -> int:
    """Rewrite the clear patches of BigEarthNet, level 2A, under simulated clouds.

    Args:
        samples: Folder of the samples.
        root: Folder to write to.
        skies: Number of skies over each patch.
        seed: Seed of the skies.

    Returns:
        The number of clear patches.
    """
    folder = samples / 'bigearthnet'
    rng = np.random.default_rng(seed)
    roi = 0
    for path in sorted((folder / 'BigEarthNet-S1-Example').glob('*/*.json')):
        radar, name = (
            path.parent,
            json.loads(path.read_text())['corresponding_s2_patch'],
        )
        optical = folder / 'BigEarthNet-S2-Example' / name
        sar = [read(radar / f'{radar.name}_{band}.tif')[0] for band in ('VV', 'VH')]
        shape = sar[0].shape
        clear = np.zeros((len(SENTINEL2_BANDS), *shape), np.float32)
        for i, band in enumerate(SENTINEL2_BANDS):
            if band != 'B10':
                file = optical / f'{name}_B{band.removeprefix("B").zfill(2)}.tif'
                plane = read(file)[0]
                factor = shape[0] // plane.shape[0]
                clear[i] = plane.repeat(factor, 0).repeat(factor, 1)
        if clear[1].mean() > _BRIGHT:
            continue
        roi += 1
        write_skies(root, roi, 1, {'s1': np.stack(sar), 's2': clear}, rng, skies)
    return roi
