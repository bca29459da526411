# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A moving average of the weights, which is what is validated, saved and tested."""

from collections.abc import Sequence
from functools import partial

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WarmedEMA(WeightAveraging):
    """Exponential moving average of the weights that forgets faster at first.

    After step n of the optimizer, counted from 1, the average keeps a share of
    min(*decay*, (1 + n) / (10 + n)) and takes the rest from the new weights. It begins as
    the initial weights, and buffers are those of the model. EMRDM is trained like this.

    All else is Lightning's :class:`~lightning.pytorch.callbacks.WeightAveraging`:
    validation sees the average, the model has it after the fit, checkpoints hold it as
    ``state_dict``, and a fit that is resumed with this callback goes on with both.
    Lightning's own :class:`~lightning.pytorch.callbacks.EMAWeightAveraging` has one decay
    from the start.

    Args:
        decay: Greatest share that is kept.
        device: Where the average is; that of the model by default. ``'cpu'`` saves
            memory, and takes time.

    Raises:
        ValueError: If *decay* is not at least 0 and less than 1.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> trainer = Trainer(callbacks=[WarmedEMA(decay=0.9999)], logger=False)
    """

    def __init__(self, decay: float = 0.9999, device: str | None = None) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f'`decay={decay}` must be at least 0 and less than 1.')
        super().__init__(
            device=device, use_buffers=False, multi_avg_fn=partial(_update, decay=decay)
        )

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the average when a fit begins.

        Args:
            trainer: The trainer.
            pl_module: What it trains.
            stage: What it does.
        """
        super().setup(trainer, pl_module, stage)
        average = self._average_model
        if stage != 'fit' or average is None:
            return
        if self._device is None:
            # Lightning asks the model, which is moved to its device after this
            average.to(trainer.strategy.root_device)
        # At 0, the first update would replace the initial weights, not average
        average.n_averaged.fill_(1)


def _update(
    average: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor, decay: float
) -> None:
    """Move the average towards the weights, in place; *count* is n."""
    n = int(count)
    get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(average, weights, count)
