# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The optimizer of a phase and its schedule: the common ones, or a model's own."""

import inspect
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.cli import LRSchedulerCallable
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import AdamW

from ..models import Recipe
from .phases import Phase, Schedule
from .schedulers import Scheduler, build_scheduler
from .weights import HEAD

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
            groups = _groups(trainable, lr, self.hparams['head_lr_factor'])
            decay = self.hparams['weight_decay']
            optimizer = AdamW(groups, lr=lr, weight_decay=decay)
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
        rates = ('lr', 'lr_phase2', 'head_lr_factor')
        unused = [
            f'`{name}={given[name]!r}`'
            for name in (*rates, 'weight_decay', 'scheduler')
            if name in usual and given[name] != usual[name].default
        ]
        if unused:
            rank_zero_warn(
                f'{", ".join(unused)} {"does" if len(unused) == 1 else "do"} nothing '
                "with `recipe='own'`, which has its own optimizer and schedule. For "
                "yours with the losses of the paper give `recipe='losses'`."
            )


def _groups(
    trainable: list[tuple[str, nn.Parameter]], lr: float, head_factor: float
) -> list[dict[str, Any]]:
    """Parameters by their learning rate; one group where all have the same."""
    if head_factor == 1:
        return [{'params': [p for _, p in trainable], 'lr': lr}]
    head = [p for name, p in trainable if name.startswith(HEAD)]
    others = [p for name, p in trainable if not name.startswith(HEAD)]
    groups = ({'params': others, 'lr': lr}, {'params': head, 'lr': lr * head_factor})
    return [group for group in groups if group['params']]
