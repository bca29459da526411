# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How the authors of a model trained it: losses, optimizer, crops and batches."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

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
