# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How the authors of a model trained it: losses and optimizer; what recipes share."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..losses import JointLoss

_CROSS_ENTROPY = JointLoss(label_smoothing=0.0, ignore_index=255)

#: Takes a model and a batch; returns losses by name, their sum as ``loss``.
Losses = Callable[[nn.Module, dict[str, Any]], dict[str, Tensor]]

#: Parameters by name, in groups with settings of their own, as optimizers take them.
Groups = Callable[[Iterable[tuple[str, nn.Parameter]]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a paper says of training its model.

    Args:
        losses: Runs the model on a batch and computes its losses. The batch is what the
            task feeds the model: no ``mask`` where land cover is not trained, no
            ``image_clear`` where it alone is.
        optimizer: Makes the optimizer of the trainable parameters, or of their groups.
        scheduler: Makes the learning-rate schedule of the optimizer; None where the
            rate is constant.
        interval: What a step of the schedule is: an ``'epoch'``, or an optimizer's
            ``'step'``.
        groups: Sorts the trainable parameters into groups with settings of their own;
            None where all are alike.
        model_kwargs: Arguments of the model that its losses need, such as parts that
            only training has.
        only_here: Names of arguments of the model that nothing but its losses uses.
    """

    losses: Losses
    optimizer: Callable[[Iterable[Any]], Optimizer]
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    interval: Literal['epoch', 'step'] = 'epoch'
    groups: Groups | None = None
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    only_here: tuple[str, ...] = ()

    def build_optimizer(
        self, parameters: Iterable[tuple[str, nn.Parameter]]
    ) -> Optimizer:
        """Make the optimizer.

        Args:
            parameters: The trainable parameters by name.

        Returns:
            The optimizer.
        """
        if self.groups is not None:
            return self.optimizer(self.groups(parameters))
        return self.optimizer([parameter for _, parameter in parameters])


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


def land_cover_losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Cross-entropy over the labelled pixels.

    Args:
        model: A model that returns ``logits``.
        batch: ``image``, ``image_sar`` and ``mask`` (255 where there is no label).

    Returns:
        ``loss`` and ``loss_seg``, the same scalar.

    Raises:
        KeyError: If the batch has no ``mask``.
    """
    entry(batch, 'mask', type(model).__name__)
    seg = cross_entropy(model(batch['image'], batch['image_sar']), batch)
    return {'loss': seg, 'loss_seg': seg}


def joint_losses(
    model: nn.Module,
    batch: dict[str, Any],
    restoration: Callable[[nn.Module, Mapping[str, Tensor], Any], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """Cross-entropy plus the losses of a restored image, each with weight 1.

    Args:
        model: A model that returns ``logits``.
        batch: ``image`` and ``image_sar``; ``image_clear`` and ``mask`` (255 where there
            is no label) where they are to be learned. Without the latter the
            cross-entropy is 0.
        restoration: Takes the model, its outputs and a batch with ``image_clear``;
            returns losses by name.

    Returns:
        ``loss_seg``, where there is ``image_clear`` those of *restoration*, and their sum
        ``loss``.

    Raises:
        KeyError: If ``image_clear`` and ``mask`` are missing.
    """
    if 'mask' not in batch:
        entry(batch, 'image_clear', type(model).__name__)
    outputs = model(batch['image'], batch['image_sar'])
    losses = {'loss_seg': cross_entropy(outputs, batch)}
    if 'image_clear' in batch:
        losses |= restoration(model, outputs, batch)
    return {'loss': reduce(torch.add, losses.values()), **losses}


def denoising_losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """The training objective of a diffusion model.

    Args:
        model: A model with a ``training_loss`` of the three images.
        batch: ``image``, ``image_sar`` and ``image_clear``, scaled to [0, 1].

    Returns:
        ``loss``.
    """
    objective = cast(Callable[..., Tensor], model.training_loss)
    return {'loss': objective(batch['image'], batch['image_sar'], batch['image_clear'])}


def entry(batch: Mapping[str, Any], name: str, user: str) -> Tensor:
    """Get a tensor of a batch, or say who needs it.

    Args:
        batch: The batch.
        name: Its key.
        user: What needs it, for the message.

    Returns:
        The tensor.

    Raises:
        KeyError: If the batch has none of that name.
    """
    if name not in batch:
        raise KeyError(
            f'{user} needs `{name}`, but the batch has {sorted(batch)}. Use data that '
            'have it, or a loss that does without.'
        )
    value: Tensor = batch[name]
    return value


def cross_entropy(outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> Tensor:
    """Cross-entropy over the labelled pixels, without label smoothing.

    Args:
        outputs: What the model returned, with ``logits``, B×K×H×W.
        batch: The batch; ``mask``, B×H×W, 255 where a pixel has no label.

    Returns:
        A scalar; 0 without a mask, or where no pixel has a label.
    """
    logits = outputs['logits']
    if 'mask' not in batch:
        return logits.new_zeros((), dtype=torch.float32)
    return _CROSS_ENTROPY.segmentation(logits, batch['mask'])
