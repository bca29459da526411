# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""LuojiaSET-OSFCR: cloudy and clear Sentinel-2, Sentinel-1, land cover, cloud masks."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

from torchgeo.datasets.utils import Path, Sample

from ..transforms.bands import check_bands
from .chips.dataset import ChipDataset
from .chips.footprints import chip_frame, common_crs
from .chips.layout import COVERS, OSFCRLayout
from .chips.selection import (
    Missing,
    choose,
    gather,
    keep_usable,
    not_found,
    select_layers,
)
from .chips.splits import SPLITS, Split, SplitBy


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
        paths: Path | Iterable[Path] = 'data',
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
        transforms: Callable[[Sample], Sample] | None = None,
        cache: bool | Path = True,
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
            offset: What to subtract from Sentinel-2's digital numbers, or ``'auto'`` to
                find out per file.
            num_classes: Number of land-cover classes; other labels than 0 to this less
                one, and 255, are an error.
            class_names: Their names, for figures (defaults to ``'class 0'`` …).
            seed: Seed of the splits by ROI and by component.
            missing: What to do about chips that lack a layer or whose header is broken:
                ``'skip'`` them with a warning, or raise an ``'error'``.
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
        choose('split', [split], [None, *get_args(Split)])
        choose('split_by', [split_by], list(SPLITS))
        choose('cover', covers, list(COVERS))
        choose('missing', [missing], list(get_args(Missing)))
        if isinstance(offset, str) and offset != 'auto':
            raise ValueError(f"`offset={offset!r}` must be a number or 'auto'")
        if not 1 <= num_classes <= 255:
            raise ValueError(f'`num_classes={num_classes}` must be in 1 to 255')
        names = tuple(class_names or (f'class {i}' for i in range(num_classes)))
        if len(names) != num_classes:
            raise ValueError(
                f'`class_names` has {len(names)} names for `num_classes={num_classes}`'
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
        usable = keep_usable(table, chosen, layout, missing)
        if usable.empty:
            what = f'Of {len(table)} chips none has all of {list(chosen)}.'
            raise not_found(self, what, layout)
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
