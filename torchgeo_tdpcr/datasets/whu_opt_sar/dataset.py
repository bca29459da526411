# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""WHU-OPT-SAR: GF-1 with GF-3 radar and land use; clouds are simulated."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from numpy.typing import NDArray
from torch import Tensor
from torchgeo.datasets.utils import Path, Sample

from ...transforms.clouds import SimulateClouds
from ..chips.dataset import ChipDataset
from ..chips.footprints import common_crs
from ..chips.layout import CorruptChipError, Layer
from ..chips.reading import finite, labels_of_codes, opened
from ..chips.selection import (
    Missing,
    check_choices,
    leave_out,
    not_found,
    select,
    without_twins,
)
from ..chips.splits import Split
from ..grids import Grid, PixelBox
from .scenes import LOOKED_FOR, WHU_LAYERS, chips_of, gather_scenes, part_of_scenes

#: Class of each label in the files; 0 is background.
WHU_CLASSES: Mapping[int, int] = MappingProxyType(
    {10: 0, 20: 1, 30: 2, 40: 3, 50: 4, 60: 5, 70: 6}
)

#: The band of Sentinel-2 whose clouds each band gets.
SENTINEL2_TWINS: Mapping[str, str] = MappingProxyType(
    {'R': 'B4', 'G': 'B3', 'B': 'B2', 'NIR': 'B8'}
)


