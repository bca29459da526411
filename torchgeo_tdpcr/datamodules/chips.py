# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data modules over stored chips."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import torch
from matplotlib.figure import Figure
from torch import nn
from torch.utils.data import DataLoader
from torchgeo.datamodules import GeoDataModule
from torchgeo.datasets.utils import Path, Sample

from ..datasets import OSFCR, SEN12MSCR, ChipDataset, SplitBy, SyntheticOSFCR
from ..samplers import ChipSampler
from ..transforms import random_crop_flip_rotate
from ..transforms.normalize import SARClip
from .normalization import NormalizationMixin
from .resume import batch_seed, global_seed, resume_position

#: Layers that a prediction needs.
PREDICT_LAYERS = ('s2_cloudy', 's1')


class ChipDataModule(NormalizationMixin, GeoDataModule):
    """Chips in batches: normalised, and augmented for training, on the device.

    Training sees a random 128×128 crop, flipped and rotated, of every chip an epoch;
    validation, testing and prediction see whole chips.
    """

    def __init__(
        self,
        dataset_class: Callable[..., ChipDataset],
        paths: Path | Sequence[Path],
        batch_size: int,
        patch_size: int,
        num_workers: int,
        bands: Sequence[str] | None,
        sar_clip: SARClip,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            cast(Any, dataset_class),
            batch_size=batch_size,
            patch_size=patch_size,
            length=None,
            num_workers=num_workers,
            paths=paths,
            bands=bands,
            **kwargs,
        )
        # A whole chip has four times the pixels of a crop.
        self.val_batch_size = max(1, batch_size // 4)
        self.test_batch_size = self.predict_batch_size = self.val_batch_size

        self.aug = self._set_normalization(bands, sar_clip)
        # Cropping first leaves fewer pixels to normalise.
        self.train_aug = nn.Sequential(random_crop_flip_rotate(patch_size), *self.aug)

    def setup(self, stage: str) -> None:
        """Set up datasets and samplers.

        Args:
            stage: Either 'fit', 'validate', 'test', or 'predict'.
        """
        if stage == 'fit':
            self.train_dataset = self._dataset(split='train')
            self.train_sampler = ChipSampler(
                self.train_dataset, shuffle=True, seed=global_seed()
            )
        if stage in ('fit', 'validate'):
            self.val_dataset = self._dataset(split='val')
            self.val_sampler = ChipSampler(self.val_dataset)
        if stage == 'test':
            self.test_dataset = self._dataset(split='test')
            self.test_sampler = ChipSampler(self.test_dataset)
        if stage == 'predict':
            self.predict_dataset = self._dataset(layers=PREDICT_LAYERS)
            self.predict_sampler = ChipSampler(self.predict_dataset)

    def _dataset(self, **kwargs: Any) -> ChipDataset:
        dataset: Any = self.dataset_class
        return cast(ChipDataset, dataset(**{**self.kwargs, **kwargs}))

    def train_dataloader(self) -> DataLoader[Sample]:
        """Training data, from where a resumed fit broke off.

        Returns:
            The data loader.

        Raises:
            ValueError: If there are fewer chips than a batch holds.
        """
        assert self.train_sampler is not None
        if len(self.train_sampler) < self.batch_size:
            raise ValueError(
                f'`batch_size={self.batch_size}` is more than the '
                f'{len(self.train_sampler)} training chips in '
                f'`paths={self.kwargs["paths"]!r}`. Choose a smaller one.'
            )
        sampler = cast(ChipSampler, self.train_sampler)
        epoch, batches = resume_position(self.trainer)
        sampler.set_epoch(epoch)
        sampler.start = batches * self.batch_size
        return super().train_dataloader()

    def _dataloader_factory(self, split: str) -> DataLoader[Sample]:
        return DataLoader(
            dataset=self._valid_attribute(f'{split}_dataset'),
            batch_size=self._valid_attribute(f'{split}_batch_size', 'batch_size'),
            sampler=self._valid_attribute(f'{split}_sampler'),
            num_workers=self.num_workers,
            collate_fn=self.collate_fn,
            drop_last=split == 'train',
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def on_after_batch_transfer(self, batch: Sample, dataloader_idx: int) -> Sample:
        """Augment and normalise a batch on its device.

        Args:
            batch: A batch in digital numbers and dB.
            dataloader_idx: Index of the dataloader.

        Returns:
            The batch with its images in [0, 1]; in training without where it lies, which
            cropping and flipping change.
        """
        trainer = self.trainer
        if trainer is None or not trainer.training:
            return super().on_after_batch_transfer(batch, dataloader_idx)
        size = min(batch['image'].shape[-2:])
        if size < cast(int, self.patch_size):
            # kornia would enlarge the chips, and mix the labels
            raise ValueError(
                f'`patch_size={self.patch_size}` is larger than the chips, which are '
                f'{size} pixels. Choose at most that.'
            )
        for key in ('bounds', 'transform', 'epsg'):
            batch.pop(key, None)
        with batch_seed(trainer):
            return super().on_after_batch_transfer(batch, dataloader_idx)

    def plot(self, *args: Any, **kwargs: Any) -> Figure | None:
        """Plot a sample as the dataset does.

        Args:
            *args: Arguments of the dataset's ``plot``: a sample in digital numbers.
            **kwargs: Keyword arguments of the dataset's ``plot``.

        Returns:
            The figure, or None before any setup.
        """
        for dataset in (self.val_dataset, self.test_dataset, self.predict_dataset):
            if dataset is not None:
                return cast(ChipDataset, dataset).plot(*args, **kwargs)
        return None


class OSFCRDataModule(ChipDataModule):
    """Data module of :class:`~torchgeo_tdpcr.datasets.OSFCR`."""

    def __init__(
        self,
        paths: Path | Sequence[Path] = 'data',
        batch_size: int = 16,
        patch_size: int = 128,
        num_workers: int = 0,
        bands: Sequence[str] | None = None,
        split_by: SplitBy = 'published',
        cover: str | Sequence[str] | None = None,
        offset: float | Literal['auto'] = 'auto',
        class_names: Sequence[str] | None = None,
        sar_clip: SARClip = 'joint',
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
            bands: Names of the Sentinel-2 bands to read, or None for all 13.
            split_by: How to split, see :class:`~torchgeo_tdpcr.datasets.OSFCR`:
                ``'published'`` as in published figures, which leaks, or ``'roi'`` or
                ``'component'``, which do not.
            cover: Cloud-cover folders to read, such as ``'0-20%'`` (defaults to all).
            offset: What to subtract from Sentinel-2's digital numbers, or ``'auto'`` to
                find out per file.
            class_names: Names of the land-cover classes, for figures.
            sar_clip: Clip range of the SAR bands, see
                :class:`~torchgeo_tdpcr.transforms.Sentinel1Normalize`.
            synthetic: Whether to write a synthetic data set to *paths* first, unless it
                is there already.
            synthetic_args: Arguments of
                :class:`~torchgeo_tdpcr.datasets.SyntheticOSFCR`.
            **kwargs: Further arguments of :class:`~torchgeo_tdpcr.datasets.OSFCR`.

        Raises:
            ValueError: If a band, the split or the clip range is unknown, or
                *synthetic* is set with several *paths*.

        Example:
            >>> OSFCRDataModule(bands=['B4', 'B3', 'B2']).val_batch_size
            4
        """
        super().__init__(
            OSFCR,
            paths,
            batch_size,
            patch_size,
            num_workers,
            bands,
            sar_clip,
            split_by=split_by,
            cover=cover,
            offset=offset,
            class_names=class_names,
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
        self._dataset(layers=PREDICT_LAYERS)


class SEN12MSCRDataModule(ChipDataModule):
    """Data module of :class:`~torchgeo_tdpcr.datasets.SEN12MSCR` (Phase 1 only)."""

    def __init__(
        self,
        paths: Path | Sequence[Path] = 'data',
        batch_size: int = 16,
        patch_size: int = 128,
        num_workers: int = 0,
        bands: Sequence[str] | None = None,
        sar_clip: SARClip = 'joint',
        **kwargs: Any,
    ) -> None:
        """Initialize a new SEN12MSCRDataModule instance.

        Args:
            paths: Root folder of the data set, or several.
            batch_size: Number of crops in a training batch; a batch of whole chips has
                a quarter as many.
            patch_size: Height and width of the random training crops in pixels.
            num_workers: Number of worker processes that read chips.
            bands: Names of the Sentinel-2 bands to read, or None for all 13.
            sar_clip: Clip range of the SAR bands, see
                :class:`~torchgeo_tdpcr.transforms.Sentinel1Normalize`.
            **kwargs: Further arguments of
                :class:`~torchgeo_tdpcr.datasets.SEN12MSCR`.

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
            **kwargs,
        )
