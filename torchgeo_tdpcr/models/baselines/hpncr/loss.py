# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The loss of HPN-CR: smooth L1, multi-scale SSIM and the spectral angle.

P. Gu et al.: *HPN-CR: Heterogeneous Parallel Network for SAR-Optical Data Fusion Cloud
Removal*, IEEE Transactions on Geoscience and Remote Sensing, 2025.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from ....losses.reconstruction import check_weight
from ....metrics.functional._checks import (
    check_data_range,
    check_images,
    to_full_precision,
)

#: Exponents of the scales, finest first (Wang, Simoncelli, Bovik, 2003).
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

#: Height and width of the Gaussian window of SSIM.
SSIM_WINDOW = 11

#: Cosines keep this distance from ±1, where the arc cosine has no finite gradient.
COSINE_MARGIN = 1e-6


def multiscale_ssim(
    prediction: Tensor, target: Tensor, data_range: float = 1.0
) -> Tensor:
    """Multi-scale SSIM of each image, for small crops too.

    The value of
    :func:`torchmetrics.functional.image.multiscale_structural_similarity_index_measure`,
    which refuses images below 176 pixels. Those have as many of the five scales as that
    function allows: four from 99 pixels, three from 44, two from 22, one from 11; the
    exponents are then scaled to the sum of the five. An image with a scale on which it
    is anticorrelated with its target scores 0, and its gradient is 0.

    Args:
        prediction: B×C×H×W, floating point, H and W at least 11.
        target: The same shape.
        data_range: Largest minus smallest possible value of the images.

    Returns:
        One value for each image, between 0 and 1; float32, or float64 where an input
        is.

    Raises:
        TypeError: If one of them is not floating point.
        ValueError: If shapes or sizes do not fit.

    Example:
        >>> image = torch.rand(2, 13, 64, 64)
        >>> torch.allclose(multiscale_ssim(image, image), torch.ones(2))
        True
    """
    check_images(prediction, target)
    data_range = check_data_range(data_range)
    side = min(prediction.shape[-2:])
    # torchmetrics demands the second; windows at the coarsest scale need the first
    count = sum(
        min(side >> i, side // max(1, i) ** 2) >= SSIM_WINDOW
        for i in range(len(SCALES))
    )
    if not count:
        raise ValueError(
            f'`prediction` has {tuple(prediction.shape[-2:])} pixels, but needs at least '
            f'{SSIM_WINDOW} in height and width. Take larger crops.'
        )
    share = sum(SCALES) / sum(SCALES[:count])
    with torch.autocast(prediction.device.type, enabled=False):
        prediction, target = to_full_precision(prediction, target)
        similarity: Tensor = multiscale_structural_similarity_index_measure(
            prediction,
            target,
            reduction='none',
            data_range=data_range,
            betas=tuple(share * exponent for exponent in SCALES[:count]),
        )
    return similarity


def spectral_angle_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean angle between the two spectra of a pixel, in degrees, with finite gradients.

    As :func:`torchgeo_tdpcr.metrics.functional.spectral_angle` where both spectra have
    a direction; the least angle is 0.08°, and there the gradient is zero.

    Args:
        prediction: B×C×H×W, floating point.
        target: The same shape.

    Returns:
        A scalar, float32, or float64 where an input is.

    Raises:
        TypeError: If one of them is not floating point.
        ValueError: If shapes do not fit, or there is only one band.

    Example:
        >>> first, second = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).view(2, 1, 2, 1, 1)
        >>> spectral_angle_loss(first, second)
        tensor(45.)
    """
    check_images(prediction, target)
    if prediction.shape[1] < 2:
        raise ValueError(
            '`prediction` has one band, which has no spectral angle. Give at least two.'
        )
    with torch.autocast(prediction.device.type, enabled=False):
        prediction, target = to_full_precision(prediction, target)
        cosine = F.cosine_similarity(prediction, target, dim=1, eps=1e-8)
        limit = 1 - COSINE_MARGIN
        return torch.rad2deg(cosine.clamp(-limit, limit).acos()).mean()


class HPNCRLoss(nn.Module):
    r"""The weighted sum that HPN-CR is trained with.

    .. math::

        L = 0.2 \operatorname{SmoothL1} + 0.8 \, (1 - \operatorname{MS-SSIM})
            + 0.005 \operatorname{SAM}

    Our description does not say whether the angle is in degrees or radians. It is in
    degrees here: in radians the term would be below a hundredth of the others.

    Args:
        lambda_l1: Weight of smooth L1, whose parabola ends at an error of 1.
        lambda_ssim: Weight of the multi-scale SSIM term.
        lambda_sam: Weight of the spectral angle in degrees.

    Raises:
        ValueError: If a weight is negative or not finite.

    Example:
        >>> loss = HPNCRLoss()
        >>> image = torch.rand(1, 13, 32, 32)
        >>> bool(loss(image, image) < 0.001)
        True
    """

    def __init__(
        self,
        lambda_l1: float = 0.2,
        lambda_ssim: float = 0.8,
        lambda_sam: float = 0.005,
    ) -> None:
        super().__init__()
        self.lambda_l1 = check_weight('lambda_l1', lambda_l1)
        self.lambda_ssim = check_weight('lambda_ssim', lambda_ssim)
        self.lambda_sam = check_weight('lambda_sam', lambda_sam)

    def terms(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute the terms and their sum.

        Args:
            prediction: B×C×H×W in [0, 1], floating point, H and W at least 11, two
                bands or more.
            target: The same shape.

        Returns:
            Scalars: ``loss_l1``, ``loss_ssim`` and ``loss_sam`` without their weights,
            and ``loss``.

        Raises:
            TypeError: If one of them is not floating point.
            ValueError: If shapes or sizes do not fit.
        """
        check_images(prediction, target)
        prediction, target = to_full_precision(prediction, target)
        error = F.smooth_l1_loss(prediction, target)
        dissimilarity = 1 - multiscale_ssim(prediction, target).mean()
        angle = spectral_angle_loss(prediction, target)
        loss = (
            self.lambda_l1 * error
            + self.lambda_ssim * dissimilarity
            + self.lambda_sam * angle
        )
        return {
            'loss': loss,
            'loss_l1': error,
            'loss_ssim': dissimilarity,
            'loss_sam': angle,
        }

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the weighted sum.

        Args:
            prediction: B×C×H×W in [0, 1].
            target: The same shape.

        Returns:
            A scalar.

        Raises:
            TypeError: If one of them is not floating point.
            ValueError: If shapes or sizes do not fit.
        """
        return self.terms(prediction, target)['loss']

    def extra_repr(self) -> str:
        """Arguments, for printing."""
        return (
            f'lambda_l1={self.lambda_l1}, lambda_ssim={self.lambda_ssim}, '
            f'lambda_sam={self.lambda_sam}'
        )
