# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data module of LuojiaSET-OSFCR."""

from collections.abc import Sequence
from typing import Any, Literal

from torchgeo.datasets.utils import Path

from ..datasets import OSFCR, SplitBy, SyntheticOSFCR
from ..datasets.chips.selection import Missing
from ..datasets.plausibility import check_offset
from ..transforms import Augment
from ..transforms.normalize import SARClip
from .chips import ChipDataModule


class OSFCRDataModule(ChipDataModule):
    """Data module of `torchgeo_tdpcr.datasets.OSFCR`."""

    def __init__(
        self,
        paths: Sequence[Path] | Path = 'data',
        batch_size: int = 16,
        patch_size: int = 128,
        num_workers: int = 0,
        bands: Sequence[str] | None = None,
        split_by: SplitBy = 'published',
        cover: str | Sequence[str] | None = None,
        offset: float | Literal['auto'] = 'auto',
        class_names: Sequence[str] | None = None,
        corrupt: Missing = 'error',
        sar_clip: SARClip | None = None,
        augment: Augment | None = 'chip',
        synthetic: bool = False,
        synthetic_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Initialize a new OSFCRDataModule instance.

        Args:
            paths: Root folder of the data set, or several.
            batch_size: Number of crops in a training batch; a batch of whole chips has
                a quarter as many.
            patch_size: Height and width of the random training crops in pixels.
            num_workers: Number of worker processes that read chips.
            bands: Names of the Sentinel-2 bands to read (defaults to those of the
                checkpoint in use, or else to all 13).
            split_by: How to split, see `torchgeo_tdpcr.datasets.OSFCR`:
                `'published'` as in published figures, which leaks, or `'roi'` or
                `'component'`, which do not.
            cover: Cloud-cover folders to read, such as `'0-20%'` (defaults to all).
            offset: What to subtract from Sentinel-2's digital numbers, 0 or 1000, or
                `'auto'` to find out per file.
            class_names: Names of the land-cover classes, for figures.
            sar_clip: Clip range of the SAR bands, see
                `torchgeo_tdpcr.transforms.Sentinel1Normalize` (defaults to that
                of the checkpoint in use, or else to `'joint'`).
            corrupt: Whether chips that cannot be read as they should be, such as those with
                NaN, are an `'error'` or left out: `'skip'`, see the dataset.
            augment: Flips and rotations of the training crops: `'chip'` to draw them for
                each chip, `'batch'` once for a whole batch, None for none; see
                `torchgeo_tdpcr.transforms.random_crop_flip_rotate`.
            synthetic: Whether to write a synthetic data set to `paths` first, unless it
                is there already.
            synthetic_args: Arguments of
                `torchgeo_tdpcr.datasets.SyntheticOSFCR`.
            **kwargs: Further arguments of `torchgeo_tdpcr.datasets.OSFCR`.

        Raises:
            ValueError: If a band, the split or the clip range is unknown, or
                `synthetic` is set with several `paths`.

        Example:
            >>> OSFCRDataModule(bands=['B4', 'B3', 'B2']).val_batch_size
            4
        """
        check_offset(offset)
        super().__init__(
            OSFCR,
            paths,
            batch_size,
            patch_size,
            num_workers,
            bands,
            sar_clip,
            augment,
            split_by=split_by,
            cover=cover,
            offset=offset,
            class_names=class_names,
            corrupt=corrupt,
            **kwargs,
        )
        if synthetic and not isinstance(paths, str) and isinstance(paths, Sequence):
            raise ValueError(
                f'`synthetic=True` writes to one folder, but `paths={paths!r}` has '
                f'{len(paths)}. Give one.'
            )
        self.synthetic = synthetic
        self.synthetic_args = synthetic_args or {}

    def prepare_data(self) -> None:
        """Write the synthetic data set, if asked to, and the index of the chips."""
        if self.synthetic:
            SyntheticOSFCR(self.kwargs['paths'], **self.synthetic_args).generate()
        self._dataset(layers=self.predict_layers, corrupt='error')
        if self.kwargs['corrupt'] == 'skip':
            # Before other processes would all read everything
            self._dataset()