class WHUOPTSAR(ChipDataset):
    """WHU-OPT-SAR, for cloud removal and land-use mapping at 5 m (SegCR's own data).

    Dataset features:

    * 100 scenes of Hubei, China, 5556×3704 pixels at 5 m
    * GF-1 optical images (4 bands), GF-3 radar images (1 band), land use

    Dataset format:

    * optical: 4-band GeoTIFF: red, green, blue, near infrared, 8-bit
    * sar: 1-band GeoTIFF, 8-bit
    * lbl: 1-band uint8 GeoTIFF, labels 0 to 70

    Dataset classes:

    0. farmland (label 10)
    1. city (20)
    2. village (30)
    3. water (40)
    4. forest (50)
    5. road (60)
    6. others (70)

    Background (0) is 255, ignored.

    Chips are windows of *size* pixels on a grid of *stride* pixels from the upper left
    corner of each scene; pixels at the right and the lower edge that fill no window are
    not used. With the defaults a scene has 21×14 chips, 29,400 in all. Only the window is
    read.

    There are no cloudy images: ``image`` is ``image_clear`` under clouds of
    :class:`~torchgeo_tdpcr.transforms.SimulateClouds`, which works in reflectance as
    Sentinel-2 sees it. What the digital numbers mean has not been published. Here the
    largest stands for a reflectance of *white*, and the bands for B4, B3, B2 and B8 of
    Sentinel-2. So a thick cloud, at about 0.8, is white and keeps its texture. What would
    be brighter than the largest number is cut off, as a sensor does. A simulated cloud is
    as many pixels wide as one of Sentinel-2, so half as many metres.

    The sky of a chip is a function of its pixels and of *seed*. With *fresh_clouds* it is
    a new one at each reading, drawn from torch's generator.

    The published files have no georeference. Scenes without one are placed by their names,
    which are the numbers of map sheets (see
    :func:`~torchgeo_tdpcr.datasets.whu_opt_sar.scenes.sheet_bounds`), in EPSG:4326.
    That is an inference from name and size, good for maps and splits, not for measuring.

    A sample has, as far as the layers are there, ``image``, ``image_clear`` (4×H×W float32
    digital numbers), ``image_sar`` (1×H×W float32), ``mask``, ``mask_cloud`` (H×W int64)
    and ``image_thickness`` (1×H×W float32), and always ``bounds``, ``transform`` and
    ``epsg``, ``wavelength`` (nanometres of each band) and ``resolution`` (metres of the
    optical and of the SAR pixels: 5 and 5).

    The split is the published one: 80 scenes to train, 20 to test. For validation, some of
    the training scenes are held out.

    If you use this dataset, please cite:

    * https://doi.org/10.1016/j.jag.2021.102638

    Example:
        >>> dataset = WHUOPTSAR('data', split='test')  # doctest: +SKIP
        >>> sample = dataset[0]  # doctest: +SKIP
    """

    #: In file order; the centres of GF-1's multispectral cameras.
    wavelengths = MappingProxyType({'R': 660.0, 'G': 555.0, 'B': 485.0, 'NIR': 830.0})
    resolutions = (5.0, 5.0)
    all_bands = tuple(wavelengths)
    rgb_bands = ('R', 'G', 'B')
    class_names = ('farmland', 'city', 'village', 'water', 'forest', 'road', 'others')

    def __init__(
        self,
        paths: Path | Iterable[Path] = 'data',
        split: Split | None = None,
        *,
        size: int = 256,
        stride: int | None = None,
        bands: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        optical_max: float = 255,
        sar_max: float = 255,
        cover: tuple[float, float] = (0.0, 1.0),
        white: float = 0.8,
        fresh_clouds: bool = False,
        val_share: float = 0.1,
        seed: int = 42,
        missing: Missing = 'skip',
        transforms: Callable[[Sample], Sample] | None = None,
    ) -> None:
        """Initialize a new WHUOPTSAR instance.

        Args:
            paths: Folder with ``optical``, ``sar`` and ``lbl``, the folder above, or
                several.
            split: ``'train'`` or ``'val'`` of the 80 training scenes, ``'test'``, or None
                for all scenes.
            size: Height and width of a chip in pixels.
            stride: Pixels from a chip to the next (defaults to *size*: no overlap).
            bands: Of ``'R'``, ``'G'``, ``'B'`` and ``'NIR'`` (defaults to all).
            layers: Layers to read: of ``'optical'``, ``'sar'`` and ``'lbl'`` (defaults to
                all). A scene that lacks one is left out.
            optical_max: Largest digital number of the optical images; of other than 8-bit
                files it must be given.
            sar_max: Largest digital number of the SAR images, likewise.
            cover: Range that the cloud cover of a chip is drawn from.
            white: Reflectance that *optical_max* stands for when clouds are simulated.
            fresh_clouds: Whether a chip gets new clouds each time that it is read.
            val_share: Share of the training scenes that validate; 0 to train with all.
            seed: Seed of the choice of these scenes, and of the clouds.
            missing: What to do about scenes that lack a layer or cannot be opened:
                ``'skip'`` them with a warning, or raise an ``'error'``.
            transforms: Applied to each sample.

        Raises:
            DatasetNotFoundError: If the data are not found or no scene can be used.
            CorruptChipError: If a scene cannot be used and *missing* is ``'error'``.
            ValueError: If an argument is not one of its choices, or the split is empty.
        """
        check_choices('split', [split], [None, *get_args(Split)])
        check_choices('missing', [missing], get_args(Missing))
        chosen = select('layers', layers, WHU_LAYERS)
        selected = select('bands', bands, self.all_bands)
        stride = size if stride is None else stride
        limits = {
            'size': size,
            'stride': stride,
            'optical_max': optical_max,
            'sar_max': sar_max,
            'white': white,
        }
        for name, number in limits.items():
            if number <= 0:
                raise ValueError(f'`{name}={number}` must be above 0.')
        self.paths = paths
        self.split = split
        self.optical_max = optical_max
        self.sar_max = sar_max
        self.white = white
        self._drawn_white = optical_max, sar_max
        self.clouds = SimulateClouds(
            [SENTINEL2_TWINS[band] for band in selected],
            cover,
            None if fresh_clouds else seed,
        )

        several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        scenes = gather_scenes(self, several)
        if split is not None:
            scenes = part_of_scenes(scenes, split, val_share, seed)
        faults = without_twins(scenes, chosen, scenes['fault'])
        scenes = leave_out(scenes, faults, missing, 'scenes')
        table = chips_of(scenes, size, stride)
        if table.empty:
            raise not_found(
                self,
                f'Of {len(faults)} scenes none has all of {list(chosen)} and is at least '
                f'`size={size}` pixels high and wide.',
                LOOKED_FOR,
            )
        self._set_up(
            table,
            layers={k: v for k, v in WHU_LAYERS.items() if k in chosen},
            crs=common_crs(table),
            bands=selected,
            num_classes=len(self.class_names),
            transforms=transforms,
        )
        self._scenes = {
            scene[name]: Grid.from_row(scene)
            for scene in scenes.to_dict('records')
            for name in chosen
        }

    def _read_layers(self, row: int, grid: Grid, window: PixelBox) -> Sample:
        """Read the layers of a chip out of its scene, and put clouds over it."""
        sample: Sample = {}
        for name, layer in self.layers.items():
            path = self._paths[name][row]
            array = self._read_window(path, layer, grid, window)
            match layer.key:
                case 'image_clear':
                    sample |= self._clouded(finite(path, array))
                case 'mask':
                    sample['mask'] = labels_of_codes(
                        path, array[0], WHU_CLASSES, [0, 255]
                    )
                case _:
                    sample['image_sar'] = finite(path, array)
        return sample

    def _read_window(
        self, path: str, layer: Layer, grid: Grid, window: PixelBox
    ) -> NDArray[Any]:
        """Read the pixels of a chip from the file of a scene."""
        scene = self._scenes[path]
        right = round((grid.x - scene.x) / scene.xres)
        down = round((scene.y - grid.y) / scene.yres)
        part = PixelBox(
            window.left + right,
            window.top + down,
            window.right + right,
            window.bottom + down,
        )
        with opened(path, layer) as source:
            if (source.width, source.height) != (scene.width, scene.height):
                raise CorruptChipError(
                    path,
                    f'is {source.width}×{source.height} pixels large, its scene is '
                    f'{scene.width}×{scene.height}',
                )
            name = {'image_clear': 'optical_max', 'image_sar': 'sar_max'}.get(layer.key)
            if name and source.dtypes[0] != 'uint8' and getattr(self, name) == 255:
                raise CorruptChipError(
                    path,
                    f'holds {source.dtypes[0]}, but `{name}=255` is for 8-bit files: '
                    'give the largest number that there is',
                )
            array: NDArray[Any] = source.read(
                self._indexes if layer.key == 'image_clear' else None,
                window=part.ranges,
            )
            return array

    def _clouded(self, clear: Tensor) -> Sample:
        """Put clouds over digital numbers."""
        # Reflectance x 10^4 a digital number: the unit that the simulation works in
        scale = self.white * 1e4 / self.optical_max
        sample: Sample = self.clouds({'image_clear': clear * scale})
        sample['image'] = (sample['image'] / scale).clamp(0, self.optical_max)
        return sample | {'image_clear': clear}
