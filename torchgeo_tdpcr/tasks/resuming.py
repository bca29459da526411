# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Going on with a fit exactly where a checkpoint left it.

Lightning tells from its counters where a fit was when it was saved, and guesses wrong at
the last batch of an epoch: it goes on, but with counters that do not fit together, so
that a resume from a checkpoint of that run repeats an epoch. Here the counters are read
once, and Lightning is given such as an uninterrupted fit would have had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from .metrics_file import writers
from .schedulers import check_resumed

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule as Base
else:
    Base = object

#: Where the counters lie in the state of Lightning's fit loop.
_EPOCHS = 'epoch_progress'
_BATCHES = 'epoch_loop.batch_progress'
_STATE = 'epoch_loop.state_dict'
_VALIDATION = 'epoch_loop.val_loop.batch_progress'
_STEPS = 'epoch_loop.automatic_optimization.optim_progress'


@dataclass(frozen=True, slots=True)
class Position:
    """Where a fit goes on.

    Args:
        epochs: Epochs that are done.
        batches: Batches of the next epoch that are done.
        total: Batches that are done over all epochs.
        steps: Steps of the optimizer that are done.
        last: Whether these were all batches of the epoch, but not yet its end.
        unvalidated: Whether a validation that was due after the last batch is not done.
    """

    epochs: int
    batches: int
    total: int
    steps: int
    last: bool = False
    unvalidated: bool = False

    @classmethod
    def of(cls, state: dict[str, Any], accumulated: int = 1) -> 'Position':
        """Read the state of Lightning's fit loop.

        Args:
            state: The state, from a checkpoint.
            accumulated: Batches of a step. Gradients are in no checkpoint, so those of
                a step that was not taken are computed again.
        """
        epochs: int = state[_EPOCHS]['current']['processed']
        batches = state[_BATCHES]['current']
        done: int = batches['processed']
        total: int = state[_BATCHES]['total']['processed']
        steps: int = state[_STEPS]['optimizer']['step']['total']['completed']
        # Saved by a callback at the end of a batch, before the batch was counted
        early = done > 0 and batches['completed'] < done and batches['ready'] == done
        if not state[_BATCHES]['is_last_batch']:
            again = done % accumulated
            return cls(epochs, done - again, total - again, steps, unvalidated=early)
        if early:
            return cls(epochs, done, total, steps, last=True, unvalidated=True)
        # After the validation at the epoch's end, or after the epoch: does it count?
        if total == (epochs + 1) * done:
            epochs += 1
        elif total != epochs * done:
            # Epochs were of various numbers of batches
            epochs = max(epochs, state[_EPOCHS]['current']['started'])
        return cls(epochs, 0, total, steps)

    @property
    def within(self) -> bool:
        """Whether an epoch is under way."""
        return self.batches > 0

    def as_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """The state of Lightning's fit loop for this position.

        Args:
            state: The state from the checkpoint, for all else.
        """
        begun = self.epochs + self.within
        counted = self.last or not self.within
        inner = state[_STATE] | {
            '_batches_that_stepped': self.steps - (self.within and not self.last)
        }
        return state | {
            _EPOCHS: _counters(begun, self.epochs, self.epochs),
            _BATCHES: {
                'current': _counts(self.batches, self.batches, self.batches),
                'total': _counts(self.total, self.total, self.total),
                'is_last_batch': self.last,
            }
            if counted
            else {
                # As at the end of a batch, since Lightning then looks no further back
                'current': _counts(self.batches, self.batches, self.batches - 1),
                'total': _counts(self.total, self.total, self.total - 1),
                'is_last_batch': False,
            },
            _STATE: inner,
            _VALIDATION: _counters(0, 0, 0) | {'is_last_batch': False},
        }


def _counts(begun: int, processed: int, completed: int) -> dict[str, int]:
    return {
        'ready': begun,
        'started': begun,
        'processed': processed,
        'completed': completed,
    }


def _counters(begun: int, processed: int, completed: int) -> dict[str, Any]:
    one = _counts(begun, processed, completed)
    return {'current': one, 'total': dict(one)}


