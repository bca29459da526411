# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""M3M-CR: cloudy and clear PlanetScope with Sentinel-1 and land cover."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rasterio import Affine
from torchgeo.datasets.utils import Path as PathLike
from torchgeo.datasets.utils import Sample

from .chips.dataset import ChipDataset
from .chips.footprints import common_crs
from .chips.layout import CorruptChipError, Folder, Layer, Layout
from .chips.reading import cloud_fault, labels_of_codes, number_fault, opened
from .chips.regridding import coverage_fault, regrid
from .chips.selection import (
    Missing,
    check_choices,
    find_faults,
    gather,
    leave_out,
    named_files,
    not_found,
    select,
)
from .chips.splits import Split, held_out
from .grids import Grid, PixelBox

#: Which layers the samples' grid is of.
Resolution = Literal['optical', 'sar']

#: Layers of M3M-CR by the name that their folders begin with.
M3MCR_LAYERS: Mapping[str, Layer] = MappingProxyType(
    {
        'planet_cloudy': Layer('image', 'planet_cloudy', 4, 'ui'),
        'planet_cloudfree': Layer('image_clear', 'planet_cloudfree', 4, 'ui'),
        'S1': Layer('image_sar', 'S1', 2, 'f'),
        'landcover': Layer('mask', 'landcover', 1, 'ui'),
        'cloudmask': Layer('mask_cloud', 'cloudmask', 1, 'bui'),
    }
)

#: Layers whose file gives a sample its grid, the first that exists.
GRID_LAYERS: Mapping[Resolution, tuple[str, str]] = MappingProxyType(
    {'optical': ('planet_cloudy', 'planet_cloudfree'), 'sar': ('S1', 'landcover')}
)

#: Class of each code of ESA WorldCover, as the authors of M3M-CR use it.
WORLDCOVER_CLASSES: Mapping[int, int] = MappingProxyType(
    {10: 0, 20: 1, 30: 1, 40: 2, 50: 3, 60: 4, 80: 5, 90: 5}
)

#: Codes without a class: no data, snow and ice, mangroves, moss and lichen.
WORLDCOVER_IGNORED = (0, 70, 95, 100, 255)


