# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""UnCRtainTS for a single date: a reconstruction, and how uncertain it is.

P. Ebel, V. Sainte Fare Garnot, M. Schmitt, J. D. Wegner, X. X. Zhu: *UnCRtainTS:
Uncertainty Quantification for Cloud Removal in Optical Satellite Time Series*, CVPR
Workshops 2023. https://arxiv.org/abs/2304.05464
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timm.layers.squeeze_excite import SqueezeExcite
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from ...metrics.functional._checks import check_images, to_full_precision
from ..inputs import OpticalSARModel, check_multiple, refuse_classes
from ..recipes import Recipe
from ..registry import register_model

#: From [0, 1] to the scale of the network.
SCALE = 10.0
#: Least variance that counts in the loss, in the scale of the network.
LEAST_VARIANCE = 1e-8


class MBConv(nn.Module):
    """Inverted residual: widen, mix in space, reweight the channels, narrow, add.

    Args:
        channels: Number of channels C.
        norm: Makes the normalisation of a number of channels.
        expansion: Width inside as a multiple of C.
        squeeze: Width of the squeeze-excitation as a fraction of C.

    Example:
        >>> block = MBConv(8, nn.BatchNorm2d)
        >>> block(torch.rand(2, 8, 5, 7)).shape
        torch.Size([2, 8, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        norm: Callable[[int], nn.Module],
        expansion: int = 2,
        squeeze: float = 0.25,
    ) -> None:
        super().__init__()
        wide = expansion * channels
        self.body = nn.Sequential(
            norm(channels),
            nn.Conv2d(channels, wide, 1, bias=False),
            norm(wide),
            nn.GELU(),
            nn.Conv2d(
                wide,
                wide,
                3,
                padding=1,
                padding_mode='reflect',
                groups=wide,
                bias=False,
            ),
            norm(wide),
            nn.GELU(),
            SqueezeExcite(
                wide,
                rd_channels=max(1, int(squeeze * channels)),
                bias=False,
                act_layer=nn.GELU,
            ),
            nn.Conv2d(wide, channels, 1, bias=False),
            norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Refined feature map of the same shape.
        """
        refined: Tensor = x + self.body(x)
        return refined


def negative_log_likelihood(mean: Tensor, variance: Tensor, clear: Tensor) -> Tensor:
    r"""Gaussian negative log-likelihood, as the authors' code computes it.

    For each pixel and image, with sums over the *K* bands:

    .. math::

        \tfrac{K}{2} \ln 2\pi + \tfrac12 \sum \ln v + \tfrac12 \sum (e^2 / v)

    averaged over pixels and images; but the sum of the logarithms is over the images of
    the batch too. So with a batch of B images the loss is least at variances of e² / B,
    not e², and means what it should with B = 1 alone. Variances below 1e-8 count as 1e-8,
    with the gradient that they would have without. All is computed in the scale of the
    network, ten times that of the images.

    Args:
        mean: Predicted mean, B×K×H×W, floating point, in [0, 1].
        variance: Predicted variance of the same shape, in units of the mean, squared.
        clear: Truth, the same shape and scale as the mean.

    Returns:
        A scalar, in float32 or better, which may be negative.

    Raises:
        TypeError: If the truth is not floating point.
        ValueError: If the truth has another shape than the mean.

    Example:
        >>> mean, variance = torch.zeros(2, 13, 4, 4), torch.full((2, 13, 4, 4), 0.01)
        >>> round(negative_log_likelihood(mean, variance, mean).item(), 4)
        11.9462
    """
    check_images(mean, clear)
    mean, clear = (SCALE * x for x in to_full_precision(mean, clear))
    variance = SCALE**2 * variance.to(mean.dtype)
    variance = variance + (variance.clamp_min(LEAST_VARIANCE) - variance).detach()
    logarithms = variance.log().sum((0, 1))
    squares = ((mean - clear).square() / variance).sum(1)
    constant = mean.shape[1] * math.log(2 * math.pi)
    return 0.5 * (constant + logarithms.mean() + squares.mean())


def losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Run a model on a batch and compute :func:`negative_log_likelihood`.

    Args:
        model: UnCRtainTS, or any model that returns ``reconstruction`` and ``variance``.
        batch: ``image``, ``image_clear`` (B×C×H×W) and ``image_sar`` (B×S×H×W), all in
            [0, 1].

    Returns:
        The scalar ``loss``, which may be negative.

    Raises:
        KeyError: If the model does not return ``variance``.
        TypeError: If the cloud-free image is not floating point.
        ValueError: If the cloud-free image has another shape than the reconstruction.
    """
    outputs = model(batch['image'], batch['image_sar'])
    if 'variance' not in outputs:
        raise KeyError(
            f'The outputs have no `variance`, only {sorted(outputs)}. This loss is for '
            'models that predict one, such as uncrtaints; train with another.'
        )
    loss = negative_log_likelihood(
        outputs['reconstruction'], outputs['variance'], batch['image_clear']
    )
    return {'loss': loss}


def initialise(module: nn.Module) -> None:
    """Draw the weights of a layer as the authors do; for :meth:`torch.nn.Module.apply`.

    Convolutions: Xavier's normal distribution, biases standard normal. Batch
    normalisation: gains standard normal, shifts 0.

    Args:
        module: The layer; other kinds are left as they are.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.normal_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight)
        nn.init.zeros_(module.bias)


#: How the authors train it, with a constant rate.
RECIPE = Recipe(losses=losses, optimizer=partial(Adam, lr=1e-3))


@register_model('uncrtaints', recipe=RECIPE)
class UnCRtainTS(OpticalSARModel):
    """Predict mean and variance of every band of every pixel, at full resolution.

    SAR and optical bands, in this order, are concatenated; a 1×1 convolution with group
    normalisation and ReLU, an MBConv block with group normalisation, MBConv blocks with
    batch normalisation, and a 1×1 convolution to mean and variance follow. This is the
    model for one date: without the attention over time, which has nothing to attend to.

    The default arguments have 520,218 parameters, and 27.02 G multiply-adds in
    convolutions at 256×256 (54.04 GFLOPs). Counted with normalisation (5 an element for
    groups, 2 for batches) and pooling (1), as fvcore does, they are 27.92 G.

    The forward pass takes any height and width, and exports with any batch and any height
    and width of at least 2.

    As in the authors' code:

    - Inside a block: normalisation before the first and after every convolution, GELU
      after the first two, squeeze-excitation to a quarter of the block's width before
      the last, no biases. Group normalisation has four groups.
    - The 3×3 convolutions mirror the border. That takes two pixels; an image with one row
      or column gets a copy of it first, where the authors' model fails.
    - The network works in ten times the scale of the images, both of the inputs and of
      the mean, a sigmoid. The variance there is softplus + 0.001, so in units of the
      reconstruction, squared, a hundredth of that: at least 1e-5.
    - Weights start as :func:`initialise` says.

    Without SAR, ``sar_channels=0``, the model sees the optical image alone.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands, 0 for a model that ignores SAR.
        num_classes: None. The model has no segmentation head.
        channels: Width of the network.
        encoder_blocks: Number of MBConv blocks with group normalisation.
        decoder_blocks: Number of MBConv blocks with batch normalisation.
        expansion: Width inside a block as a multiple of *channels*.
        groups: Number of groups of group normalisation; divides *channels*.

    Raises:
        ValueError: If *num_classes* is set, or *groups* does not divide *channels*.

    Example:
        >>> model = UnCRtainTS(channels=8, decoder_blocks=1).eval()
        >>> out = model(torch.rand(1, 13, 45, 70), torch.rand(1, 2, 45, 70))
        >>> {key: tuple(value.shape) for key, value in out.items()}
        {'reconstruction': (1, 13, 45, 70), 'variance': (1, 13, 45, 70)}
    """

    sar_optional = True
    # Borders are mirrored
    smallest = 2

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        channels: int = 128,
        encoder_blocks: int = 1,
        decoder_blocks: int = 5,
        expansion: int = 2,
        groups: int = 4,
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'UnCRtainTS')
        check_multiple('channels', channels, groups, 'groups')
        self.body = nn.Sequential(
            nn.Conv2d(sar_channels + in_channels, channels, 1),
            nn.GroupNorm(groups, channels),
            nn.ReLU(),
            *(
                MBConv(channels, partial(nn.GroupNorm, groups), expansion)
                for _ in range(encoder_blocks)
            ),
            *(
                MBConv(channels, nn.BatchNorm2d, expansion)
                for _ in range(decoder_blocks)
            ),
            nn.Conv2d(channels, 2 * in_channels, 1),
        )
        self.apply(initialise)
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Predict mean and variance.

        Returns:
            ``reconstruction``, B×C×H×W, from 0 to 1, and ``variance``, B×C×H×W, 1e-5 or
            more, in float32 or better.
        """
        x = torch.cat([image_sar, image], 1)
        mean, variance = self.body(SCALE * x).chunk(2, dim=1)
        # In half precision the least variance would be far off
        variance = variance.to(torch.promote_types(variance.dtype, torch.float32))
        return {
            'reconstruction': mean.sigmoid(),
            'variance': (F.softplus(variance) + 0.001) / SCALE**2,
        }
