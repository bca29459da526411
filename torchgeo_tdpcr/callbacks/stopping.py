# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A fit that is asked to end says so, and how to go on."""

import os
import sys
from typing import Any

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from ..signals import Terminated, end_on_sigterm


class StopOnSigterm(Callback):
    """SIGTERM ends fit, validation, test and prediction as Ctrl-C does.

    Lightning ends a fit after the current batch, with status 0, and everything else at
    its end. With this callback, which :class:`~torchgeo_tdpcr.tasks.TDPCRTask` adds,
    they end at once with status 143 and a line on how to go on. Under Slurm, where
    Lightning queues the job again, it is left to Lightning.
    """

    def _listen(self, trainer: Trainer, *_: Any) -> None:
        connector: Any = trainer._accelerator_connector
        environment = connector.cluster_environment
        if not (isinstance(environment, SLURMEnvironment) and environment.auto_requeue):
            # In place of Lightning's, which has been set when these hooks are called;
            # Lightning restores what was there before
            end_on_sigterm()

    def on_sanity_check_start(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> None:
        """Listen before the sanity check."""
        self._listen(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen in a fit."""
        self._listen(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen in a validation of its own."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._listen(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen in a test."""
        self._listen(trainer)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen in a prediction."""
        self._listen(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Say how to go on."""
        if not isinstance(exception, Terminated | KeyboardInterrupt):
            return
        launcher: Any = trainer.strategy.launcher
        if isinstance(exception, Terminated) and hasattr(launcher, 'procs'):
            # The other processes of the fit wait for this one. Lightning does the same
            # on Ctrl-C
            for process in launcher.procs:
                process.kill()
        if not trainer.is_global_zero:
            return
        how = 'SIGTERM' if isinstance(exception, Terminated) else 'Ctrl-C'
        print(f'Ended by {how}{_how_to_go_on(trainer)}', file=sys.stderr, flush=True)


def _how_to_go_on(trainer: Trainer) -> str:
    if trainer.state.fn != TrainerFn.FITTING:
        return '.'
    where = f' in epoch {trainer.current_epoch}, after {trainer.global_step} steps'
    kept = [
        path
        for callback in trainer.checkpoint_callbacks
        if isinstance(callback, ModelCheckpoint)
        for path in (
            callback._last_checkpoint_saved,
            callback.last_model_path,
            callback.best_model_path,
        )
        if path
    ]
    newest = max(kept, key=_modified, default=str(trainer.ckpt_path or ''))
    if not newest:
        return f'{where}. No checkpoint was saved yet: start the same command again.'
    return f"{where}. To go on: the same command with `--ckpt_path '{newest}'`."


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