class M3MCR(ChipDataset):
    """M3M-CR, for cloud removal and land-cover mapping at 3 m (CloudSeg's own data).

    Dataset features:

    * 780 areas worldwide, in all seasons
    * cloudy and clear PlanetScope (4 bands, 300×300 pixels at 3 m), Sentinel-1 (VV and VH,
      90×90 at 10 m), land cover of ESA WorldCover (90×90 at 10 m), and cloud masks
      (300×300)

    Dataset format:

    * PlanetScope: 4-band uint16 GeoTIFF: blue, green, red, near infrared, reflectance
      × 10⁴, 0 where there is none
    * Sentinel-1: 2-band float64 GeoTIFF, VV and VH in dB
    * land cover: uint8 GeoTIFF, WorldCover's codes 10 to 100
    * cloud masks: bool NumPy files

    Dataset classes:

    0. forest (code 10)
    1. rangeland (20, 30)
    2. agriculture (40)
    3. urban (50)
    4. barren (60)
    5. water (80, 90)

    Other codes are 255, ignored.

    The layers of a sample lie on different grids, which are also shifted against each
    other by up to a few metres. They are brought to one by their coordinates: to that of
    PlanetScope (*resolution* ``'optical'``), with radar interpolated bilinearly and land
    cover taken from the nearest pixel; or to that of Sentinel-1 (``'sar'``), with the
    optical images averaged and the cloud mask taken from the nearest pixel.

    A sample has, as far as the layers are there, ``image``, ``image_clear`` (4×H×W float32
    digital numbers), ``image_sar`` (2×H×W float32, dB), ``mask`` and ``mask_cloud`` (H×W
    int64), and always ``bounds``, ``transform`` and ``epsg`` of its grid, ``wavelength``
    (nanometres of each band) and ``resolution`` (metres of the optical and of the SAR
    pixels as they were recorded: 3 and 10).

    The data come with the folders ``train`` and ``test``. For validation, whole areas of
    the training samples are held out.

    If you use this dataset, please cite:

    * https://doi.org/10.1109/TGRS.2023.3337845

    Example:
        >>> dataset = M3MCR('data', split='train')  # doctest: +SKIP
        >>> sample = dataset[0]  # doctest: +SKIP
    """

    #: In file order; the centres of PlanetScope's first four-band instrument.
    wavelengths = MappingProxyType({'B': 485.0, 'G': 545.0, 'R': 630.0, 'NIR': 820.0})
    resolutions = (3.0, 10.0)
    all_bands = tuple(wavelengths)
    rgb_bands = ('R', 'G', 'B')
    class_names = ('forest', 'rangeland', 'agriculture', 'urban', 'barren', 'water')

    def __init__(
        self,
        paths: PathLike | Iterable[PathLike] = 'data',
        split: Split | None = None,
        *,
        resolution: Resolution = 'optical',
        bands: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        val_share: float = 0.1,
        seed: int = 42,
        missing: Missing = 'skip',
        corrupt: Missing = 'error',
        transforms: Callable[[Sample], Sample] | None = None,
        cache: bool | PathLike = True,
        workers: int | None = None,
    ) -> None:
        """Initialize a new M3MCR instance.

        Args:
            paths: Folder with ``train`` and ``test``, the folder above, or several.
            split: ``'train'`` or ``'val'`` of the folder ``train``, ``'test'``, or None
                for all samples.
            resolution: Grid of the samples: ``'optical'`` (300×300 at 3 m) or ``'sar'``
                (90×90 at 10 m).
            bands: Of ``'B'``, ``'G'``, ``'R'`` and ``'NIR'`` (defaults to all).
            layers: Layers to read: of ``'planet_cloudy'``, ``'planet_cloudfree'``,
                ``'S1'``, ``'landcover'`` and ``'cloudmask'``, at least one of the first
                two (defaults to all). A sample that lacks one is left out.
            val_share: Share of the training areas that validate; 0 to train with all.
            seed: Seed of the choice of these areas.
            missing: What to do about samples that lack a layer or whose header is
                broken: ``'skip'`` them with a warning, or raise an ``'error'``.
            corrupt: What to do about samples that cannot be read as they should be, such as
                those with NaN in radar, cut-off files or labels that are no class: raise
                an ``'error'`` when one is read, or ``'skip'`` them with a warning that
                counts them. For that all are read once; the outcome is kept in *cache*,
                or else in the user's cache folder.
            transforms: Applied to each sample.
            cache: Whether to keep the index beside the data (in the user's cache folder
                where that cannot be written), or a folder to keep it in.
            workers: Threads that read headers where the index must be built.

        Raises:
            DatasetNotFoundError: If the data are not found or no sample can be used.
            CorruptChipError: If a sample cannot be used and *missing* is ``'error'``.
            ValueError: If an argument is not one of its choices, or the split is empty.
        """
        check_choices('split', [split], [None, *get_args(Split)])
        check_choices('missing', [missing], get_args(Missing))
        check_choices('corrupt', [corrupt], get_args(Missing))
        check_choices('resolution', [resolution], get_args(Resolution))
        layout = M3MCRLayout(resolution)
        chosen = select('layers', layers, layout.layers)
        if not set(chosen) & set(GRID_LAYERS['optical']):
            raise ValueError(
                f'`layers={list(chosen)}` has no optical layer, whose grid the cloud '
                f'masks are on. Add one of {list(GRID_LAYERS["optical"])}.'
            )
        selected = select('bands', bands, self.all_bands)
        self.paths = paths
        self.split = split

        table = gather(self, layout, paths, cache, workers)
        if split is not None:
            table = _part(table, split, val_share, seed)
        used = {k: v for k, v in layout.layers.items() if k in chosen}
        faults = find_faults(table, used, layout)
        table = table.assign(filepath=named_files(table, layout))
        usable = leave_out(table, faults, missing, 'samples')
        if usable.empty:
            what = f'Of {len(table)} samples none has all of {list(chosen)}.'
            raise not_found(self, what, layout.looked_for)
        self._set_up(
            usable,
            layers=used,
            crs=common_crs(usable),
            bands=selected,
            num_classes=len(self.class_names),
            transforms=transforms,
        )
        self._leave_out_corrupt(corrupt, cache, workers)

    def _read_layers(self, row: int, grid: Grid, window: PixelBox) -> Sample:
        """Read the layers of a sample and bring them to its grid."""
        sample: Sample = {}
        # The cloud mask, which comes last, lies on the grid of the optical images
        optical, shape = Affine.identity(), (0, 0)
        for name, layer in self.layers.items():
            path = self._paths[name][row]
            if layer.key == 'mask_cloud':
                array = _read_cloud_mask(path, shape)
                transform = optical
            else:
                array, transform = _read_raster(path, layer, grid)
            if layer.key in ('image', 'image_clear'):
                optical, shape = transform, (array.shape[1], array.shape[2])
                array = array[[i - 1 for i in self._indexes]]
                array = regrid(array, transform, grid, 'average')
            elif layer.key == 'image_sar':
                array = regrid(array.astype(np.float32), transform, grid, 'bilinear')
            else:
                array = regrid(array, transform, grid, 'nearest')
            array = np.ascontiguousarray(
                array[:, window.top : window.bottom, window.left : window.right]
            )
            if layer.key == 'mask':
                sample['mask'] = labels_of_codes(
                    path, array[0], WORLDCOVER_CLASSES, WORLDCOVER_IGNORED
                )
            elif layer.key == 'mask_cloud':
                sample['mask_cloud'] = torch.from_numpy(array[0].astype(np.int64))
            else:
                sample[layer.key] = torch.from_numpy(array)
        return sample


