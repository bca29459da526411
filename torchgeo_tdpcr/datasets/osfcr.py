# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""LuojiaSET-OSFCR: cloudy and clear Sentinel-2, Sentinel-1, land cover, cloud masks."""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from geopandas import GeoDataFrame
from torchgeo.datasets import GeoDataset
from torchgeo.datasets.utils import Path as PathLike
from torchgeo.datasets.utils import Sample

from ..transforms.bands import check_bands
from .chips.dataset import ChipDataset
from .chips.footprints import chip_frame, common_crs
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
from .chips.splits import Rows, Split, component_split, index_of, roi_split
from .plausibility import check_offset

SplitBy = Literal['published', 'roi', 'component']

#: Layers of LuojiaSET-OSFCR by folder. ``cloud_thickness`` is of synthetic sets only.
OSFCR_LAYERS: Mapping[str, Layer] = MappingProxyType(
    {
        's2_cloudy': Layer('image', 's2_cloudy', 13, 'ui'),
        's2': Layer('image_clear', 's2', 13, 'ui'),
        's1': Layer('image_sar', 's1', 2, 'f'),
        'land_cover_maps': Layer('mask', 's2', 1, 'ui'),
        'cloud_detection_results': Layer('mask_cloud', 's2_cloudy', 1, 'fui'),
        'cloud_thickness': Layer('image_thickness', 's2_cloudy', 1, 'f', True),
    }
)

#: Cloud-cover folders of LuojiaSET-OSFCR, in the order that its split recipe uses.
COVERS = ('0-20%', '20%-40%', '40%-60%', '60%-80%', '80%-100%')