class ResumeMixin(Base):
    """Ends with the weights of an uninterrupted fit, however often it is resumed."""

    _position: Position | None = None
    _saved: Mapping[str, Any] = MappingProxyType({})
    _schedulers: Sequence[dict[str, Any]] = ()
    phase_epochs: int

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what is needed to go on, besides what Lightning does."""
        super().on_save_checkpoint(checkpoint)
        if self._trainer is None or self.trainer.state.fn != TrainerFn.FITTING:
            return
        # What the learning rate, and callbacks, may depend on at the end of an epoch
        metrics = self.trainer.callback_metrics
        for writer in writers(self.trainer):
            writer.save()
        checkpoint['resume'] = {
            'metrics': {name: float(value) for name, value in metrics.items()},
            'batches': self.trainer.num_training_batches,
            'epochs': self.phase_epochs,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the counters of the fit, in place of Lightning."""
        super().on_load_checkpoint(checkpoint)
        if self._trainer is None or self.trainer.state.fn != TrainerFn.FITTING:
            return
        self._saved = checkpoint.get('resume', {})
        self._schedulers = checkpoint.get('lr_schedulers', ())
        loops = checkpoint.pop('loops', None)
        if loops is None:
            return
        trainer = self.trainer
        state = loops['fit_loop']
        self._position = Position.of(state, trainer.accumulate_grad_batches)
        loop: Any = trainer.fit_loop
        loop.load_state_dict(self._position.as_state(state))
        if not self._position.within:
            self._begin_epoch()

    def on_fit_start(self) -> None:
        """Check that the schedule of the learning rate can go on."""
        super().on_fit_start()
        saved, self._schedulers = self._schedulers, ()
        for config, state in zip(
            self.trainer.lr_scheduler_configs, saved, strict=False
        ):
            epochs = self.phase_epochs
            check_resumed(config.scheduler, state, epochs, self._saved.get('epochs'))

    def _begin_epoch(self) -> None:
        """Let the next epoch begin as any other."""
        loop: Any = self.trainer.fit_loop
        for inner in (loop, loop.epoch_loop, loop.epoch_loop.automatic_optimization):
            inner._restarting = False
        loop.reset_restart_stage()
        loop.epoch_loop.reset_restart_stage()

    def on_train_start(self) -> None:
        """Catch up with what lies between the checkpoint and the next batch."""
        position, self._position = self._position, None
        if position is None:
            super().on_train_start()
            return
        loop: Any = self.trainer.fit_loop
        self._restore_metrics()
        if position.within and not position.last:
            self._check_batches(position.batches)
        due = position.unvalidated and loop.epoch_loop._should_check_val_fx(
            loop._data_fetcher
        )
        if due:
            self._validate_first(position)
        elif position.last:
            position = Position(position.epochs + 1, 0, position.total, position.steps)
            loop.load_state_dict(position.as_state(loop.state_dict()))
            self._begin_epoch()
        for writer in writers(self.trainer):
            writer.kept_steps = position.steps
            writer.redone = 'val_' if due else None
        # Else Lightning leaves out the step of `'plateau'` at the end of this epoch
        loop._restarting = False
        super().on_train_start()
        if not due:
            self._step_plateaus()

    def _validate_first(self, position: Position) -> None:
        """Let Lightning go on with a validation that has not begun."""
        loop: Any = self.trainer.fit_loop
        inner = loop.epoch_loop
        inner.load_state_dict(
            {
                'batch_progress': {
                    'current': _counts(*[position.batches] * 3),
                    'total': _counts(*[position.total] * 3),
                    'is_last_batch': position.last,
                },
                'val_loop.batch_progress': _counters(1, 0, 0)
                | {'is_last_batch': False},
                # counted after the validation
                'state_dict': {'_batches_that_stepped': position.steps - 1},
            }
        )
        inner.update_restart_stage()

    def _restore_metrics(self) -> None:
        """Let callbacks and schedulers see the metrics that they saw."""
        device = self.device
        connector: Any = self.trainer._logger_connector
        for name, value in self._saved.get('metrics', {}).items():
            connector._callback_metrics[name] = torch.tensor(value, device=device)

    def _step_plateaus(self) -> None:
        """Take the step of a scheduler that a checkpoint of an epoch's end precedes."""
        trainer = self.trainer
        first = getattr(self, 'first_epoch', 0)
        for config in trainer.lr_scheduler_configs:
            scheduler: Any = config.scheduler
            if not config.reduce_on_plateau or config.interval != 'epoch':
                continue
            known = trainer.callback_metrics.get(config.monitor or '')
            behind = scheduler.last_epoch < trainer.current_epoch - first
            if behind and known is not None:
                self.lr_scheduler_step(scheduler, known)

    def _check_batches(self, done: int) -> None:
        """Compare the number of batches an epoch with that of the checkpoint."""
        before, now = self._saved.get('batches'), self.trainer.num_training_batches
        if done >= now:
            raise ValueError(
                f'The checkpoint was saved after {done} batches of an epoch, which has '
                f'{now} batches now. Give the batch size, the devices and the limits '
                "that it was saved with, or a checkpoint of an epoch's end."
            )
        if before not in (None, now):
            rank_zero_warn(
                f'The checkpoint was saved in the middle of an epoch of {before} '
                f'batches, which has {now} now: the rest of this epoch is other data '
                'than it would have been.'
            )
