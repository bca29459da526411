# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data module of WHU-OPT-SAR."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torchgeo.datasets.utils import Path

from ..datasets import WHUOPTSAR, ChipDataset
from ..transforms import Augment
from ..transforms.normalize import BandDenormalize, BandNormalize, SARClip
from .chips import ChipDataModule


class WHUOPTSARDataModule(ChipDataModule):
    """Data module of `torchgeo_tdpcr.datasets.WHUOPTSAR`.

    Digital numbers 0…255 become [0, 1], of optical and SAR images alike: the published
    files are 8-bit, and those who use them divide by 255.
    """

    predict_layers = ('optical', 'sar')

    def __init__(
        self,
        paths: Sequence[Path] | Path = 'data',
        batch_size: int = 16,
        patch_size: int | None = None,
        num_workers: int = 0,
        size: int = 256,
        stride: int | None = None,
        bands: Sequence[str] | None = None,
        optical_max: float = 255,
        sar_max: float = 255,
        cover: tuple[float, float] = (0.0, 1.0),
        fresh_clouds: bool = False,
        val_share: float = 0.1,
        augment: Augment | None = 'chip',
        **kwargs: Any,
    ) -> None:
        """Initialize a new WHUOPTSARDataModule instance.

        Args:
            paths: Root folder of the data set, or several.
            batch_size: Number of crops in a training batch; a batch of whole chips has
                a quarter as many.
            patch_size: Height and width of the random training crops in pixels (defaults
                to `size`: whole chips, flipped and rotated).
            num_workers: Number of worker processes that read chips.
            size: Height and width of a chip in pixels.
            stride: Pixels from a chip of a scene to the next (defaults to `size`).
            bands: Of `'R'`, `'G'`, `'B'` and `'NIR'` (defaults to all).
            optical_max: Digital number of the optical images that becomes 1; of other
                than 8-bit files it must be given.
            sar_max: Digital number of the SAR images that becomes 1, likewise.
            cover: Range that the cloud cover of a chip is drawn from.
            fresh_clouds: Whether a training chip gets new clouds in every epoch. They are
                drawn from torch's generator, so a run that is resumed in the middle of an
                epoch sees others than it would have seen. In validation and testing a
                chip always has the same clouds.
            val_share: Share of the training scenes that validate; 0 to train with all,
                with `trainer.limit_val_batches=0`.
            augment: Flips and rotations of the training crops: `'chip'` to draw them for
                each chip, `'batch'` once for a whole batch, None for none; see
                `torchgeo_tdpcr.transforms.random_crop_flip_rotate`.
            **kwargs: Further arguments of `torchgeo_tdpcr.datasets.WHUOPTSAR`.

        Example:
            >>> WHUOPTSARDataModule(size=128).patch_size
            128
        """
        self._limits = optical_max, sar_max
        self._fresh_clouds = fresh_clouds
        super().__init__(
            WHUOPTSAR,
            paths,
            batch_size,
            size if patch_size is None else patch_size,
            num_workers,
            bands,
            'joint',
            augment,
            size=size,
            stride=stride,
            optical_max=optical_max,
            sar_max=sar_max,
            cover=cover,
            val_share=val_share,
            **kwargs,
        )

    def _dataset(self, **kwargs: Any) -> ChipDataset:
        if kwargs.get('split') == 'train':
            kwargs['fresh_clouds'] = self._fresh_clouds
        return super()._dataset(**kwargs)

    def _set_normalization(
        self, bands: Sequence[str] | None, sar_clip: SARClip
    ) -> nn.Sequential:
        """Set up both directions; *sar_clip*, which is in dB, is of no use here."""
        names = WHUOPTSAR.all_bands if bands is None else tuple(bands)
        optical = [(0.0, float(self._limits[0]))] * len(names), names, 'image'
        sar = [(0.0, float(self._limits[1]))], ('SAR',), 'image_sar'
        self._denormalize = nn.Sequential(
            BandDenormalize(*optical), BandDenormalize(*sar)
        )
        return nn.Sequential(BandNormalize(*optical), BandNormalize(*sar))
