# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The joint loss, Eq. 12: reconstruction plus land-cover cross-entropy."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..metrics.functional._checks import check_labels
from .reconstruction import ReconstructionLoss, check_weight
from .uncertainty import laplace_likelihood

#: Weight of the likelihood of the errors, where a model tells how large it expects them.
#: It trains nothing else, but counts where gradients are clipped together.
LAMBDA_UNCERTAINTY = 0.1


class JointLoss(nn.Module):
    r"""Weighted sum of reconstruction and segmentation loss (Eq. 12 of TDP-CR).

    .. math::

        L_{joint} = \lambda_{rec} L_{rec} + \lambda_{seg} L_{seg}

    The segmentation loss is the cross-entropy with label smoothing, weighted by class
    and averaged over the pixels that are not ignored, in float32. Where all are
    ignored it is 0, with a gradient of 0.

    Where a model predicts ``uncertainty`` (see :class:`.UncertaintyHead`), which is no
    part of the paper, the likelihood of its errors is added, with a weight of 0.1.

    Args:
        lambda_rec: Weight of the reconstruction loss.
        lambda_seg: Weight of the segmentation loss.
        lambda_ssim: Weight of the SSIM term within the reconstruction loss.
        label_smoothing: Share of the probability that goes to all classes alike.
        class_weights: One weight for each class; by default all are 1. They move with
            the module but are not saved with it, so that checkpoints with and without
            them fit each other.
        ignore_index: Label of pixels that do not count.

    Raises:
        ValueError: If a weight is negative or not finite, or ``label_smoothing`` is not
            between 0 and 1.

    Examples:
        >>> loss = JointLoss()
        >>> image = torch.rand(1, 13, 16, 16)
        >>> outputs = {'reconstruction': image, 'logits': torch.zeros(1, 7, 16, 16)}
        >>> mask = torch.ones(1, 16, 16, dtype=torch.long)
        >>> {name: round(float(value), 3) for name, value in
        ...  loss(outputs, image, mask).items()}
        {'loss': 1.946, 'loss_rec': 0.0, 'loss_seg': 1.946}
    """

    class_weights: Tensor | None

    def __init__(
        self,
        lambda_rec: float = 1.0,
        lambda_seg: float = 1.0,
        lambda_ssim: float = 0.1,
        label_smoothing: float = 0.1,
        class_weights: Sequence[float] | Tensor | None = None,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        self.lambda_rec = check_weight('lambda_rec', lambda_rec)
        self.lambda_seg = check_weight('lambda_seg', lambda_seg)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(
                f'`label_smoothing={label_smoothing}` must be a number from 0 to 1.'
            )
        self.label_smoothing = float(label_smoothing)
        self.ignore_index = ignore_index
        self.reconstruction = ReconstructionLoss(lambda_ssim)
        weights = None
        if class_weights is not None:
            weights = torch.as_tensor(class_weights, dtype=torch.float32).detach()
            good = weights.ndim == 1 and bool((weights >= 0).all())
            if not (good and weights.isfinite().all() and weights.sum() > 0):
                raise ValueError(
                    f'`class_weights={class_weights}` must be one number of 0 or more for '
                    'each class, not all 0.'
                )
        self.register_buffer('class_weights', weights, persistent=False)

    def forward(
        self,
        outputs: Mapping[str, Tensor],
        target: Tensor,
        mask: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute the loss and its two parts.

        Args:
            outputs: What the model returns: ``reconstruction``, B×C×H×W, and, to go
                with a mask, ``logits``, B×K×H×W.
            target: Cloud-free images, B×C×H×W.
            mask: Land cover, B×H×W class indices. Without it only the reconstruction
                counts, and the segmentation loss is 0.

        Returns:
            The scalars ``loss``, ``loss_rec`` and ``loss_seg``, and
            ``loss_uncertainty`` where there is any, all part of the graph; the latter
            are not multiplied by their weights.

        Raises:
            KeyError: If ``outputs`` lacks what is needed.
            TypeError: If a tensor has the wrong type.
            ValueError: If shapes or sizes do not fit, or, on the CPU, a label is none
                of the classes. On an accelerator such a label fails in the
                cross-entropy's own kernel: a check here would wait for the device in
                every step.
        """
        if 'reconstruction' not in outputs:
            raise KeyError(
                f'The outputs have no `reconstruction`, only {sorted(outputs)}. The '
                "model's forward has to return it."
            )
        rec = self.reconstruction(outputs['reconstruction'], target)
        if mask is None:
            seg = rec.new_zeros(())
        elif 'logits' in outputs:
            seg = self.segmentation(outputs['logits'], mask)
        else:
            raise KeyError(
                f'The outputs have no `logits`, only {sorted(outputs)}, but a mask was '
                'given. Build the model with `num_classes`, or pass `mask=None` to train '
                'the reconstruction alone.'
            )
        loss = self.lambda_rec * rec + self.lambda_seg * seg
        losses = {'loss': loss, 'loss_rec': rec, 'loss_seg': seg}
        if 'uncertainty' in outputs:
            restored, expected = outputs['reconstruction'], outputs['uncertainty']
            likelihood = laplace_likelihood(expected, restored, target)
            losses['loss'] = loss + LAMBDA_UNCERTAINTY * likelihood
            losses['loss_uncertainty'] = likelihood
        return losses

    def segmentation(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Cross-entropy over the pixels that are not ignored.

        Args:
            logits: B×K×H×W, floating point.
            mask: B×H×W class indices.

        Returns:
            A scalar, float32, or float64 where the logits are; 0 where all are ignored.

        Raises:
            TypeError: If a tensor has the wrong type.
            ValueError: If shapes, classes or labels do not fit.
        """
        if not logits.is_floating_point():
            raise TypeError(f'`logits` are {logits.dtype}, not floating point.')
        if logits.ndim != 4 or mask.shape != logits.shape[:1] + logits.shape[2:]:
            raise ValueError(
                f'`mask` of shape {tuple(mask.shape)} does not go with `logits` of shape '
                f'{tuple(logits.shape)}. Give B×H×W and B×K×H×W.'
            )
        if mask.is_floating_point() or mask.is_complex() or mask.dtype == torch.bool:
            raise TypeError(
                f'`mask` is {mask.dtype}, not integer class indices. Convert it with '
                '`mask.long()`.'
            )
        classes = logits.shape[1]
        weights = self.class_weights
        if weights is not None and len(weights) != classes:
            raise ValueError(
                f'`class_weights` are {len(weights)}, but `logits` have {classes} classes. '
                'Give one for each class.'
            )
        if mask.device.type == 'cpu' and not torch.compiler.is_compiling():
            check_labels('mask', mask, classes, self.ignore_index)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        mask = mask.long()
        valid = mask != self.ignore_index
        if weights is not None:
            weights = weights.to(dtype)
        total = F.cross_entropy(
            logits.to(dtype),
            mask,
            weight=weights,
            ignore_index=self.ignore_index,
            reduction='sum',
            label_smoothing=self.label_smoothing,
        )
        # the mean of cross_entropy itself is 0/0 where every pixel is ignored
        if weights is None:
            share = valid.sum().to(dtype)
        else:
            share = torch.where(valid, weights[torch.where(valid, mask, 0)], 0.0).sum()
        return total / torch.where(share > 0, share, 1.0)

    def extra_repr(self) -> str:
        """Arguments, for printing."""
        return (
            f'lambda_rec={self.lambda_rec}, lambda_seg={self.lambda_seg}, '
            f'label_smoothing={self.label_smoothing}, ignore_index={self.ignore_index}'
        )