class OSFCR(ChipDataset):
    """LuojiaSET-OSFCR, for cloud removal and land-cover mapping.

    Dataset features:

    * 20,000 samples worldwide, 4,000 for each of five ranges of cloud cover
    * cloudy and clear Sentinel-2 (13 bands), Sentinel-1 (VV and VH), land cover and
      cloud masks, all 256×256 pixels at 10 m

    Dataset format:

    * Sentinel-2: 13-band uint16 GeoTIFF, digital numbers, with or without the offset of
      1000 that processing baseline 04.00 brought
    * Sentinel-1: 2-band float32 GeoTIFF, backscatter in dB
    * land cover: uint8 GeoTIFF, labels from 0, 255 where there is none
    * cloud masks: float32 GeoTIFF, 1 where cloud or shadow
    * ``cloud_thickness`` (synthetic sets only): float32 GeoTIFF, optical thickness

    Dataset classes:

    * 0 to 6; their names have not been published, so they are yours to give

    What is done about the data's traps:

    * Chips lie in many UTM zones. None is warped: see
      :class:`~torchgeo_tdpcr.datasets.chips.dataset.ChipDataset`.
    * Files are recognised by the ROI and patch number in their names. Where two files
      claim to be the same layer of a chip, the rightly named one is taken.
    * The offset is found per file from B10, whose own signal is small: where its lowest
      value is above 900, 1000 is subtracted from all bands.
    * Land cover has a CRS that is no EPSG code; it lies on the grid of Sentinel-2 and
      is read so.
    * Sentinel-1 is shifted by (+3.69, −4.13) m. That is less than half a pixel, so the
      nearest Sentinel-1 pixel is the one with the same row and column, and these are
      paired, without resampling. A shift of half a pixel or more is an error.

    A sample has, as far as the layers are there, ``image`` (cloudy, C×H×W float32),
    ``image_clear``, ``image_sar`` (2×H×W float32), ``mask`` (land cover, H×W int64),
    ``mask_cloud`` (H×W int64) and ``image_thickness`` (1×H×W float32), and always
    ``bounds``, ``transform`` and ``epsg``.

    If you use this dataset, please cite the paper of its authors.

    Example:
        >>> dataset = OSFCR('data', split='train', bands=['B4', 'B3', 'B2'])
        ... # doctest: +SKIP
        >>> sample = dataset[0]  # doctest: +SKIP
        >>> figure = dataset.plot(sample)  # doctest: +SKIP
    """

    def __init__(
        self,
        paths: PathLike | Iterable[PathLike] = 'data',
        split: Split | None = None,
        *,
        split_by: SplitBy = 'published',
        bands: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        cover: str | Sequence[str] | None = None,
        offset: float | Literal['auto'] = 'auto',
        num_classes: int = 7,
        class_names: Sequence[str] | None = None,
        seed: int = 42,
        missing: Missing = 'skip',
        corrupt: Missing = 'error',
        transforms: Callable[[Sample], Sample] | None = None,
        cache: bool | PathLike = True,
        workers: int | None = None,
    ) -> None:
        """Initialize a new OSFCR instance.

        Args:
            paths: Folder with the cloud-cover folders, the folder above, or several.
            split: ``'train'``, ``'val'`` or ``'test'``; None for all chips.
            split_by: How chips are parted: ``'published'`` as the authors do it, by
                ``'roi'``, or by ``'component'`` of overlapping chips. See
                :mod:`~torchgeo_tdpcr.datasets.chips.splits` for what leaks.
            bands: Sentinel-2 bands to read (defaults to all 13).
            layers: Layers to read, such as ``('s2_cloudy', 's1')`` for prediction. A
                chip that lacks one is left out. Defaults to all that the data have;
                ``cloud_thickness`` only if all chips have it.
            cover: Cloud-cover folders to read, such as ``'0-20%'`` (defaults to all).
            offset: What to subtract from Sentinel-2's digital numbers, 0 or 1000, or
                ``'auto'`` to find out per file.
            num_classes: Number of land-cover classes; other labels than 0 to this less
                one, and 255, are an error.
            class_names: Their names, for figures (defaults to ``'class 0'`` …).
            seed: Seed of the splits by ROI and by component.
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
            ValueError: If an argument is not one of its choices, or the split is empty.
        """
        covers = [cover] if isinstance(cover, str) else list(cover or COVERS)
        check_choices('split', [split], [None, *get_args(Split)])
        check_choices('split_by', [split_by], [*SPLITS])
        check_choices('cover', covers, COVERS)
        check_choices('missing', [missing], get_args(Missing))
        check_choices('corrupt', [corrupt], get_args(Missing))
        check_offset(offset)
        if not 1 <= num_classes <= 255:
            raise ValueError(f'`num_classes={num_classes}` must be in 1 to 255.')
        names = tuple(class_names or (f'class {i}' for i in range(num_classes)))
        if len(names) != num_classes:
            raise ValueError(
                f'`class_names` has {len(names)} names for `num_classes={num_classes}`. '
                'Give one for each class.'
            )
        self.paths = paths
        self.split = split
        self.class_names = names
        selected = check_bands(bands)
        layout = OSFCRLayout()

        table = gather(self, layout, paths, cache, workers)
        chosen = select_layers(table, layout, layers)
        placed = table[(table['filepath'] != '') & (table['fault'] == '')]
        if split is not None:
            # Parted before chips are left out, so that a chip is in the same part
            # whatever layers and covers are asked for
            rows = SPLITS[split_by](chip_frame(placed), seed)[split]
            part = placed.iloc[rows]
            if part.empty:
                raise ValueError(
                    f'`split={split!r}` is empty: the split by {split_by!r} leaves '
                    f'none of the {len(placed)} chips to it. '
                    + (
                        'It takes a tenth, rounded down, of the chips of each cover '
                        'that have all five published layers.'
                        if split_by == 'published'
                        else 'Add data.'
                    )
                )
            table = part
        table = table[table['cover'].isin(covers)]
        faults = find_faults(table, chosen, layout)
        table = table.assign(filepath=named_files(table, layout))
        usable = leave_out(table, faults, missing, verifiable=True)
        if usable.empty:
            what = f'Of {len(table)} chips none has all of {list(chosen)}.'
            raise not_found(self, what, layout.looked_for)
        if layers is None and (usable['cloud_thickness'] != '').all():
            chosen['cloud_thickness'] = layout.layers['cloud_thickness']
        self._set_up(
            usable,
            layers=chosen,
            crs=common_crs(placed),
            bands=selected,
            offset=None if offset == 'auto' else float(offset),
            num_classes=num_classes,
            transforms=transforms,
        )
        self._leave_out_corrupt(corrupt, cache, workers)


