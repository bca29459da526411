# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""UnCRtainTS for a single date: a reconstruction, and how uncertain it is.

P. Ebel, V. Sainte Fare Garnot, M. Schmitt, J. D. Wegner, X. X. Zhu: *UnCRtainTS:
Uncertainty Quantification for Cloud Removal in Optical Satellite Time Series*, CVPR
Workshops 2023. https://arxiv.org/abs/2304.05464
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timm.layers.squeeze_excite import SqueezeExcite
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from ...metrics.functional._checks import check_images, to_full_precision
from ..inputs import OpticalSARModel, refuse_classes
from ..recipes import Recipe
from ..registry import register_model


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
            # Trained with zeros there, the last row or column of an image saturates
            nn.Conv2d(
                wide,
                wide,
                3,
                padding=1,
                padding_mode='replicate',
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


def losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Run a model on a batch and compute the Gaussian negative log-likelihood.

    It is averaged over images, bands and pixels, without its constant, and computed in
    float32 or better. Variances below 1e-6, a standard deviation of 10 digital numbers,
    count as 1e-6.

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
    check_images(outputs['reconstruction'], batch['image_clear'])
    mean, clear = to_full_precision(outputs['reconstruction'], batch['image_clear'])
    variance = outputs['variance'].to(mean.dtype)
    return {'loss': F.gaussian_nll_loss(mean, clear, variance, eps=1e-6)}


#: The loss of the paper. The optimizer is a choice, see :class:`UnCRtainTS`.
RECIPE = Recipe(losses=losses, optimizer=partial(Adam, lr=1e-3))


@register_model('uncrtaints', recipe=RECIPE)
class UnCRtainTS(OpticalSARModel):
    """Predict mean and variance of every band of every pixel, at full resolution.

    Optical and SAR bands are concatenated; a 1×1 convolution, MBConv blocks with group
    normalisation, MBConv blocks with batch normalisation, and a 1×1 convolution to mean
    and variance follow. This is the model for one date: without the attention over time,
    which has nothing to attend to.

    The default arguments have 519,962 parameters, and 27.02 G multiply-adds in
    convolutions at 256×256 (54.04 GFLOPs). Counted with normalisation (5 an element for
    groups, 2 for batches) and pooling (1), as fvcore does, they are 27.88 G.

    The forward pass takes any height and width, and exports with any batch, height and
    width.

    Choices that the description leaves open:

    - Inside a block: normalisation before the first and after every convolution, GELU
      after the first two, squeeze-excitation to a quarter of the block's width before
      the last, no biases. Of the readings compared, this one has both 0.520 M parameters
      and 27.9 G operations as fvcore counts; without the first normalisation and with
      biases in squeeze-excitation the parameters match as well, but not the operations.
    - Convolutions repeat the border, since padded with zeros the last row or column of
      an image saturated after training, another one with each seed. They start from
      PyTorch's default initialisation. Group normalisation has four groups.
    - Softplus makes the variance positive. It is in the units of the reconstruction,
      squared.
    - Training: Adam at 1e-3, crops of 128 and batches of 16, as for other models here.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands.
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
        if groups < 1 or channels % groups:
            raise ValueError(
                f'`groups={groups}` does not divide `channels={channels}`. Choose '
                'another number of either.'
            )
        self.body = nn.Sequential(
            nn.Conv2d(in_channels + sar_channels, channels, 1),
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
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Predict mean and variance.

        Returns:
            ``reconstruction``, B×C×H×W, from 0 to 1, and ``variance``, B×C×H×W, 0 or
            more.
        """
        x = torch.cat([image, image_sar], 1)
        mean, variance = self.body(x).chunk(2, dim=1)
        return {'reconstruction': mean.sigmoid(), 'variance': F.softplus(variance)}