class M3MCRLayout(Layout):
    """``{split}/{layer}_{season}/{layer}_{season}_{N}/{layer}_{season}_{N}_p_{K}``.

    Seasons may have any name, files may lie in the folder of the season, and the ``_``
    behind ``p`` may be absent.

    Args:
        resolution: Which layers give the samples their grid.

    Example:
        >>> M3MCRLayout().parse('S1_fall_1_p_457.tif')
        (1, 457)
    """

    aligned = False
    layers = M3MCR_LAYERS
    group = 'part'
    looked_for = (
        "the folders 'train' or 'test', in each of them folders such as "
        "'planet_cloudy_fall/planet_cloudy_fall_1' and 'S1_fall/S1_fall_1', and in these "
        "files such as 'planet_cloudy_fall_1_p_457.tif'"
    )
    _folder = re.compile(rf'({"|".join(M3MCR_LAYERS)})_(.+)', re.IGNORECASE)
    _name = re.compile(r'.*?(?:_(\d+))?_p_?(\d+)\.(?:tiff?|npy)', re.IGNORECASE)

    def __init__(self, resolution: Resolution = 'optical') -> None:
        self.references = GRID_LAYERS[resolution]
        # Tables with grids of other layers are not to be taken for each other
        self.name = 'M3M-CR' if resolution == 'optical' else f'M3M-CR at {resolution}'

    def folders(self, root: Path) -> Iterator[Folder]:
        """Yield the folders of every split, layer and season of *root*."""
        names = {name.lower(): name for name in self.layers}
        for split in ('train', 'test'):
            if not (root / split).is_dir():
                continue
            for season in sorted((root / split).iterdir()):
                match = self._folder.fullmatch(season.name)
                if match is None or not season.is_dir():
                    continue
                layer, group = names[match[1].lower()], f'{split}/{match[2]}'
                yield Folder(season, layer, group)
                for path in sorted(season.iterdir()):
                    if path.is_dir():
                        yield Folder(path, layer, group)

    def folder(self, root: Path, layer: str, group: str, roi: int) -> Folder:
        """Return the folder for one layer of a sample."""
        split, season = group.split('/')
        name = f'{layer}_{season}'
        return Folder(root / split / name / f'{name}_{roi}', layer, group)

    def file_name(self, folder: Folder, roi: int, patch: int) -> str:
        """Return the name that the file of a sample should have."""
        suffix = 'npy' if folder.layer == 'cloudmask' else 'tif'
        season = folder.group.split('/')[1]
        return f'{folder.layer}_{season}_{roi}_p_{patch}.{suffix}'


def _part(
    table: pd.DataFrame, split: Split, val_share: float, seed: int
) -> pd.DataFrame:
    """Keep the samples of a part."""
    folder = 'test' if split == 'test' else 'train'
    table = table[table['part'].str.startswith(f'{folder}/')]
    if split != 'test':
        areas = list(zip(table['part'], table['roi'], strict=True))
        validate = held_out(sorted(set(areas)), val_share, seed) if areas else set()
        table = table[[(area in validate) == (split == 'val') for area in areas]]
    if table.empty:
        raise ValueError(
            f"`split={split!r}` is empty: the folder '{folder}' leaves no samples to it, "
            f'with `val_share={val_share}`.'
        )
    return table


def _read_raster(path: str, layer: Layer, grid: Grid) -> tuple[NDArray[Any], Affine]:
    """Read a GeoTIFF that covers the grid of its sample."""
    with opened(path, layer) as source:
        epsg = source.crs.to_epsg() if source.crs else None
        size = source.width, source.height
        if fault := coverage_fault(source.transform, *size, epsg, grid):
            raise CorruptChipError(path, fault)
        array, transform = source.read(), source.transform
    if fault := number_fault(array, layer):
        raise CorruptChipError(path, fault)
    return array, transform


def _read_cloud_mask(path: str, shape: tuple[int, int]) -> NDArray[Any]:
    """Read a cloud mask that has the shape of the optical image: 1×H×W."""
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, OverflowError, MemoryError) as error:
        raise CorruptChipError(path, f'cannot be read ({error})') from error
    if not isinstance(mask, np.ndarray) or mask.shape != shape:
        raise CorruptChipError(
            path, f'has the shape {np.shape(mask)}, the optical image {shape}'
        )
    if fault := cloud_fault(mask):
        raise CorruptChipError(path, fault)
    return mask[None].astype(np.uint8)
