# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The loss of HPN-CR: smooth L1, multi-scale SSIM and the angle between bands.

P. Gu et al.: *HPN-CR: Heterogeneous Parallel Network for SAR-Optical Data Fusion Cloud
Removal*, IEEE Transactions on Geoscience and Remote Sensing, 2025.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from ....metrics.functional._checks import (
    check_data_range,
    check_images,
    to_full_precision,
)

#: Exponents of the scales, finest first (Wang, Simoncelli, Bovik, 2003).
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

#: Height and width of the Gaussian window of SSIM.
SSIM_WINDOW = 11


def multiscale_ssim(
    prediction: Tensor, target: Tensor, data_range: float = 1.0
) -> Tensor:
    """Multi-scale SSIM of each band of each image, for small crops too.

    The window is an 11×11 Gaussian of σ 1.5, only where it lies within the image;
    between scales, 2×2 pixels are averaged (an odd row or column at the end is left
    out). Each band has its own product over the scales: of the mean contrast and
    structure, at the coarsest of the mean SSIM.
    :func:`torchmetrics.functional.image.multiscale_structural_similarity_index_measure`
    averages over bands before it multiplies, and mirrors borders at the coarsest scale.

    Images below 176 pixels have as many of the five scales as the window fits: four
    from 88 pixels, three from 44, two from 22, one from 11; the exponents are then
    scaled to the sum of the five. A band with a scale on which it is anticorrelated with
    its target scores 0, and its gradient is 0.

    Args:
        prediction: B×C×H×W, floating point, H and W at least 11.
        target: The same shape.
        data_range: Largest minus smallest possible value of the images.

    Returns:
        B×C, between 0 and 1; float32, or float64 where an input is.

    Raises:
        TypeError: If one of them is not floating point.
        ValueError: If shapes or sizes do not fit.

    Example:
        >>> image = torch.rand(2, 13, 64, 64)
        >>> torch.allclose(multiscale_ssim(image, image), torch.ones(2, 13))
        True
    """
    check_images(prediction, target)
    data_range = check_data_range(data_range)
    side = min(prediction.shape[-2:])
    count = sum(side >> i >= SSIM_WINDOW for i in range(len(SCALES)))
    if not count:
        raise ValueError(
            f'`prediction` has {tuple(prediction.shape[-2:])} pixels, but needs at least '
            f'{SSIM_WINDOW} in height and width. Take larger crops.'
        )
    share = sum(SCALES) / sum(SCALES[:count])
    shape = prediction.shape[:2]
    with torch.autocast(prediction.device.type, enabled=False):
        x, y = to_full_precision(prediction, target)
        # Bands as images of their own, for torchmetrics averages over the bands
        x, y = (image.flatten(0, 1)[:, None] for image in (x, y))
        similarity = x.new_ones(len(x))
        for i, exponent in enumerate(SCALES[:count]):
            if i:
                x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
            value = _similarity(x, y, data_range, structure=i < count - 1)
            similarity = similarity * value.relu() ** (share * exponent)
    return similarity.view(shape)


def _similarity(x: Tensor, y: Tensor, data_range: float, structure: bool) -> Tensor:
    """Mean SSIM of each image without the borders, or its contrast and structure."""
    _, part = structural_similarity_index_measure(
        x,
        y,
        data_range=data_range,
        reduction=None,
        return_full_image=not structure,
        return_contrast_sensitivity=structure,
    )
    if structure:
        return part
    edge = SSIM_WINDOW // 2
    return part[..., edge:-edge, edge:-edge].mean((1, 2, 3))


def band_angle(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean angle between predicted and true bands, in degrees.

    Each band of each image is one vector of all its pixels. This is not the spectral
    angle of pixels, :func:`torchgeo_tdpcr.metrics.functional.spectral_angle`; it is what
    the authors train with under its name.

    They do not clamp the cosine, so that the arc cosine or its gradient is not finite
    where two bands point in one direction (or in opposite ones), or where rounding takes
    a cosine beyond 1. Such cosines are taken as the number next to ±1 here: 0.02° in
    float32, with gradient 0. A band that is 0 throughout is at 90°. Everywhere else
    value and gradient are the authors'.

    Args:
        prediction: B×C×H×W, floating point.
        target: The same shape.

    Returns:
        A scalar, float32, or float64 where an input is.

    Raises:
        TypeError: If one of them is not floating point.
        ValueError: If shapes do not fit.

    Example:
        >>> first, second = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).view(2, 1, 1, 1, 2)
        >>> band_angle(first, second)
        tensor(45.)
    """
    check_images(prediction, target)
    with torch.autocast(prediction.device.type, enabled=False):
        x, y = to_full_precision(prediction, target)
        cosine = F.cosine_similarity(x.flatten(2), y.flatten(2), dim=2)
        limit = 1 - torch.finfo(cosine.dtype).eps / 2
        return torch.rad2deg(cosine.clamp(-limit, limit).acos()).mean()


def loss_terms(prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    r"""The terms that HPN-CR is trained with, and their weighted sum.

    .. math::

        L = 0.2 \operatorname{SmoothL1} + 0.8 \, (1 - \operatorname{MS-SSIM})
            + 0.005 \operatorname{SAM}

    The parabola of smooth L1 ends at an error of 1. MS-SSIM is the mean of
    :func:`multiscale_ssim` over bands and images, SAM :func:`band_angle` in degrees.

    Args:
        prediction: B×C×H×W in [0, 1], floating point, H and W at least 11.
        target: The same shape.

    Returns:
        Scalars: ``loss_l1``, ``loss_ssim`` and ``loss_sam`` without their weights, and
        ``loss``.

    Raises:
        TypeError: If one of them is not floating point.
        ValueError: If shapes or sizes do not fit.

    Example:
        >>> image = torch.rand(1, 13, 32, 32)
        >>> bool(loss_terms(image, image)['loss'] < 0.001)
        True
    """
    check_images(prediction, target)
    prediction, target = to_full_precision(prediction, target)
    error = F.smooth_l1_loss(prediction, target)
    dissimilarity = 1 - multiscale_ssim(prediction, target).mean()
    angle = band_angle(prediction, target)
    return {
        'loss': 0.2 * error + 0.8 * dissimilarity + 0.005 * angle,
        'loss_l1': error,
        'loss_ssim': dissimilarity,
        'loss_sam': angle,
    }
