# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Going from one phase to the next within a fit, and resuming in either."""

from typing import TYPE_CHECKING, Any

from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities import rank_zero_info

from .phases import Phase, Schedule, set_trainable
from .schedulers import fit_epochs
from .weights import Initial

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule as Base
else:
    Base = object


class PhaseSwitchMixin(Base):
    """Enter the phase that an epoch, or a checkpoint, belongs to."""

    hparams: Any
    model: Any
    schedule: Schedule
    phase: Phase
    weights: Initial | None

    def on_fit_start(self) -> None:
        """Check that the fit has what its phases need."""
        training = self.hparams['training']
        if training in ('peft', 'fpft') and not (
            self.weights or self.trainer.ckpt_path
        ):
            raise ValueError(
                f'`training={training!r}` goes on from Phase 1: give its checkpoint as '
                "`weights`, or choose 'joint' to train from scratch."
            )
        if len(self.schedule.phases) == 1:
            return
        max_epochs = self.trainer.max_epochs
        if max_epochs is not None and 0 <= max_epochs <= self.hparams['phase1_epochs']:
            raise ValueError(
                f'`phase1_epochs={self.hparams["phase1_epochs"]}` leaves no epoch of '
                f'`trainer.max_epochs={max_epochs}` to Phase 2. Raise the latter, or '
                "choose `training='cr'`."
            )
        if not isinstance(self.trainer.strategy, SingleDeviceStrategy | DDPStrategy):
            raise ValueError(
                f'{type(self.trainer.strategy).__name__} cannot change the trained '
                "parameters within a fit. Train the phases in two fits: `training='cr'`, "
                "then `training='peft'` with its checkpoint as `weights`."
            )

    def on_train_start(self) -> None:
        """Catch up with what a fit that is resumed at an epoch's last batch missed.

        Lightning goes on with the next epoch then, without the hook and the step of the
        learning rate that lie between the two.
        """
        self._enter_phase_of_epoch()
        first = self.first_epoch
        for config in self.trainer.lr_scheduler_configs:
            scheduler: Any = config.scheduler
            if config.interval == 'epoch' and not config.reduce_on_plateau:
                while scheduler.last_epoch < self.current_epoch - first:
                    scheduler.step()

    @property
    def first_epoch(self) -> int:
        """The epoch with which the phase begins."""
        return 0 if self.phase.number == 1 else self.hparams['phase1_epochs'] or 0

    @property
    def phase_epochs(self) -> int:
        """How many epochs the fit lets the phase last, less than 1 without an end."""
        epochs = fit_epochs(self.trainer)
        return self.schedule.epochs(self.phase, epochs) if epochs > 0 else epochs

    def on_train_epoch_start(self) -> None:
        """Enter the next phase when its first epoch begins."""
        self._enter_phase_of_epoch()
        self.log('phase', float(self.phase.number))

    def _enter_phase_of_epoch(self) -> None:
        phase = self.schedule.at(self.current_epoch)
        if phase == self.phase:
            return
        self._enter(phase)
        strategy = self.trainer.strategy
        if isinstance(strategy, DDPStrategy):
            # DDP fixes at wrapping time which gradients it waits for.
            strategy.model = self
            strategy.configure_ddp()
        # A new phase has a new optimizer; the moments of the old would carry over.
        strategy.setup_optimizers(self.trainer)
        rank_zero_info(f'Epoch {self.current_epoch}: {phase} begins.')

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        set_trainable(self.model, phase)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note the phase."""
        checkpoint['phase'] = self.phase.number

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Enter the phase that the checkpoint was saved in, before the optimizer."""
        number = checkpoint.get('phase', self.phase.number)
        for phase in self.schedule.phases:
            if phase.number == number:
                self._enter(phase)
