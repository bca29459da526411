# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Figures of what the model does, drawn while it trains."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torchgeo.datasets.utils import Sample

from ..figures.predictions import predicted_sample
from ..figures.saving import save_figure


class PredictionFigures(Callback):
    """Draw samples of the first validation batch.

    Each figure shows the cloudy image, the radar image, the reconstruction, the truth,
    the label, the prediction and the prompt's first three principal components (Fig. 4
    of the paper), as far as there are such. A logger with ``add_figure``, such as
    TensorBoard's, gets them; with any other they are PNGs in ``figures/`` of its folder.

    Args:
        num_samples: Number of samples to draw.
        every_n_epochs: Draw after every so many epochs.

    Example:
        >>> PredictionFigures(num_samples=2).num_samples
        2
    """

    def __init__(self, num_samples: int = 2, every_n_epochs: int = 1) -> None:
        self.num_samples = num_samples
        self.every_n_epochs = every_n_epochs

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Sample,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the first batch.

        Args:
            trainer: The trainer.
            pl_module: The task.
            outputs: The task's outputs for the batch.
            batch: The batch.
            batch_idx: Index of the batch.
            dataloader_idx: Index of the dataloader.
        """
        datamodule: Any = getattr(trainer, 'datamodule', None)
        if (
            batch_idx
            or trainer.sanity_checking
            or not trainer.is_global_zero
            or trainer.logger is None
            or trainer.current_epoch % self.every_n_epochs
            or not hasattr(datamodule, 'denormalize')
        ):
            return
        for i in range(min(self.num_samples, len(batch['image']))):
            sample = datamodule.denormalize(predicted_sample(batch, outputs, i))
            figure = datamodule.plot(sample)
            if figure is not None:
                _log(trainer, f'validation/{i}', figure)


def _log(trainer: Trainer, name: str, figure: Figure) -> None:
    """Give a figure to the logger, or to its folder, and close it."""
    logger: Any = trainer.logger
    if hasattr(logger.experiment, 'add_figure'):
        logger.experiment.add_figure(name, figure, trainer.global_step)
    # Not `trainer.log_dir`, which waits for the other processes.
    elif folder := getattr(logger, 'log_dir', None) or logger.save_dir:
        stem = f'{name.replace("/", "-")}-epoch{trainer.current_epoch:03d}'
        save_figure(figure, Path(folder) / 'figures' / f'{stem}.png', dpi=100)
    plt.close(figure)
