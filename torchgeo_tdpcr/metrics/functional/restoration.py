# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""PSNR, SSIM, MAE and SAM of each image, over all, cloudy and clear pixels.

Each measure is first a map with one value a pixel, and the value for any part of the
image is the map's mean over that part. So one pass gives all of them.
"""

import torch
from torch import Tensor
from torchmetrics.functional.image import spectral_angle_mapper

from ._checks import check_data_range, check_images, check_mask_cloud, to_full_precision
from .ssim import Border, ssim_map

#: The measures, in the order of every tensor here that has one row for each.
MEASURES = ('psnr', 'ssim', 'mae', 'sam')

#: Mean squared errors below this share of the squared data range count as this: the
#: PSNR of identical images is then 100 dB, not infinite, and means stay finite.
MSE_FLOOR = 1e-10


def spectral_angle(prediction: Tensor, target: Tensor) -> Tensor:
    """Angle between the two spectra at every pixel, in degrees.

    Where one spectrum is zero in all bands it has no direction: the angle is then 0 if
    the other is zero as well, and 90 otherwise. The arc cosine in float32 resolves
    angles above about 0.03°.

    Source: Kruse et al., *The spectral image processing system (SIPS)*, Remote Sensing
    of Environment 44, 1993.

    Args:
        prediction: B×C×H×W with at least two bands.
        target: The same shape.

    Returns:
        B×H×W between 0 and 180.

    Raises:
        ValueError: If there is only one band.

    Examples:
        >>> dark, bright = torch.rand(1, 13, 4, 4), torch.rand(1, 13, 4, 4)
        >>> angle = spectral_angle(dark, bright)
        >>> torch.allclose(angle, spectral_angle(dark, 2 * bright), atol=0.01)
        True
    """
    if prediction.shape[1] < 2:
        raise ValueError(
            '`prediction` has one band, which has no spectral angle. Give at least two.'
        )
    # norms over the bands take a tenth of the time where the bands of a pixel adjoin
    prediction, target = (
        image.contiguous(memory_format=torch.channels_last)
        for image in to_full_precision(prediction, target)
    )
    angle = torch.rad2deg(spectral_angle_mapper(prediction, target, reduction='none'))
    # amax and not a norm, whose square underflows
    no_prediction = prediction.abs().amax(1) == 0
    no_target = target.abs().amax(1) == 0
    angle = torch.where(no_prediction ^ no_target, 90.0, angle)
    return torch.where(no_prediction & no_target, 0.0, angle)


def score_images(
    prediction: Tensor,
    target: Tensor,
    mask_cloud: Tensor | None = None,
    data_range: float = 1.0,
    ssim_border: Border = 'reflect',
) -> tuple[Tensor, Tensor]:
    """Score every image over all of its pixels and over each kind of pixel.

    Args:
        prediction: B×C×H×W, floating point.
        target: The same shape.
        mask_cloud: B×H×W, 1 where cloud or shadow.
        data_range: Largest minus smallest possible value.
        ssim_border: What SSIM finds beyond the borders, see :func:`ssim_map`.

    Returns:
        The scores, parts × 4 × B, and the number of pixels behind them, parts × B. The
        parts are all pixels and, with a mask, the cloudy and the clear ones; a part
        without pixels scores NaN.

    Raises:
        TypeError: If an image is not floating point or the mask is.
        ValueError: If shapes, sizes or values do not fit.
    """
    check_images(prediction, target)
    data_range = check_data_range(data_range)
    batch, _, height, width = prediction.shape
    prediction, target = to_full_precision(prediction, target)
    # the layout that kornia's SSIM is fast in
    prediction, target = prediction.contiguous(), target.contiguous()
    difference = prediction - target
    maps = torch.stack(
        (
            difference.square().mean(1),
            ssim_map(prediction, target, data_range, ssim_border).mean(1),
            difference.abs().mean(1),
            spectral_angle(prediction, target),
        )
    )
    sums = [maps.sum((-2, -1))]
    pixels = [torch.full((batch,), height * width, device=maps.device)]
    if mask_cloud is not None:
        check_mask_cloud(mask_cloud, (batch, height, width))
        cloudy = mask_cloud.to(maps.device, torch.bool)
        for part in (cloudy, ~cloudy):
            sums.append(torch.where(part, maps, 0.0).sum((-2, -1)))
            pixels.append(part.sum((-2, -1)))
    count = torch.stack(pixels)
    scores = torch.stack(sums) / count[:, None]
    error = scores[:, 0].clamp(min=MSE_FLOOR * data_range**2)
    scores[:, 0] = 10 * torch.log10(data_range**2 / error)
    return scores, count


def restoration_scores(
    prediction: Tensor,
    target: Tensor,
    mask_cloud: Tensor | None = None,
    data_range: float = 1.0,
    ssim_border: Border = 'reflect',
) -> dict[str, Tensor]:
    """PSNR (dB), SSIM, MAE and SAM (degrees) of each image.

    The values are not clipped to the data range first. Computed in float32, whatever
    the precision of the input, or in float64 where an input is.

    Args:
        prediction: B×C×H×W, floating point, H and W at least 6, two bands or more.
        target: The same shape.
        mask_cloud: B×H×W, 1 where cloud or shadow.
        data_range: Largest minus smallest possible value.
        ssim_border: What SSIM finds beyond the borders: ``'reflect'``, their mirror
            image, or ``'zeros'``, as most published figures; see :func:`ssim_map`.

    Returns:
        One tensor of length B for each of ``psnr``, ``ssim``, ``mae``, ``sam`` and,
        with a mask, the same with ``_cloudy`` and ``_clear``: NaN for images without
        such pixels.

    Raises:
        TypeError: If an image is not floating point or the mask is.
        ValueError: If shapes, sizes or values do not fit.

    Examples:
        >>> target = torch.full((2, 13, 16, 16), 0.25)
        >>> scores = restoration_scores(target + 0.1, target)
        >>> scores['psnr']
        tensor([20., 20.])
    """
    scores, _ = score_images(prediction, target, mask_cloud, data_range, ssim_border)
    return {
        f'{measure}{part}': value
        for part, values in zip(('', '_cloudy', '_clear'), scores, strict=False)
        for measure, value in zip(MEASURES, values, strict=True)
    }
