# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The reconstruction loss, Eq. 11: mean absolute error plus weighted 1 - SSIM."""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from ..metrics.functional._checks import (
    check_data_range,
    check_images,
    to_full_precision,
)
from ..metrics.functional.ssim import ssim_map


def check_weight(name: str, value: float) -> float:
    """Return the weight of a loss term as a float, or refuse it.

    Args:
        name: The argument that it came from.
        value: The weight.

    Returns:
        The same number.

    Raises:
        ValueError: If it is not finite, or negative.
    """
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f'`{name}={value}` must be a number of 0 or more.')
    return float(value)


class ReconstructionLoss(nn.Module):
    r"""How far restored images are from the cloud-free ones (Eq. 11 of TDP-CR).

    .. math::

        L_{rec} = \operatorname{mean} |\hat{I} - I_{gt}|
                  + \lambda_{ssim} \, (1 - \operatorname{SSIM}(\hat{I}, I_{gt}))

    Both terms are means over images, bands and pixels. SSIM has an 11×11 Gaussian
    window of σ 1.5 with mirrored borders (see
    :func:`torchgeo_tdpcr.metrics.functional.ssim_map`). Both are computed in float32,
    also under autocast and for half-precision input.

    Args:
        lambda_ssim: Weight of the SSIM term; 0 leaves it out.
        data_range: Largest minus smallest possible value of the images.

    Raises:
        ValueError: If ``lambda_ssim`` is negative or ``data_range`` not positive.

    Examples:
        >>> import torch
        >>> loss = ReconstructionLoss(lambda_ssim=0.0)
        >>> target = torch.full((1, 13, 16, 16), 0.25)
        >>> loss(target + 0.1, target)
        tensor(0.1000)
    """

    def __init__(self, lambda_ssim: float = 0.1, data_range: float = 1.0) -> None:
        super().__init__()
        self.lambda_ssim = check_weight('lambda_ssim', lambda_ssim)
        self.data_range = check_data_range(data_range)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            prediction: B×C×H×W, floating point; H and W at least 6 unless
                ``lambda_ssim`` is 0.
            target: The same shape.

        Returns:
            A scalar of 0 or more, float32, or float64 where an input is.

        Raises:
            TypeError: If one of them is not floating point.
            ValueError: If shapes or sizes do not fit.
        """
        check_images(prediction, target)
        prediction, target = to_full_precision(prediction, target)
        loss = F.l1_loss(prediction, target)
        if self.lambda_ssim:
            similarity = ssim_map(prediction, target, self.data_range).mean()
            loss = loss + self.lambda_ssim * (1 - similarity)
        return loss

    def extra_repr(self) -> str:
        """Arguments, for printing."""
        return f'lambda_ssim={self.lambda_ssim}, data_range={self.data_range}'
