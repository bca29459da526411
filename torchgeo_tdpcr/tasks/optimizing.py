# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The optimizer of a phase and its schedule: the common ones, or a model's own."""

import inspect
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.cli import LRSchedulerCallable
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.optim import AdamW

from ..models import Recipe
from .phases import Phase, Schedule
from .schedulers import Scheduler, build_scheduler

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule as Base
else:
    Base = object


class OptimizerMixin(Base):
    """Set up what changes the weights."""

    hparams: Any
    model: Any
    monitor: str
    phase: Phase
    phase_epochs: int
    recipe: Recipe | None
    schedule: Schedule
    scheduler: Scheduler | LRSchedulerCallable | None

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Set up the optimizer of what the phase trains, and its schedule.

        Returns:
            Optimizer and learning rate scheduler.
        """
        trainable = [
            (n, p) for n, p in self.model.named_parameters() if p.requires_grad
        ]
        own = self.recipe if self.hparams['recipe'] == 'own' else None
        if own is not None:
            self._say_what_is_unused()
            optimizer = own.build_optimizer(trainable)
        else:
            lr = self.hparams['lr']
            if self.phase != self.schedule.phases[0] and self.hparams['lr_phase2']:
                lr = self.hparams['lr_phase2']
            decay = self.hparams['weight_decay']
            optimizer = AdamW([p for _, p in trainable], lr=lr, weight_decay=decay)
        scheduler = build_scheduler(
            self.scheduler if own is None else own.scheduler,
            optimizer,
            self.phase_epochs,
            self.hparams['patience'],
            self.monitor,
        )
        configured: Any = {'optimizer': optimizer}
        if scheduler is not None:
            if own is not None:
                scheduler['interval'] = own.interval
            configured['lr_scheduler'] = scheduler
        return cast(OptimizerLRScheduler, configured)

    def _say_what_is_unused(self) -> None:
        """Warn of arguments whose place a model's own recipe takes."""
        usual = inspect.signature(type(self).__init__).parameters
        given = {**self.hparams, 'scheduler': self.scheduler}
        unused = [
            f'`{name}={given[name]!r}`'
            for name in ('lr', 'lr_phase2', 'weight_decay', 'scheduler')
            if name in usual and given[name] != usual[name].default
        ]
        if unused:
            rank_zero_warn(
                f'{", ".join(unused)} {"does" if len(unused) == 1 else "do"} nothing '
                "with `recipe='own'`, which has its own optimizer and schedule. For "
                "yours with the losses of the paper give `recipe='losses'`."
            )
