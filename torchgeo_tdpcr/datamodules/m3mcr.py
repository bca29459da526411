# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data module of M3M-CR."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torchgeo.datasets.utils import Path

from ..datasets import M3MCR
from ..datasets.chips.selection import Missing
from ..datasets.m3mcr import Resolution
from ..transforms import Augment, Sentinel1Denormalize, Sentinel1Normalize
from ..transforms.bands import QUANTIFICATION
from ..transforms.normalize import BandDenormalize, BandNormalize, SARClip
from .chips import ChipDataModule


class M3MCRDataModule(ChipDataModule):
    """Data module of `torchgeo_tdpcr.datasets.M3MCR`.

    The scaling is that of the authors' public loader, and the same as for Sentinel-2 and
    Sentinel-1: digital numbers 0…10000 (reflectance 0…1) to [0, 1], VV from −25 and VH from
    −32.5 dB to 0.
    """

    predict_layers = ('planet_cloudy', 'S1')

    def __init__(
        self,
        paths: Sequence[Path] | Path = 'data',
        batch_size: int = 16,
        patch_size: int | None = None,
        num_workers: int = 0,
        resolution: Resolution = 'optical',
        bands: Sequence[str] | None = None,
        sar_clip: SARClip | None = None,
        val_share: float = 0.1,
        corrupt: Missing = 'error',
        augment: Augment | None = 'chip',
        **kwargs: Any,
    ) -> None:
        """Initialize a new M3MCRDataModule instance.

        Args:
            paths: Root folder of the data set, or several.
            batch_size: Number of crops in a training batch; a batch of whole samples has
                a quarter as many.
            patch_size: Height and width of the random training crops in pixels (defaults
                to 160, as in the authors' loader, or to 90 with `resolution='sar'`).
            num_workers: Number of worker processes that read samples.
            resolution: Grid of the samples: `'optical'` (3 m) or `'sar'` (10 m).
            bands: Of `'B'`, `'G'`, `'R'` and `'NIR'` (defaults to all).
            sar_clip: Clip range of the SAR bands, see
                `torchgeo_tdpcr.transforms.Sentinel1Normalize` (defaults to that
                of the checkpoint in use, or else to `'joint'`).
            val_share: Share of the training areas that validate; 0 to train with all,
                with `trainer.limit_val_batches=0`.
            corrupt: Whether chips that cannot be read as they should be, such as those with
                NaN, are an `'error'` or left out: `'skip'`, see the dataset.
            augment: Flips and rotations of the training crops: `'chip'` to draw them for
                each chip, `'batch'` once for a whole batch, None for none; see
                `torchgeo_tdpcr.transforms.random_crop_flip_rotate`.
            **kwargs: Further arguments of `torchgeo_tdpcr.datasets.M3MCR`.

        Raises:
            ValueError: If the clip range is unknown.

        Example:
            >>> M3MCRDataModule(resolution='sar').patch_size
            90
        """
        if patch_size is None:
            patch_size = 90 if resolution == 'sar' else 160
        super().__init__(
            M3MCR,
            paths,
            batch_size,
            patch_size,
            num_workers,
            bands,
            sar_clip,
            augment,
            resolution=resolution,
            val_share=val_share,
            corrupt=corrupt,
            **kwargs,
        )

    def prepare_data(self) -> None:
        """Write the index of the samples, if it is to be kept."""
        if self.kwargs.get('cache', True) is not False:
            self._dataset()

    def _set_normalization(
        self, bands: Sequence[str] | None, sar_clip: SARClip
    ) -> nn.Sequential:
        """Set up both directions; returns the transform of a batch."""
        names = M3MCR.all_bands if bands is None else tuple(bands)
        optical = [(0.0, float(QUANTIFICATION))] * len(names), names, 'image'
        self._denormalize = nn.Sequential(
            BandDenormalize(*optical), Sentinel1Denormalize(sar_clip)
        )
        return nn.Sequential(BandNormalize(*optical), Sentinel1Normalize(sar_clip))
