# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""`SyntheticOSFCR`: writes a data set like LuojiaSET-OSFCR, from a seed.

The pixels depend on the parameters alone, not on the number of processes, so that a
data set can be named by them and made again anywhere.
"""

import json
import multiprocessing
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ...files import expanded, write_text
from ...kinds import LEVELS, Level
from ..osfcr import COVERS
from .biomes import BIOMES, CLASSES
from .layouts import digest, draw_layout, find_layouts
from .scene import build_scene, cloudy_chip, correct, scene_shape, windows
from .writer import FOLDER, Place, write_chip

# Raised whenever the same parameters would give other pixels.
_VERSION = 2

# What a manifest that does not say means.
_USUAL: dict[str, Any] = {
    'level': '1C',
    'layouts': None,
    'layout_share': 1.0,
    'variety': 0.0,
    'soft_clouds': 0.0,
    'cities': 0.0,
}

_MANIFEST = 'synthetic.json'
_STARTED = 'synthetic.json.part'


def _make_roi(
    root: str, roi: int, parameters: dict[str, Any], layouts: list[Path]
) -> dict[str, int]:
    """Make one region and write its chips; returns chips a cover folder."""
    count, size = parameters['chips_per_roi'], parameters['chip_size']
    rng = np.random.default_rng([parameters['seed'], roi])
    biome = BIOMES[roi % len(BIOMES)]
    epsg, left, top = biome.sites[(roi // len(BIOMES)) % len(biome.sites)]
    # regions of the same site must not overlap
    again = roi // (len(BIOMES) * len(biome.sites))
    jitter = 10 * rng.integers(-200, 200, 2)
    shape = scene_shape(count, size)
    # five beside each other, as a zone is not wide enough for more, then the next row
    row, col = divmod(again, 5)
    away = 10 * max(shape) + 8_000
    east, north = float(jitter[0]) + col * away, float(jitter[1]) + row * away
    place = Place(epsg, left + east, top + north)
    # A generator of its own for what is not always drawn
    other_rng = np.random.default_rng([parameters['seed'], roi, 0, 1])
    by_map = layouts and other_rng.random() < parameters['layout_share']
    layout = draw_layout(other_rng, layouts, shape) if by_map else None
    made_of = parameters['variety'], parameters['cities']
    scene = build_scene(rng, shape, biome, epsg < 32700, layout, *made_of)
    level = parameters['level']
    seen = scene
    if level == '2A':
        seen = replace(scene, clear=correct(other_rng, scene.clear, scene.dates))

    # as many chips of each cover, in no order
    bins = rng.permutation([(roi * count + k) % len(COVERS) for k in range(count)])
    covers: Counter[str] = Counter()
    for k, ((row, col), cover) in enumerate(
        zip(windows(count, size), bins, strict=True)
    ):
        chip_rng = np.random.default_rng([parameters['seed'], roi, k])
        span = (cover / len(COVERS), (cover + 1) / len(COVERS))
        # Drawn apart, so that all else is the same
        soft = chip_rng.spawn(1)[0].random() < parameters['soft_clouds']
        sky = cloudy_chip(chip_rng, scene, row, col, size, span, level, soft)
        folder = write_chip(Path(root), place, seen, sky, (row, col), roi + 1, k + 1)
        covers[folder] += 1
    return dict(covers)


class SyntheticOSFCR:
    """Synthetic data in the layout of LuojiaSET-OSFCR.

    `generate` writes `root/LuojiaSET-OSFCR/{cover}/{layer}/*.tif` with the names,
    data types, offset and grids of the real data set, and one layer more:
    `cloud_thickness`, the optical thickness of the clouds. Regions lie in several UTM
    zones on both hemispheres, one biome each; chips overlap by half.

    Classes, by label: water, trees, built, bare, crops, grass, shrub; 255 is unknown.

    Args:
        root: Folder to write to.
        num_rois: Number of regions, 1 to 999.
        chips_per_roi: Number of chips a region.
        chip_size: Side of a chip in pixels, even, at least 32.
        seed: The same seed gives the same files.
        workers: Number of processes; None for one a core, 0 for this process.
        progress: Whether to show a progress bar.
        level: Level of the optical images: `'1C'`, reflectance at the top of the
            atmosphere, or `'2A'`, at the surface, where B10 is 0.
        layouts: Folder of land-cover maps of real places, as GeoTIFFs with the labels
            of the classes, by which regions are laid out; drawn if None.
        layout_share: Part of the regions that maps lay out, 0 to 1; the others are
            drawn.
        variety: How far leaves, soils and roofs of one region differ from those of
            others, as the spread of the logarithm of their brightness, 0 to 1.
        soft_clouds: Part of the skies whose clouds are soft, 0 to 1, see
            :mod:`~torchgeo_tdpcr.transforms.soft_clouds`.
        cities: How much more is built up, and how many roofs are as bright as those of
            real towns, 0 to 1.

    Raises:
        FileNotFoundError: If there are no maps in `layouts`.
        ValueError: If a number is out of range, or `level` is none of the two.

    Example:
        >>> import tempfile
        >>> root = tempfile.mkdtemp()
        >>> data = SyntheticOSFCR(root, 1, 5, 32, workers=0, progress=False)
        >>> path = data.generate()
        >>> path.name, len(list(path.glob('*/s2/*.tif')))
        ('LuojiaSET-OSFCR', 5)
    """

    classes = CLASSES

    def __init__(
        self,
        root: str | os.PathLike[str],
        num_rois: int = 8,
        chips_per_roi: int = 20,
        chip_size: int = 256,
        seed: int = 0,
        workers: int | None = None,
        progress: bool = True,
        level: Level = '1C',
        layouts: str | os.PathLike[str] | None = None,
        layout_share: float = 1.0,
        variety: float = 0.0,
        soft_clouds: float = 0.0,
        cities: float = 0.0,
    ) -> None:
        if level not in LEVELS:
            raise ValueError(f"`level={level!r}`: choose '1C' or '2A'.")
        for name, value, low, high in (
            ('num_rois', num_rois, 1, 999),
            ('chips_per_roi', chips_per_roi, 1, 9999),
            ('chip_size', chip_size, 32, 4096),
            ('seed', seed, 0, 2**63 - 1),
            ('layout_share', layout_share, 0, 1),
            ('variety', variety, 0, 1),
            ('soft_clouds', soft_clouds, 0, 1),
            ('cities', cities, 0, 1),
        ):
            if not low <= value <= high:
                raise ValueError(f'`{name}={value}` is not within {low} to {high}.')
        if chip_size % 2:
            raise ValueError(
                f'`chip_size={chip_size}` is odd, but chips overlap by half: give an '
                'even size.'
            )
        if workers is not None and workers < 0:
            raise ValueError(f'`workers={workers}` is negative: give 0 or more.')
        self.root = expanded(root)
        self.workers = workers
        self.progress = progress
        self._layouts = [] if layouts is None else find_layouts(layouts)
        self.parameters: dict[str, Any] = {
            'version': _VERSION,
            'num_rois': num_rois,
            'chips_per_roi': chips_per_roi,
            'chip_size': chip_size,
            'seed': seed,
            'level': level,
            'layouts': digest(self._layouts) if self._layouts else None,
            'layout_share': float(layout_share),
            'variety': float(variety),
            'soft_clouds': float(soft_clouds),
            'cities': float(cities),
        }

    @property
    def folder(self) -> Path:
        """Folder of the data set."""
        return self.root / FOLDER

    @property
    def complete(self) -> bool:
        """Whether the data set is there, made with these parameters."""
        return self._read(_MANIFEST) == self.parameters

    def generate(self) -> Path:
        """Write the data set, unless it is there already.

        Returns:
            The folder `root/LuojiaSET-OSFCR`.

        Raises:
            FileExistsError: If the folder holds something else.
        """
        if self.complete:
            return self.folder
        self._check_free()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write(_STARTED, self.parameters)
        covers: Counter[str] = Counter()
        per_roi = self.parameters['chips_per_roi']
        total = self.parameters['num_rois'] * per_roi
        with tqdm(
            total=total,
            desc='Synthetic OSFCR',
            unit='chip',
            disable=None if self.progress else True,
        ) as bar:
            for made in self._run():
                covers.update(made)
                bar.update(per_roi)
        manifest = self.parameters | {
            'classes': list(CLASSES),
            'chips': {name: covers[name] for name in COVERS},
        }
        self._write(_MANIFEST, manifest)
        (self.folder / _STARTED).unlink()
        return self.folder

    def _run(self) -> Iterator[dict[str, int]]:
        """Make all regions, each yielding its chips a cover folder."""
        rois = range(self.parameters['num_rois'])
        workers = os.cpu_count() or 1 if self.workers is None else self.workers
        workers = min(workers, len(rois))
        if workers <= 1:
            for roi in rois:
                yield _make_roi(str(self.root), roi, self.parameters, self._layouts)
            return
        # forked workers need no second import of torch, which takes longer than the
        # work; like a DataLoader's, they use no library that forking would break
        method = 'fork' if sys.platform == 'linux' else None
        context = multiprocessing.get_context(method)
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'This process.*fork', DeprecationWarning)
            with ProcessPoolExecutor(workers, context) as pool:
                jobs = [
                    pool.submit(
                        _make_roi, str(self.root), roi, self.parameters, self._layouts
                    )
                    for roi in rois
                ]
                try:
                    for job in as_completed(jobs):
                        yield job.result()
                finally:
                    # On an error or Ctrl-C, do not make all the others first
                    pool.shutdown(wait=False, cancel_futures=True)

    def _check_free(self) -> None:
        if not self.folder.exists() or not any(self.folder.iterdir()):
            return
        found = self._read(_MANIFEST) or self._read(_STARTED)
        if found is None:
            raise FileExistsError(
                f"'{self.folder}' holds files that SyntheticOSFCR did not write. Give "
                'another folder.'
            )
        if found != self.parameters:
            raise FileExistsError(
                f"'{self.folder}' holds a synthetic data set made with {found}, not "
                f'{self.parameters}. Give another folder, delete that one, or give the '
                'parameters that it was made with.'
            )

    def _read(self, name: str) -> dict[str, Any] | None:
        """Parameters in a manifest, None where there is none that can be read."""
        try:
            manifest = _USUAL | json.loads((self.folder / name).read_text())
            return {key: manifest[key] for key in self.parameters}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_text(self.folder / name, json.dumps(content, indent=2) + '\n')
