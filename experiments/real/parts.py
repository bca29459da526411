# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A data module whose training and test chips are told apart by name."""

from typing import Any

from torchgeo_tdpcr import ChipSampler, OSFCRDataModule
from torchgeo_tdpcr.datamodules.resume import global_seed


class PartsDataModule(OSFCRDataModule):
    """Train on some chips of a folder, test on the others."""

    def __init__(self, train: str, **kwargs: Any) -> None:
        """Initialize a new PartsDataModule instance.

        Args:
            train: Query over the columns of the index, such as ``'roi % 2'``, that is
                true for the training chips.
            **kwargs: Arguments of OSFCRDataModule.
        """
        super().__init__(**kwargs)
        self.train = train
        self.val_batch_size = self.test_batch_size = self.predict_batch_size = 1

    def setup(self, stage: str) -> None:
        """Part the chips.

        Args:
            stage: Stage of the trainer.
        """
        dataset = self._dataset()
        chosen = dataset.index.eval(self.train).to_numpy().astype(bool)
        self.train_dataset = dataset.subset(chosen.nonzero()[0])
        self.test_dataset = dataset.subset((~chosen).nonzero()[0])
        self.train_sampler = ChipSampler(
            self.train_dataset, shuffle=True, seed=global_seed()
        )
        self.val_dataset = self.test_dataset
        self.val_sampler = self.test_sampler = ChipSampler(self.test_dataset)
