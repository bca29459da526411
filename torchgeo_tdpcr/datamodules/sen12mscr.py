# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data module of SEN12MS-CR."""

from collections.abc import Sequence
from typing import Any

from torchgeo.datasets.utils import Path

from ..datasets import SEN12MSCR
from ..datasets.chips.selection import Missing
from ..transforms import Augment
from ..transforms.normalize import SARClip
from .chips import ChipDataModule


class SEN12MSCRDataModule(ChipDataModule):
    """Data module of `torchgeo_tdpcr.datasets.SEN12MSCR` (Phase 1 only)."""

    def __init__(
        self,
        paths: Sequence[Path] | Path = 'data',
        batch_size: int = 16,
        patch_size: int = 128,
        num_workers: int = 0,
        bands: Sequence[str] | None = None,
        corrupt: Missing = 'error',
        sar_clip: SARClip | None = None,
        augment: Augment | None = 'chip',
        **kwargs: Any,
    ) -> None:
        """Initialize a new SEN12MSCRDataModule instance.

        Args:
            paths: Root folder of the data set, or several.
            batch_size: Number of crops in a training batch; a batch of whole chips has
                a quarter as many.
            patch_size: Height and width of the random training crops in pixels.
            num_workers: Number of worker processes that read chips.
            bands: Names of the Sentinel-2 bands to read (defaults to those of the
                checkpoint in use, or else to all 13).
            sar_clip: Clip range of the SAR bands, see
                `torchgeo_tdpcr.transforms.Sentinel1Normalize` (defaults to that
                of the checkpoint in use, or else to `'joint'`).
            corrupt: Whether chips that cannot be read as they should be, such as those with
                NaN, are an `'error'` or left out: `'skip'`, see the dataset.
            augment: Flips and rotations of the training crops: `'chip'` to draw them for
                each chip, `'batch'` once for a whole batch, None for none; see
                `torchgeo_tdpcr.transforms.random_crop_flip_rotate`.
            **kwargs: Further arguments of
                `torchgeo_tdpcr.datasets.SEN12MSCR`.

        Raises:
            ValueError: If a band or the clip range is unknown.
        """
        super().__init__(
            SEN12MSCR,
            paths,
            batch_size,
            patch_size,
            num_workers,
            bands,
            sar_clip,
            augment,
            corrupt=corrupt,
            **kwargs,
        )
