# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SEN12MS-CR: cloudy and clear Sentinel-2 with Sentinel-1, without land cover."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import get_args

import numpy as np
from torchgeo.datasets.utils import Path as PathLike
from torchgeo.datasets.utils import Sample

from ..transforms.bands import check_bands
from .chips.dataset import ChipDataset
from .chips.footprints import common_crs
from .chips.layout import Folder, Layer, Layout
from .chips.selection import (
    Missing,
    check_choices,
    find_faults,
    gather,
    leave_out,
    named_files,
    not_found,
    select_layers,
)
from .chips.splits import Split

#: Layers of SEN12MS-CR by folder.
SEN12MSCR_LAYERS: Mapping[str, Layer] = MappingProxyType(
    {
        's2_cloudy': Layer('image', 's2_cloudy', 13, 'ui'),
        's2': Layer('image_clear', 's2', 13, 'ui'),
        's1': Layer('image_sar', 's1', 2, 'f'),
    }
)

#: Regions of interest of the official validation and test split, by season. All others
#: train.
OFFICIAL_ROIS: Mapping[str, Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        'val': {
            'ROIs1158_spring': (17,),
            'ROIs1868_summer': (17, 19, 80, 127),
            'ROIs1970_fall': (65,),
            'ROIs2017_winter': (22, 84, 107, 130),
        },
        'test': {
            'ROIs1158_spring': (31, 44, 106, 123, 140),
            'ROIs1868_summer': (73, 119),
            'ROIs1970_fall': (139,),
            'ROIs2017_winter': (63, 108),
        },
    }
)


class SEN12MSCR(ChipDataset):
    """SEN12MS-CR, for cloud removal.

    Dataset features:

    * 122,218 triples of cloudy Sentinel-2, clear Sentinel-2 and Sentinel-1 from 169
      regions of interest in four seasons, 256×256 pixels at 10 m

    Dataset format:

    * Sentinel-2: 13-band uint16 GeoTIFF, digital numbers without offset
    * Sentinel-1: 2-band float32 GeoTIFF, VV and VH in dB
    * in folders such as ``ROIs1158_spring_s1/s1_1/ROIs1158_spring_s1_1_p30.tif``, with
      ``_s2`` and ``_s2_cloudy`` in place of ``_s1``

    It has no land cover and no cloud masks, so it serves phase 1 of TDP-CR only. Chips
    are read as :class:`~torchgeo_tdpcr.datasets.OSFCR` reads them; a sample has
    ``image``, ``image_clear``, ``image_sar``, ``bounds``, ``transform`` and ``epsg``.

    If you use this dataset, please cite:

    * https://doi.org/10.1109/TGRS.2020.3024744

    Example:
        >>> dataset = SEN12MSCR('data', split='val')  # doctest: +SKIP
        >>> sample = dataset[0]  # doctest: +SKIP
    """

    def __init__(
        self,
        paths: PathLike | Iterable[PathLike] = 'data',
        split: Split | None = None,
        *,
        bands: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        season: str | Sequence[str] | None = None,
        missing: Missing = 'skip',
        corrupt: Missing = 'error',
        transforms: Callable[[Sample], Sample] | None = None,
        cache: bool | PathLike = True,
        workers: int | None = None,
    ) -> None:
        """Initialize a new SEN12MSCR instance.

        Args:
            paths: Folder with the seasons' folders, the folder above, or several.
            split: ``'train'``, ``'val'`` or ``'test'`` of the official split; None for
                all chips.
            bands: Sentinel-2 bands to read (defaults to all 13).
            layers: Layers to read: of ``'s2_cloudy'``, ``'s2'`` and ``'s1'`` (defaults
                to all that the data have). A chip that lacks one is left out.
            season: Seasons to read, such as ``'ROIs1158_spring'`` (defaults to all).
            missing: What to do about chips that lack a layer or whose header is broken:
                ``'skip'`` them with a warning, or raise an ``'error'``.
            corrupt: What to do about chips that cannot be read as they should be, such as
                those with NaN in radar, cut-off files or labels that are no class: raise
                an ``'error'`` when one is read, or ``'skip'`` them with a warning that
                counts them. For that all are read once; the outcome is kept in *cache*,
                or else in the user's cache folder.
            transforms: Applied to each sample.
            cache: Whether to keep the index beside the data (in the user's cache folder
                where that cannot be written), or a folder to keep it in.
            workers: Threads that read headers where the index must be built.

        Raises:
            DatasetNotFoundError: If the data are not found or no chip can be used.
            CorruptChipError: If a chip cannot be used and *missing* is ``'error'``.
            ValueError: If an argument is not one of its choices, or no chip is left.
        """
        check_choices('split', [split], [None, *get_args(Split)])
        check_choices('missing', [missing], get_args(Missing))
        check_choices('corrupt', [corrupt], get_args(Missing))
        self.paths = paths
        self.split = split
        selected = check_bands(bands)
        layout = SEN12MSCRLayout()

        table = gather(self, layout, paths, cache, workers)
        chosen = select_layers(table, layout, layers)
        placed = table[(table['filepath'] != '') & (table['fault'] == '')]
        if season is not None:
            seasons = [season] if isinstance(season, str) else list(season)
            check_choices('season', seasons, sorted(table['season'].unique()))
            table = table[table['season'].isin(seasons)]
        if split is not None:
            places = zip(table['season'], table['roi'], strict=True)
            parts = [official_part(*place) for place in places]
            table = table[np.array(parts, dtype=object) == split]
            if table.empty:
                raise ValueError(
                    f'`split={split!r}` is empty: no region of interest in `paths` is '
                    'in that part of the official split.'
                )
        faults = find_faults(table, chosen, layout)
        table = table.assign(filepath=named_files(table, layout))
        usable = leave_out(table, faults, missing, verifiable=True)
        if usable.empty:
            what = f'Of {len(table)} chips none has all of {list(chosen)}.'
            raise not_found(self, what, layout.looked_for)
        self._set_up(
            usable,
            layers=chosen,
            crs=common_crs(placed),
            bands=selected,
            offset=0.0,
            num_classes=1,
            transforms=transforms,
        )
        self._leave_out_corrupt(corrupt, cache, workers)


