# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a prediction on the command line is for."""

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.utilities.rank_zero import rank_zero_warn


def warn_if_unwritten(trainer: Trainer) -> None:
    """Warn if the command line predicted, and nothing was written.

    Programs get the predictions back from :meth:`~lightning.pytorch.Trainer.predict`;
    the command line throws them away.

    Args:
        trainer: The trainer, at the end of a prediction.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    written = any(isinstance(callback, BasePredictionWriter) for callback in callbacks)
    # Only the command line has this callback
    if not written and any(isinstance(c, SaveConfigCallback) for c in callbacks):
        rank_zero_warn(
            'Nothing was written: predictions take a callback. Add `--trainer.callbacks '
            'SceneWriter --trainer.callbacks.output_dir FOLDER` for GeoTIFFs.'
        )
