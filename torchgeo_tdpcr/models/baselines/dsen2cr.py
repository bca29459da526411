# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""DSen2-CR: a deep residual network without normalisation, and its loss CARL.

A. Meraner, P. Ebel, X. X. Zhu, M. Schmitt: *Cloud removal in Sentinel-2 imagery using a
deep residual neural network and SAR-optical data fusion*, ISPRS Journal of
Photogrammetry and Remote Sensing 166, 2020.
https://doi.org/10.1016/j.isprsjprs.2020.05.013
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import NAdam

from ...metrics.functional._checks import (
    check_images,
    check_mask_cloud,
    to_full_precision,
)
from ..inputs import OpticalSARModel, refuse_classes
from ..recipes import Recipe, entry
from ..registry import register_model

#: From [0, 1] to the paper's optical scale, digital numbers / 2000.
OPTICAL_SCALE = 5.0
#: From [0, 1] to the paper's SAR scale, [0, 2].
SAR_SCALE = 2.0


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a ReLU between, added to the input with a small weight.

    Args:
        channels: Number of channels C.
        scale: Weight of what is added.

    Example:
        >>> ResidualBlock(8)(torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 8, 5, 7])
    """

    def __init__(self, channels: int, scale: float = 0.1) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Refined feature map of the same shape.
        """
        return torch.add(x, self.body(x), alpha=self.scale)


def cloud_adaptive_loss(
    prediction: Tensor,
    cloudy: Tensor,
    clear: Tensor,
    mask_cloud: Tensor,
    target_weight: float = 1.0,
) -> dict[str, Tensor]:
    r"""The cloud-adaptive regularised loss, CARL.

    Clear pixels should stay as they are in the cloudy image *I*; cloudy ones, and with a
    second term all pixels, should be as in the cloud-free image *T*:

    .. math::

        \operatorname{mean}\big((1 - m) |P - I| + m |P - T|\big)
        + \lambda \operatorname{mean} |P - T|

    Computed in float32 or better.

    Args:
        prediction: *P*, B×C×H×W, floating point.
        cloudy: *I*, the same shape and scale.
        clear: *T*, the same shape and scale.
        mask_cloud: *m*, B×H×W, integer or boolean, 1 where cloud or shadow.
        target_weight: λ, the weight of the second term.

    Returns:
        The scalars ``loss``, ``loss_adaptive`` (the first term) and ``loss_target`` (the
        second, not multiplied by its weight).

    Raises:
        TypeError: If a tensor has the wrong type.
        ValueError: If shapes do not fit, or the mask holds other values than 0 and 1.

    Example:
        >>> cloudy, clear = torch.full((1, 3, 4, 4), 0.8), torch.full((1, 3, 4, 4), 0.3)
        >>> mask = torch.ones(1, 4, 4, dtype=torch.long)
        >>> losses = cloud_adaptive_loss(cloudy, cloudy, clear, mask)
        >>> {name: round(float(value), 3) for name, value in losses.items()}
        {'loss': 1.0, 'loss_adaptive': 0.5, 'loss_target': 0.5}
    """
    check_images(prediction, clear)
    check_images(cloudy, clear)
    batch, _, height, width = prediction.shape
    check_mask_cloud(mask_cloud, (batch, height, width))
    cloudy, _ = to_full_precision(cloudy, clear)
    prediction, clear = to_full_precision(prediction, clear)
    wanted = torch.where(mask_cloud.bool().unsqueeze(1), clear, cloudy)
    adaptive, target = F.l1_loss(prediction, wanted), F.l1_loss(prediction, clear)
    return {
        'loss': adaptive + target_weight * target,
        'loss_adaptive': adaptive,
        'loss_target': target,
    }


def losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Run a model on a batch and compute :func:`cloud_adaptive_loss`.

    It is computed in the paper's scale, digital numbers / 2000.

    Args:
        model: DSen2-CR, or any model that returns ``reconstruction``.
        batch: ``image``, ``image_clear`` (B×C×H×W), ``image_sar`` (B×S×H×W), all in
            [0, 1], and ``mask_cloud`` (B×H×W, 1 where cloud or shadow).

    Returns:
        The losses by name.

    Raises:
        KeyError: If the batch has no ``mask_cloud``.
    """
    # The loss treats cloudy and clear pixels differently
    mask_cloud = entry(batch, 'mask_cloud', 'The loss of DSen2-CR')
    outputs = model(batch['image'], batch['image_sar'])
    found = cloud_adaptive_loss(
        outputs['reconstruction'], batch['image'], batch['image_clear'], mask_cloud
    )
    return {name: OPTICAL_SCALE * value for name, value in found.items()}


def initialise(module: nn.Module) -> None:
    """Draw the weights of a layer as the authors do; for :meth:`torch.nn.Module.apply`.

    Convolutions: He's uniform distribution, within ±√(6 / fan_in), biases 0.

    Args:
        module: The layer; other kinds are left as they are.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity='relu')
        if module.bias is not None:
            nn.init.zeros_(module.bias)


#: How the authors train DSen2-CR, with crops of 128 pixels in batches of 16.
RECIPE = Recipe(
    losses=losses,
    optimizer=partial(
        NAdam, lr=7e-5, betas=(0.9, 0.999), eps=1e-8, momentum_decay=0.004
    ),
)


@register_model('dsen2cr', recipe=RECIPE)
class DSen2CR(OpticalSARModel):
    """Predict a correction to the cloudy image with a plain residual network.

    Optical and SAR bands are concatenated; a 3×3 convolution with ReLU, residual blocks
    at full resolution, and a 3×3 convolution to the optical bands follow. The default
    arguments are the paper's: 18,947,341 parameters and 1241.2 G multiply-adds (twice
    as many FLOPs) at 256×256.

    The forward pass takes any height and width, and exports with any batch, height and
    width.

    As in the authors' code, convolutions pad with zeros and start as :func:`initialise`
    says. The scaling of the inputs, to digital numbers / 2000 and [0, 2], is done inside,
    and undone on the way out.

    Other than there, the mask of the loss is the one of the data set; the authors make it
    from each crop, of a cloud score of at least 0.2 and of shadow.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands; 0 for a model that sees no radar.
        num_classes: None. The model has no segmentation head.
        channels: Width of the network.
        num_blocks: Number of residual blocks.
        residual_scale: Weight of what each block adds.

    Raises:
        ValueError: If *num_classes* is set.

    Example:
        >>> model = DSen2CR(channels=8, num_blocks=2).eval()
        >>> out = model(torch.rand(1, 13, 45, 70), torch.rand(1, 2, 45, 70))
        >>> {key: tuple(value.shape) for key, value in out.items()}
        {'reconstruction': (1, 13, 45, 70)}
    """

    sar_optional = True

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        channels: int = 256,
        num_blocks: int = 16,
        residual_scale: float = 0.1,
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'DSen2-CR')
        self.body = nn.Sequential(
            nn.Conv2d(in_channels + sar_channels, channels, 3, padding=1),
            nn.ReLU(),
            *(ResidualBlock(channels, residual_scale) for _ in range(num_blocks)),
            nn.Conv2d(channels, in_channels, 3, padding=1),
        )
        self.apply(initialise)
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Restore the image.

        Returns:
            ``reconstruction``, B×C×H×W, not clipped.
        """
        x = torch.cat([OPTICAL_SCALE * image, SAR_SCALE * image_sar], 1)
        return {'reconstruction': image + self.body(x) / OPTICAL_SCALE}
