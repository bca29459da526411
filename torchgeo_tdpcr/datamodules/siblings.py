# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data modules of the data sets with other sensors: M3M-CR and WHU-OPT-SAR."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torchgeo.datasets.utils import Path

from ..datasets import M3MCR, WHUOPTSAR, ChipDataset
from ..datasets.m3mcr_layout import Resolution
from ..samplers import ChipSampler
from ..transforms import Sentinel1Denormalize, Sentinel1Normalize
from ..transforms.bands import QUANTIFICATION
from ..transforms.normalize import BandDenormalize, BandNormalize, SARClip
from .chips import ChipDataModule
from .resume import global_seed


class _SiblingDataModule(ChipDataModule):
    """Chips of a data set that has no validation part, and scaling of its own."""

    #: Layers that a prediction needs.
    predict_layers: tuple[str, ...] = ()

    def setup(self, stage: str) -> None:
        """Set up datasets and samplers.

        Args:
            stage: Either 'fit', 'validate', 'test', or 'predict'.
        """
        if stage == 'predict':
            self.predict_dataset = self._dataset(layers=self.predict_layers)
            self.predict_sampler = ChipSampler(self.predict_dataset)
        elif stage == 'fit' and not self.kwargs['val_share']:
            self.train_dataset = self._dataset(split='train')
            self.train_sampler = ChipSampler(
                self.train_dataset, shuffle=True, seed=global_seed()
            )
        else:
            super().setup(stage)


class M3MCRDataModule(_SiblingDataModule):
    """Data module of :class:`~torchgeo_tdpcr.datasets.M3MCR`.

    The scaling is that of the authors' public loader, and the same as for Sentinel-2 and
    Sentinel-1: digital numbers 0…10000 (reflectance 0…1) to [0, 1], VV from −25 and VH from
    −32.5 dB to 0.
    """

    predict_layers = ('planet_cloudy', 'S1')

    def __init__(
        self,
        paths: Path | Sequence[Path] = 'data',
        batch_size: int = 16,
        patch_size: int | None = None,
        num_workers: int = 0,
        resolution: Resolution = 'optical',
        bands: Sequence[str] | None = None,
        sar_clip: SARClip = 'joint',
        val_share: float = 0.1,
        **kwargs: Any,
    ) -> None:
        """Initialize a new M3MCRDataModule instance.

        Args:
            paths: Root folder of the data set, or several.
            batch_size: Number of crops in a training batch; a batch of whole samples has
                a quarter as many.
            patch_size: Height and width of the random training crops in pixels (defaults
                to 160, as in the authors' loader, or to 90 with ``resolution='sar'``).
            num_workers: Number of worker processes that read samples.
            resolution: Grid of the samples: ``'optical'`` (3 m) or ``'sar'`` (10 m).
            bands: Of ``'B'``, ``'G'``, ``'R'`` and ``'NIR'`` (defaults to all).
            sar_clip: Clip range of the SAR bands, see
                :class:`~torchgeo_tdpcr.transforms.Sentinel1Normalize`.
            val_share: Share of the training areas that validate; 0 to train with all,
                with ``trainer.limit_val_batches=0``.
            **kwargs: Further arguments of :class:`~torchgeo_tdpcr.datasets.M3MCR`.

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
            resolution=resolution,
            val_share=val_share,
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


class WHUOPTSARDataModule(_SiblingDataModule):
    """Data module of :class:`~torchgeo_tdpcr.datasets.WHUOPTSAR`.

    Digital numbers 0…255 become [0, 1], of optical and SAR images alike: the published
    files are 8-bit, and those who use them divide by 255.
    """

    predict_layers = ('optical', 'sar')

    def __init__(
        self,
        paths: Path | Sequence[Path] = 'data',
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
        **kwargs: Any,
    ) -> None:
        """Initialize a new WHUOPTSARDataModule instance.

        Args:
            paths: Root folder of the data set, or several.
            batch_size: Number of crops in a training batch; a batch of whole chips has
                a quarter as many.
            patch_size: Height and width of the random training crops in pixels (defaults
                to *size*: whole chips, flipped and rotated).
            num_workers: Number of worker processes that read chips.
            size: Height and width of a chip in pixels.
            stride: Pixels from a chip of a scene to the next (defaults to *size*).
            bands: Of ``'R'``, ``'G'``, ``'B'`` and ``'NIR'`` (defaults to all).
            optical_max: Digital number of the optical images that becomes 1; of other
                than 8-bit files it must be given.
            sar_max: Digital number of the SAR images that becomes 1, likewise.
            cover: Range that the cloud cover of a chip is drawn from.
            fresh_clouds: Whether a training chip gets new clouds in every epoch. They are
                drawn from torch's generator, so a run that is resumed in the middle of an
                epoch sees others than it would have seen. In validation and testing a
                chip always has the same clouds.
            val_share: Share of the training scenes that validate; 0 to train with all,
                with ``trainer.limit_val_batches=0``.
            **kwargs: Further arguments of :class:`~torchgeo_tdpcr.datasets.WHUOPTSAR`.

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
