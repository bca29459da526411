# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Learning-rate schedules by name, over the epochs of one phase."""

import inspect
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LRSchedulerCallable, ReduceLROnPlateau
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

#: ``'cosine'`` falls to 1 % of the learning rate over the phase; ``'multistep'`` halves
#: it at 60, 75, 85, 90 and 95 % of the phase; ``'plateau'`` divides it by 10 when the
#: monitored metric stops falling, as TorchGeo's tasks do.
Scheduler = Literal['cosine', 'multistep', 'plateau']


def build_scheduler(
    scheduler: Scheduler | LRSchedulerCallable | None,
    optimizer: Optimizer,
    epochs: int,
    patience: int,
    monitor: str,
) -> dict[str, Any] | None:
    """Build the scheduler of a phase as Lightning takes it.

    Args:
        scheduler: Name of a schedule, or a callable from optimizer to scheduler.
        optimizer: The phase's optimizer.
        epochs: Epochs of the phase, less than 1 where it has no end.
        patience: Epochs without improvement for ``'plateau'``.
        monitor: Metric that ``'plateau'`` watches.

    Returns:
        Lightning's scheduler configuration, or None for a constant learning rate.

    Raises:
        ValueError: If the name is unknown, or the schedule needs a length and has none.
    """
    if scheduler is None:
        return None
    built: Any
    if scheduler in ('cosine', 'multistep') and epochs < 1:
        raise ValueError(
            f'`scheduler={scheduler!r}` runs over the whole fit, which has no end. Give '
            '`trainer.max_epochs` or `trainer.max_steps`, or choose another.'
        )
    if scheduler == 'cosine':
        lr = optimizer.param_groups[0]['lr']
        built = CosineAnnealingLR(optimizer, T_max=epochs, eta_min=0.01 * lr)
    elif scheduler == 'multistep':
        milestones = [round(epochs * part) for part in (0.6, 0.75, 0.85, 0.9, 0.95)]
        built = MultiStepLR(optimizer, milestones, gamma=0.5)
    elif scheduler == 'plateau':
        built = ReduceLROnPlateau(optimizer, monitor=monitor, patience=patience)
    elif callable(scheduler):
        built = scheduler(optimizer)
    else:
        raise ValueError(
            f"`scheduler={scheduler!r}`: choose 'cosine', 'multistep', 'plateau', None, "
            'or give a callable that takes the optimizer.'
        )
    config: dict[str, Any] = {'scheduler': built}
    if isinstance(built, ReduceLROnPlateau):
        config['monitor'] = built.monitor
    return config


def fit_epochs(trainer: Trainer) -> int:
    """How many epochs a fit lasts, by its number of epochs or of steps.

    Args:
        trainer: The trainer of the fit.

    Returns:
        The number of epochs, the last perhaps begun only; -1 without an end.
    """
    epochs = -1 if trainer.max_epochs is None else trainer.max_epochs
    if trainer.max_steps == -1:
        return epochs
    trainer.fit_loop.setup_data()
    batches = trainer.num_training_batches
    if math.isinf(batches) or batches < 1:
        return epochs
    an_epoch = math.ceil(batches / trainer.accumulate_grad_batches)
    by_steps = math.ceil(trainer.max_steps / an_epoch)
    return by_steps if epochs < 0 else min(epochs, by_steps)


def check_resumed(
    built: Any, saved: Mapping[str, Any], epochs: int, epochs_before: int | None
) -> None:
    """Check a scheduler against the state that it is about to take over.

    That state has the arguments of the scheduler in it, which win over those of this
    fit.

    Args:
        built: The scheduler, as this fit has built it.
        saved: The state of the scheduler in the checkpoint.
        epochs: Epochs that this fit lets the phase last.
        epochs_before: Epochs that the fit of the checkpoint let it last, None where that
            is not known.

    Raises:
        ValueError: If the learning rate would climb again at the end of a cosine.
    """
    for inner, state in zip(
        getattr(built, '_schedulers', ()), saved.get('_schedulers', ()), strict=False
    ):
        check_resumed(inner, state, epochs, epochs_before)
    end = saved.get('T_max')
    if isinstance(built, CosineAnnealingLR) and end is not None:
        # Where it was to last beyond its end from the first, waves are what was wanted
        longer = built.T_max != end if epochs_before is None else epochs_before <= end
        if longer and not 0 <= epochs <= end:
            raise ValueError(
                f'This fit would last {epochs} epochs (`trainer.max_epochs`, less those '
                f'of Phase 1), but the cosine schedule of the checkpoint ends after '
                f'{end}: the learning rate would climb again. Resume with the length '
                'that the fit was begun with; or start a new fit, or Phase 2, with the '
                'checkpoint as `weights`.'
            )
    names = set(inspect.signature(type(built).__init__).parameters) & set(saved)
    for name in sorted(names - {'last_epoch', 'lr_lambda', 'verbose', 'T_max'}):
        ours = getattr(built, name, saved[name])
        if ours != saved[name]:
            rank_zero_warn(
                f'The learning rate goes on by the schedule of the checkpoint, with '
                f'`{name}={_shown(saved[name])}`, not {_shown(ours)}. For another '
                'schedule start a new fit with the checkpoint as `weights`.'
            )


def _shown(value: Any) -> Any:
    """An argument as a user writes it; a MultiStepLR counts its milestones."""
    return sorted(value.elements()) if isinstance(value, Counter) else value
