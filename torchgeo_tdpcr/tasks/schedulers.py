# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Learning-rate schedules by name, over the epochs of one phase."""

from typing import Any, Literal

from lightning.pytorch.cli import LRSchedulerCallable, ReduceLROnPlateau
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

#: ``'cosine'`` falls to 1 % of the learning rate over the phase; ``'multistep'`` halves
#: it at 60, 75 and 90 % of the phase; ``'plateau'`` divides it by 10 when the monitored
#: metric stops falling, as TorchGeo's tasks do.
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
        epochs: Epochs of the phase.
        patience: Epochs without improvement for ``'plateau'``.
        monitor: Metric that ``'plateau'`` watches.

    Returns:
        Lightning's scheduler configuration, or None for a constant learning rate.

    Raises:
        ValueError: If the name is unknown.
    """
    if scheduler is None:
        return None
    built: Any
    if scheduler == 'cosine':
        lr = optimizer.param_groups[0]['lr']
        built = CosineAnnealingLR(optimizer, T_max=epochs, eta_min=0.01 * lr)
    elif scheduler == 'multistep':
        milestones = [round(epochs * part) for part in (0.6, 0.75, 0.9)]
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