class OSFCRLayout(Layout):
    """``{cover}/{layer}/ROIs_{NN}_{infix}_p{K}.tif``, as LuojiaSET-OSFCR is laid out.

    Example:
        >>> OSFCRLayout().parse('ROIs_01_s1_p4.tif')
        (1, 4)
    """

    name = 'LuojiaSET-OSFCR'
    layers = OSFCR_LAYERS
    group = 'cover'
    references = ('s2_cloudy', 's2')
    looked_for = (
        "the folders '0-20%', '20%-40%', '40%-60%', '60%-80%' or '80%-100%', in each "
        "of them folders such as 's2_cloudy' and 's2', and in these files such as "
        "'ROIs_01_s2_cloudy_p4.tif'"
    )
    _name = re.compile(r'ROIs_?(\d+)_(?:.*_)?p(\d+)\.tiff?', re.IGNORECASE)

    def folders(self, root: Path) -> Iterator[Folder]:
        """Yield the layer folders of every cloud-cover folder of *root*."""
        for cover in COVERS:
            for layer in self.layers:
                if (path := root / cover / layer).is_dir():
                    yield Folder(path, layer, cover)

    def folder(self, root: Path, layer: str, group: str, roi: int) -> Folder:
        """Return the folder for one layer of a chip."""
        return Folder(root / group / layer, layer, group)

    def file_name(self, folder: Folder, roi: int, patch: int) -> str:
        """Return the name that the file of a chip should have."""
        return f'ROIs_{roi:02d}_{self.layers[folder.layer].infix}_p{patch}.tif'


def published_split(dataset: GeoDataset | GeoDataFrame) -> dict[Split, Rows]:
    """Part chips by the recipe of the authors of LuojiaSET-OSFCR.

    For each cloud-cover folder in ascending order: the files of its folder ``s2`` that
    match ``ROIs_*_s2_p*.tif``, sorted by name, where all five published layers are
    present, shuffled by one ``random.Random(42)`` that all folders share; of these the
    first ``int(0.8 n)`` train, the next ``int(0.1 n)`` validate, the others test.

    Published figures use it. It leaks: see :func:`overlap_area`.

    Args:
        dataset: OSFCR with all its chips, or its index.

    Returns:
        Rows of the index for ``'train'``, ``'val'`` and ``'test'``; chips that the
        recipe passes over are in none.
    """
    index = index_of(dataset)
    needed = [name for name, layer in OSFCR_LAYERS.items() if not layer.optional]
    if missing := [name for name in ('cover', *needed) if name not in index.columns]:
        raise ValueError(
            f'`dataset` lacks the columns {missing} in its index, but the published split '
            f"is of LuojiaSET-OSFCR. Use `split_by='roi'` or 'component' for others."
        )
    complete = np.logical_and.reduce([index[name].to_numpy() != '' for name in needed])
    names = [Path(path).name for path in index['s2']]
    listed = complete & [fnmatchcase(name, 'ROIs_*_s2_p*.tif') for name in names]
    covers = index['cover'].to_numpy()
    roots = index.get('root', index['cover'].str[:0]).to_numpy()
    parts: dict[Split, list[int]] = {'train': [], 'val': [], 'test': []}
    for root in dict.fromkeys(roots):
        rng = random.Random(42)
        for cover in COVERS:
            chosen = listed & (roots == root) & (covers == cover)
            rows = sorted(np.flatnonzero(chosen).tolist(), key=names.__getitem__)
            rng.shuffle(rows)
            train, val = int(0.8 * len(rows)), int(0.1 * len(rows))
            parts['train'] += rows[:train]
            parts['val'] += rows[train : train + val]
            parts['test'] += rows[train + val :]
    return {name: np.array(rows, dtype=np.int64) for name, rows in parts.items()}


#: Ways to part the chips, by the value of ``split_by``.
SPLITS: Mapping[SplitBy, Callable[[GeoDataFrame, int], dict[Split, Rows]]] = {
    'published': lambda index, seed: published_split(index),
    'roi': roi_split,
    'component': component_split,
}
