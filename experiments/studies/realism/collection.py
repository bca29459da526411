# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Chips of one origin, real or synthetic, as they are compared."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

from ...real.lay_out import TERRAMIND, TERRAMIND_LABELS
from ...real.lay_out import read as read_raster

BANDS = tuple(SENTINEL2_BANDS)

#: Names of TerraMind's labels.
NAMES = {label: TERRAMIND_LABELS[number] for label, number in TERRAMIND.items()}

#: Rangeland is grass and shrub; measured figures for classes without samples here.
SYNTHETIC = {
    0: 'water',
    1: 'trees',
    2: 'built',
    3: 'bare',
    4: 'crops',
    5: 'rangeland',
    6: 'rangeland',
}


@dataclass
class Collection:
    """Chips of one origin.

    Attributes:
        clear: Clear images, 13×H×W digital numbers without offset.
        sar: VV and VH in dB, 2×H×W each.
        labels: Land cover by name, one H×W array of names' indices a chip, or None.
        pairs: Cloud cover and PSNR of cloudy against clear, one a chip.
        cloudy: Cloudy images.
        masks: Cloud-or-shadow masks.
    """

    clear: list[np.ndarray] = field(default_factory=list)
    sar: list[np.ndarray] = field(default_factory=list)
    labels: list[dict[str, np.ndarray] | None] = field(default_factory=list)
    pairs: list[tuple[float, float]] = field(default_factory=list)
    cloudy: list[np.ndarray] = field(default_factory=list)
    masks: list[np.ndarray] = field(default_factory=list)

    def add_pair(self, cloudy: np.ndarray, mask: np.ndarray) -> None:
        """Add the cloudy twin of the last clear image."""
        self.cloudy.append(cloudy)
        self.masks.append(mask)
        self.pairs.append((float(mask.mean()), psnr(cloudy, self.clear[-1])))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of reflectance clipped to 0 to 1."""
    difference = np.clip(a / 1e4, 0, 1) - np.clip(b / 1e4, 0, 1)
    return float(-10 * np.log10(np.mean(difference**2) + 1e-12))


def read(path: Path) -> np.ndarray:
    """Read a raster as float32, and take the offset off 13-band ones that have it."""
    array = read_raster(path).astype(np.float32)
    if len(array) == len(BANDS) and array[10].min() > 900:
        array -= 1000
    return array


def read_real(samples: Path) -> Collection:
    """Read the real samples; snow is left out, the generator makes none."""
    real = Collection()
    for path in sorted((samples / 'sen12mscr_pairs').glob('*_s2.tif')):
        name = path.name.removesuffix('_s2.tif')
        real.clear.append(read(path))
        real.sar.append(read(path.with_name(f'{name}_s1.tif')))
        real.labels.append(None)
        mask = read(path.with_name(f'{name}_cloud_mask.tif'))[0] > 0
        real.add_pair(read(path.with_name(f'{name}_s2_cloudy.tif')), mask)
    for path in sorted((samples / 'terramind' / 'S2L1C').glob('*.tif')):
        label = read(samples / 'terramind' / 'LULC' / path.name)[0]
        if (label == 7).mean() > 0.5:
            continue
        real.clear.append(read(path))
        real.sar.append(read(samples / 'terramind' / 'S1RTC' / path.name))
        real.labels.append({v: label == k for k, v in NAMES.items()})
    root = samples / 'osfcr_sample' / 'LuojiaSET-OSFCR'
    for cover, patch in (('0-20%', 4), ('60%-80%', 22), ('80%-100%', 23)):
        real.clear.append(read(root / cover / 's2' / f'ROIs_01_s2_p{patch}.tif'))
        real.sar.append(read(root / cover / 's1' / f'ROIs_01_s1_p{patch}.tif'))
        label = read(root / cover / 'land_cover_maps' / f'ROIs_01_s2_p{patch}.tif')[0]
        real.labels.append({'trees': label == 6})
    return real


def read_synthetic(folder: Path, every: int = 1) -> Collection:
    """Read a synthetic data set."""
    made = Collection()
    paths = sorted(folder.glob('*/s2/*.tif'), key=lambda path: path.name)
    for path in paths[::every]:
        cover = path.parent.parent
        twin = path.name.replace('_s2_', '_s2_cloudy_')
        made.clear.append(read(path))
        made.sar.append(read(cover / 's1' / path.name.replace('_s2_', '_s1_')))
        label = read(cover / 'land_cover_maps' / path.name)[0]
        masks = {
            name: np.isin(label, [k for k, v in SYNTHETIC.items() if v == name])
            for name in SYNTHETIC.values()
        }
        made.labels.append(masks)
        mask = read(cover / 'cloud_detection_results' / twin)[0] > 0
        made.add_pair(read(cover / 's2_cloudy' / twin), mask)
    return made


def of_class(chips: Collection, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Spectra (13×N) and backscatter (2×N) of a class, None if there is none."""
    optical, sar = [], []
    pairs = zip(chips.clear, chips.sar, chips.labels, strict=True)
    for clear, radar, labels in pairs:
        if labels is not None and name in labels:
            optical.append(clear[:, labels[name]])
            sar.append(radar[:, labels[name]])
    joined = np.concatenate(optical, 1) if optical else np.empty((13, 0))
    if joined.shape[1] < 50:
        return None
    return joined, np.concatenate(sar, 1)
