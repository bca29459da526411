# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The losses of CloudSeg."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ...recipes import entry, joint_losses


def charbonnier(
    prediction: Tensor,
    target: Tensor,
    mask_cloud: Tensor | None = None,
    cloud_weight: float = 5.0,
    power: float = 0.45,
    epsilon: float = 1e-6,
) -> Tensor:
    r"""Generalised Charbonnier loss that counts clouds more.

    .. math::

        \operatorname{mean} (1 + 5 m) \, ((\hat{I} - I)^2 + \epsilon)^{0.45}

    Args:
        prediction: Restored images, B×C×H×W.
        target: Cloud-free images, B×C×H×W.
        mask_cloud: m, B×H×W, 1 where there is cloud or shadow; all 0 without one.
        cloud_weight: What m adds to the weight of a pixel.
        power: The exponent.
        epsilon: What keeps the gradient finite at 0.

    Returns:
        A scalar, float32.

    Example:
        >>> import torch
        >>> image = torch.zeros(1, 3, 4, 4)
        >>> cloud = torch.ones(1, 4, 4, dtype=torch.long)
        >>> charbonnier(image + 1, image, cloud)
        tensor(6.0000)
    """
    error = ((prediction.float() - target.float()).square() + epsilon) ** power
    if mask_cloud is not None:
        error = error * (1 + cloud_weight * mask_cloud[:, None].to(error.dtype))
    return error.mean()


def distillation(features: Tensor, wanted: Tensor, mask_cloud: Tensor) -> Tensor:
    """Mean squared distance from the teacher's features where it is clear.

    The mean is over all pixels, clouds as zeros: the more cloud, the less it counts.

    Args:
        features: Features of the model, B×C×H×W.
        wanted: Features of the teacher, B×C×H×W.
        mask_cloud: B×H×W, 1 where there is cloud or shadow.

    Returns:
        A scalar, float32.

    Example:
        >>> import torch
        >>> cloud = torch.tensor([[[0, 1]]])
        >>> distillation(torch.ones(1, 4, 1, 2), torch.zeros(1, 4, 1, 2), cloud)
        tensor(0.5000)
    """
    error = (features.float() - wanted.float()).square()
    return (error * (1 - mask_cloud[:, None].to(error.dtype))).mean()


def cloudseg_losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Cross-entropy, weighted Charbonnier loss and, with a teacher, distillation.

    Their sum, each with weight 1. Where a batch has no ``mask``, the cross-entropy is 0;
    where it has no ``mask_cloud``, all pixels of the Charbonnier loss count alike.

    Args:
        model: :class:`CloudSeg`.
        batch: ``image`` and ``image_sar``; ``image_clear`` and ``mask`` (255 where there
            is no label) where they are to be learned; ``mask_cloud`` where there is one.

    Returns:
        The scalars ``loss`` and ``loss_seg``; where there is ``image_clear``,
        ``loss_rec`` and, with a teacher, ``loss_distill``.

    Raises:
        KeyError: If ``image_clear`` and ``mask`` are missing, or, with a teacher,
            ``image_clear`` or ``mask_cloud``.
        FileNotFoundError: If the checkpoint of the teacher is gone.
        ValueError: If it is none of a teacher.
    """
    if getattr(model, 'teacher', None) is not None:
        entry(batch, 'image_clear', 'The distillation of CloudSeg')
    return joint_losses(model, batch, _restoration)


def _restoration(
    model: nn.Module, outputs: Mapping[str, Tensor], batch: dict[str, Any]
) -> dict[str, Tensor]:
    """Weighted Charbonnier loss and, with a teacher, distillation."""
    clear = batch['image_clear']
    rec = charbonnier(outputs['reconstruction'], clear, batch.get('mask_cloud'))
    teacher = getattr(model, 'teacher', None)
    if teacher is None:
        return {'loss_rec': rec}
    mask_cloud = entry(batch, 'mask_cloud', 'The distillation of CloudSeg')
    wanted = teacher(clear, batch['image_sar'])
    distill = distillation(outputs['features'], wanted, mask_cloud)
    return {'loss_rec': rec, 'loss_distill': distill}