def official_part(season: str, roi: int) -> Split:
    """Return the part of the official split that a region of interest is in.

    Args:
        season: Season with its seed, such as ``'ROIs1158_spring'``.
        roi: Number of the region.

    Example:
        >>> official_part('ROIs1158_spring', 31)
        'test'
        >>> official_part('ROIs1158_spring', 1)
        'train'
    """
    if roi in OFFICIAL_ROIS['val'].get(season, ()):
        return 'val'
    return 'test' if roi in OFFICIAL_ROIS['test'].get(season, ()) else 'train'


class SEN12MSCRLayout(Layout):
    """``{season}_{layer}/{layer}_{roi}/{season}_{layer}_{roi}_p{K}.tif``.

    Example:
        >>> SEN12MSCRLayout().parse('ROIs1158_spring_s1_1_p30.tif')
        (1, 30)
    """

    name = 'SEN12MS-CR'
    layers = SEN12MSCR_LAYERS
    group = 'season'
    references = ('s2_cloudy', 's2')
    looked_for = (
        "folders such as 'ROIs1158_spring_s2_cloudy/s2_cloudy_1' and "
        "'ROIs1158_spring_s2/s2_1', and in these files such as "
        "'ROIs1158_spring_s2_1_p30.tif'"
    )
    _season = re.compile(r'(ROIs\d+_[a-z]+)_(s1|s2|s2_cloudy)')
    _name = re.compile(r'ROIs\d+_.+_(\d+)_p(\d+)\.tiff?', re.IGNORECASE)

    def folders(self, root: Path) -> Iterator[Folder]:
        """Yield the ROI folders of every season and layer of *root*."""
        for season in sorted(root.iterdir()):
            if (match := self._season.fullmatch(season.name)) and season.is_dir():
                for path in sorted(season.glob(f'{match[2]}_*')):
                    if path.is_dir():
                        yield Folder(path, match[2], match[1])

    def folder(self, root: Path, layer: str, group: str, roi: int) -> Folder:
        """Return the folder for one layer of a chip."""
        return Folder(root / f'{group}_{layer}' / f'{layer}_{roi}', layer, group)

    def file_name(self, folder: Folder, roi: int, patch: int) -> str:
        """Return the name that the file of a chip should have."""
        infix = self.layers[folder.layer].infix
        return f'{folder.group}_{infix}_{roi}_p{patch}.tif'
