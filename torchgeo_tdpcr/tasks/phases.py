# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The training protocols of the paper as sequences of phases.

Phase 1 trains for reconstruction alone (Eq. 11). Phase 2 trains both outputs (Eq. 12):
parameter-efficiently (PEFT, only prompt generator, fusion and segmentation decoder), or
every parameter (full-parameter fine-tuning, FPFT). Joint training is Phase 2 with every
parameter from scratch. Table III-B of the paper compares the three.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

#: What to train: Phase 1; Phase 2 from a Phase 1 checkpoint, in either way; both from
#: scratch; both phases in one fit; or land cover alone.
Training = Literal['cr', 'peft', 'fpft', 'joint', 'cr+peft', 'cr+fpft', 'lcs']


@dataclass(frozen=True, slots=True)
class Phase:
    """What one phase trains.

    Args:
        number: 1 or 2.
        segments: Whether the joint loss is used (Eq. 12) rather than Eq. 11 alone.
        efficient: Whether only the task modules are trained.
        restores: Whether the model is to reconstruct the image at all.
    """

    number: int
    segments: bool
    efficient: bool = False
    restores: bool = True

    def __str__(self) -> str:
        """Name the phase for a log."""
        if not self.restores:
            return f'Phase {self.number} (land cover)'
        if not self.segments:
            return f'Phase {self.number} (reconstruction)'
        kind = 'parameter-efficient' if self.efficient else 'all parameters'
        return f'Phase {self.number} (reconstruction and land cover, {kind})'


_RECONSTRUCT = Phase(1, segments=False)
_PEFT = Phase(2, segments=True, efficient=True)
_FPFT = Phase(2, segments=True)
_LAND_COVER = Phase(1, segments=True, restores=False)

_PROTOCOLS: dict[str, tuple[Phase, ...]] = {
    'cr': (_RECONSTRUCT,),
    'peft': (_PEFT,),
    'fpft': (_FPFT,),
    'joint': (_FPFT,),
    'cr+peft': (_RECONSTRUCT, _PEFT),
    'cr+fpft': (_RECONSTRUCT, _FPFT),
    'lcs': (_LAND_COVER,),
}


class Schedule:
    """Which phase an epoch belongs to.

    Args:
        training: Name of the protocol.
        phase1_epochs: Epochs of Phase 1, where the protocol has both phases.

    Raises:
        ValueError: If *training* is unknown, or *phase1_epochs* does not fit it.

    Example:
        >>> schedule = Schedule('cr+peft', phase1_epochs=10)
        >>> schedule.at(9).number, schedule.at(10).number
        (1, 2)
    """

    def __init__(self, training: Training, phase1_epochs: int | None = None) -> None:
        if training not in _PROTOCOLS:
            raise ValueError(
                f'`training={training!r}`: choose one of {list(get_args(Training))}.'
            )
        self.phases = _PROTOCOLS[training]
        self.phase1_epochs = phase1_epochs
        self.training = training
        if phase1_epochs is not None and phase1_epochs < 1:
            self.require_epochs()
        if len(self.phases) == 1 and phase1_epochs is not None:
            raise ValueError(
                f'`phase1_epochs={phase1_epochs}`: `training={training!r}` has one '
                "phase. Leave it out, or choose 'cr+peft' or 'cr+fpft'."
            )

    def require_epochs(self) -> None:
        """Raise if it is not said when the second of two phases begins.

        Only a fit needs to know: a checkpoint tells its phase itself.

        Raises:
            ValueError: If *phase1_epochs* is missing or less than 1.
        """
        epochs = self.phase1_epochs
        if len(self.phases) == 2 and (epochs is None or epochs < 1):
            raise ValueError(
                f'`phase1_epochs={epochs}`: `training={self.training!r}` has two '
                'phases, so say after how many epochs (at least 1) the second begins.'
            )

    def at(self, epoch: int) -> Phase:
        """The phase of an epoch.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            The phase.
        """
        second = self.phase1_epochs is not None and epoch >= self.phase1_epochs
        return self.phases[1] if second else self.phases[0]

    def epochs(self, phase: Phase, max_epochs: int) -> int:
        """How many epochs a phase lasts.

        Args:
            phase: One of the phases.
            max_epochs: Epochs of the whole fit.

        Returns:
            The number of epochs, at least 1.
        """
        if self.phase1_epochs is None:
            return max(max_epochs, 1)
        if phase == self.phases[0]:
            return min(self.phase1_epochs, max_epochs)
        return max(max_epochs - self.phase1_epochs, 1)


def set_trainable(model: nn.Module, phase: Phase) -> None:
    """Freeze and unfreeze the parameters of a model for a phase.

    Args:
        model: The model. Where the phase does not segment, its
            ``segmentation_decoder``, if it has one, is frozen and not run.
        phase: The phase.

    Raises:
        ValueError: If the phase is parameter-efficient and the model has no
            ``task_modules`` that say what such a phase trains.
    """
    model.requires_grad_(not phase.efficient)
    if phase.efficient:
        if not hasattr(model, 'task_modules'):
            raise ValueError(
                f'{type(model).__name__} has no method `task_modules` that yields what '
                "parameter-efficient training updates. Use `training='fpft'`, or add it."
            )
        task_modules: Callable[[], Iterable[nn.Module]] = model.task_modules  # type: ignore[assignment]
        for module in task_modules():
            module.requires_grad_(True)
    decoder = getattr(model, 'segmentation_decoder', None)
    if isinstance(decoder, nn.Module):
        decoder.requires_grad_(phase.segments)
        model.segments = phase.segments  # type: ignore[assignment]
