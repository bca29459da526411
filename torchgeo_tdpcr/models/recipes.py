# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How the authors of a model trained it: losses, optimizer, crops and batches."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

#: Takes a model and a batch; returns losses by name, their sum as ``loss``.
Losses = Callable[[nn.Module, dict[str, Any]], dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a paper says of training its model.

    Args:
        losses: Runs the model on a batch and computes its losses.
        optimizer: Makes the optimizer of the trainable parameters.
        crop: Height and width of the training crops in pixels.
        batch_size: Number of crops in a batch.
    """

    losses: Losses
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    crop: int = 128
    batch_size: int = 16


def l1_losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Mean absolute error of the reconstruction.

    Args:
        model: The model.
        batch: ``image``, ``image_sar`` and ``image_clear``, scaled to [0, 1].

    Returns:
        ``loss``.
    """
    prediction = model(batch['image'], batch['image_sar'])['reconstruction']
    return {'loss': F.l1_loss(prediction.float(), batch['image_clear'].float())}
