# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How ECRformer is trained: deep supervision of its levels, and the recipe."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import MultiStepLR

from ....metrics.functional._checks import check_images, to_full_precision
from ....metrics.functional.ssim import ssim_map
from ...recipes import Recipe

#: The authors divide the sums over three levels by this.
LEVELS = 3.001


class Supervised(NamedTuple):
    """What ECRformer gives in training.

    Attributes:
        reconstruction: B×C×H×W.
        encoder: Images of the encoder's levels, each B×C×h×w, finest first: of the
            image's height and width, of half of them, and so on, rounded down.
        decoder: The same of the decoder's levels, also finest first.
    """

    reconstruction: Tensor
    encoder: list[Tensor]
    decoder: list[Tensor]


def mixed_error(prediction: Tensor, target: Tensor, share: float) -> Tensor:
    """Weighted mean of the absolute error and of 1 - SSIM.

    Images are padded with zeros for SSIM.

    Args:
        prediction: B×C×H×W, H and W at least 6.
        target: The same shape.
        share: Weight of the absolute error.

    Returns:
        A scalar, float32 or better.

    Example:
        >>> import torch
        >>> target = torch.full((1, 13, 16, 16), 0.25)
        >>> mixed_error(target + 0.1, target, share=1.0)
        tensor(0.1000)
    """
    prediction, target = to_full_precision(prediction, target)
    similarity = ssim_map(prediction, target, border='zeros').mean()
    return share * F.l1_loss(prediction, target) + (1 - share) * (1 - similarity)


def level_errors(predictions: Sequence[Tensor], target: Tensor, share: float) -> Tensor:
    """Sum of the errors of levels against the averaged target, divided by 3.001.

    Args:
        predictions: Images of the levels, finest first, each at half the resolution of
            the one before.
        target: Clear image, B×C×H×W.
        share: Weight of the absolute error, see :func:`mixed_error`.

    Returns:
        A scalar.
    """
    errors = [
        mixed_error(prediction, F.avg_pool2d(target, 2**level), share)
        for level, prediction in enumerate(predictions)
    ]
    return sum(errors[1:], errors[0]) / LEVELS


def losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Run a model on a batch and compare its output and that of all levels.

    0.9 times the error of the reconstruction, and 0.05 times that of the encoder's and of
    the decoder's levels each. The error is 0.9·(absolute error) + 0.1·(1 − SSIM); the
    encoder's levels have the weights the other way round.

    Args:
        model: An :class:`.ECRformer` with ``auxiliary_heads``.
        batch: ``image``, ``image_sar`` and ``image_clear``, scaled to [0, 1], H and W at
            least 24.

    Returns:
        ``loss``, ``loss_main``, ``loss_encoder`` and ``loss_decoder``, unweighted but for
        the sum.

    Raises:
        TypeError: If the clear image is not floating point.
        ValueError: If the model has no auxiliary heads, or the clear image another shape
            than the reconstruction.
    """
    supervised = cast(Callable[..., Supervised], model.deeply_supervised)
    outputs = supervised(batch['image'], batch['image_sar'])
    clear = batch['image_clear']
    check_images(outputs.reconstruction, clear)
    _, clear = to_full_precision(outputs.reconstruction, clear)
    main = mixed_error(outputs.reconstruction, clear, 0.9)
    encoder = level_errors(outputs.encoder, clear, 0.1)
    decoder = level_errors(outputs.decoder, clear, 0.9)
    return {
        'loss': 0.9 * main + 0.05 * encoder + 0.05 * decoder,
        'loss_main': main,
        'loss_encoder': encoder,
        'loss_decoder': decoder,
    }


#: How ECRformer is trained. The rate halves late.
RECIPE = Recipe(
    losses=losses,
    optimizer=partial(AdamW, lr=2e-3, weight_decay=1e-3),
    scheduler=partial(
        MultiStepLR, milestones=(120, 150, 170, 180, 190, 200), gamma=0.5
    ),
    model_kwargs={'auxiliary_heads': True},
    only_here=('auxiliary_heads',),
)
