# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Real samples, rewritten in OSFCR's layout so that the same commands run on them.

The ten cloudy / clear / SAR / cloud-mask quadruples of SEN12MS-CR carry no
georeferencing; the places given to them here are invented. The three TerraMind places
are clear; clouds are simulated over them.
"""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from torchgeo_tdpcr.datasets.synthetic.writer import (
    chip_path,
    cover_folder,
    write_raster,
)
from torchgeo_tdpcr.transforms import simulate_clouds

#: TerraMind's labels as 0…6; flooded vegetation (3) is too rare to learn.
TERRAMIND = {1: 0, 2: 1, 5: 2, 6: 3, 4: 4, 9: 5, 7: 6}
TERRAMIND_LABELS = ['water', 'trees', 'built', 'bare', 'crops', 'rangeland', 'snow']


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
    with rasterio.open(path) as file:
        array: np.ndarray = file.read()
    return array


def lay_out_pairs(samples: Path, root: Path) -> list[str]:
    """Rewrite the ten quadruples, the ROI being the rank by cloud cover from 1.

    Args:
        samples: Folder of the samples.
        root: Folder to write to.

    Returns:
        Names of the quadruples by ROI.
    """
    folder = samples / 'sen12mscr_pairs'
    names = [path.name.removesuffix('_s1.tif') for path in folder.glob('*_s1.tif')]
    masks = {name: read(folder / f'{name}_cloud_mask.tif') for name in names}
    names.sort(key=lambda name: (masks[name].mean(), name))
    for roi, name in enumerate(names, 1):
        layers = {
            layer: read(folder / f'{name}_{layer}.tif')
            for layer in ('s1', 's2', 's2_cloudy')
        }
        layers['cloud_detection_results'] = masks[name].astype(np.float32)
        write_chip(root, roi, 1, layers)
    return names


def lay_out_terramind(samples: Path, root: Path, skies: int = 6, seed: int = 0) -> None:
    """Rewrite the three places under simulated clouds: patch 1… north, 101… south.

    Args:
        samples: Folder of the samples.
        root: Folder to write to.
        skies: Number of skies over each half of each place.
        seed: Seed of the skies.
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
            for sky in range(skies):
                cover = (sky + 0.5) / skies
                clouds = simulate_clouds(clear[:, rows], rng, cover)
                mask = np.asarray(clouds.mask, dtype=np.float32)
                write_chip(
                    root, roi, 100 * half + sky + 1,
                    {
                        's1': sar[:, rows],
                        's2': clear[:, rows].clip(0).astype(np.uint16),
                        's2_cloudy': np.asarray(clouds.image)
                        .clip(0, 65_535)
                        .astype(np.uint16),
                        'land_cover_maps': labels[:, rows],
                        'cloud_detection_results': mask.reshape(1, *mask.shape[-2:]),
                    },
                )  # fmt: skip
