# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data modules over stored chips."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import torch
from matplotlib.figure import Figure
from torch import nn
from torch.utils.data import DataLoader, default_collate
from torchgeo.datamodules import GeoDataModule
from torchgeo.datasets.utils import Path, Sample

from ..datasets import ChipDataset
from ..input_record import InputRecord
from ..samplers import ChipSampler
from ..transforms import Augment, random_crop_flip_rotate
from ..transforms.normalize import SARClip
from .normalization import NormalizationMixin
from .resume import batch_seed, global_seed, resume_position


class ChipDataModule(NormalizationMixin, GeoDataModule):
    """Chips in batches: normalised, and augmented for training, on the device.

    Training sees a random crop, flipped and rotated, of every chip an epoch;
    validation, testing and prediction see whole chips. Of data sets without a part for
    validation, none is made where the argument ``val_share`` is 0.
    """

    #: Layers that a prediction needs.
    predict_layers: ClassVar[tuple[str, ...]] = ('s2_cloudy', 's1')

    def __init__(
        self,
        dataset_class: Callable[..., ChipDataset],
        paths: Sequence[Path] | Path,
        batch_size: int,
        patch_size: int,
        num_workers: int,
        bands: Sequence[str] | None,
        sar_clip: SARClip | None,
        augment: Augment | None = 'chip',
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
        # In a worker this one stacks into the memory that processes share; TorchGeo's
        # would have the batch copied there once more
        self.collate_fn = cast(Any, default_collate)
        # A whole chip has four times the pixels of a crop.
        self.val_batch_size = max(1, batch_size // 4)
        self.test_batch_size = self.predict_batch_size = self.val_batch_size

        self.augment = augment
        self.aug = self._set_input(bands, sar_clip)
        self._set_train_aug()

    def _set_train_aug(self) -> None:
        # Cropping first leaves fewer pixels to normalise.
        crop = random_crop_flip_rotate(cast(int, self.patch_size), self.augment)
        self.train_aug = nn.Sequential(crop, *self.aug)

    def adopt_input(self, record: InputRecord) -> bool:
        """Take from the input of a model what the user has not said.

        Args:
            record: What the model was trained with.

        Returns:
            Whether anything has changed, so that datasets must be set up anew.
        """
        changed = super().adopt_input(record)
        self._set_train_aug()
        return changed

    def setup(self, stage: str) -> None:
        """Set up datasets and samplers.

        Args:
            stage: Either 'fit', 'validate', 'test', or 'predict'.

        Raises:
            ValueError: If an argument contradicts what the model of the trainer was
                trained with.
        """
        self.meet_model(stage)
        if stage == 'fit':
            self.train_dataset = self._dataset(split='train')
            self.train_sampler = ChipSampler(
                self.train_dataset, shuffle=True, seed=global_seed()
            )
        alone = stage == 'fit' and self.kwargs.get('val_share') == 0
        if stage in ('fit', 'validate') and not alone:
            self.val_dataset = self._dataset(split='val')
            self.val_sampler = ChipSampler(self.val_dataset)
        if stage == 'test':
            self.test_dataset = self._dataset(split='test')
            self.test_sampler = ChipSampler(self.test_dataset)
        if stage == 'predict':
            self.predict_dataset = self._dataset(layers=self.predict_layers)
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
