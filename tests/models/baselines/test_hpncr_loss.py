# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from torchgeo_tdpcr.metrics.functional import spectral_angle
from torchgeo_tdpcr.models.baselines.hpncr.loss import (
    SCALES,
    HPNCRLoss,
    multiscale_ssim,
    spectral_angle_loss,
)


def gaussian_mean(image: np.ndarray) -> np.ndarray:
    """Means under the window of SSIM, where it lies within the image."""
    weights = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    patches = sliding_window_view(image, (11, 11), axis=(-2, -1))
    return np.einsum('...ij,i,j->...', patches, weights, weights)


def test_loss_in_numpy() -> None:
    """With one scale, which is that of images below 22 pixels."""
    rng = np.random.default_rng(0)
    target = rng.random((2, 3, 20, 17))
    prediction = np.clip(target + rng.normal(0, 0.1, target.shape), 0, 1)

    error = (0.5 * (prediction - target) ** 2).mean()
    # torchmetrics takes the mean of SSIM with mirrored borders
    edges = ((0, 0), (0, 0), (5, 5), (5, 5))
    x, y = (np.pad(image, edges, mode='reflect') for image in (prediction, target))
    mean_x, mean_y = gaussian_mean(x), gaussian_mean(y)
    variance_x = gaussian_mean(x * x) - mean_x**2
    variance_y = gaussian_mean(y * y) - mean_y**2
    covariance = gaussian_mean(x * y) - mean_x * mean_y
    ssim = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
    ssim /= (mean_x**2 + mean_y**2 + 1e-4) * (variance_x + variance_y + 9e-4)
    # a single scale has the exponent of all five together
    similarity = (ssim.mean((1, 2, 3)) ** sum(SCALES)).mean()
    cosine = (prediction * target).sum(1) / (
        np.linalg.norm(prediction, axis=1) * np.linalg.norm(target, axis=1)
    )
    angle = np.degrees(np.arccos(cosine)).mean()
    expected = 0.2 * error + 0.8 * (1 - similarity) + 0.005 * angle

    terms = HPNCRLoss().terms(torch.from_numpy(prediction), torch.from_numpy(target))
    assert terms['loss_l1'].item() == pytest.approx(error, rel=1e-6)
    assert terms['loss_ssim'].item() == pytest.approx(1 - similarity, rel=1e-4)
    assert terms['loss_sam'].item() == pytest.approx(angle, rel=1e-6)
    assert terms['loss'].item() == pytest.approx(expected, rel=1e-4)


def test_multiscale_ssim_is_the_usual_one_for_large_images() -> None:
    torch.manual_seed(0)
    target = torch.rand(2, 2, 176, 180)
    prediction = target + 0.3 * torch.rand_like(target)
    expected = multiscale_structural_similarity_index_measure(
        prediction, target, data_range=1.0, reduction='none'
    )
    torch.testing.assert_close(multiscale_ssim(prediction, target), expected)


@pytest.mark.parametrize('side', [11, 21, 22, 43, 44, 98, 99, 128])
def test_multiscale_ssim_of_small_crops(side: int) -> None:
    torch.manual_seed(0)
    target = torch.rand(1, 2, side, side)
    prediction = (target + 0.2 * torch.rand_like(target)).requires_grad_()
    value = multiscale_ssim(prediction, target)
    value.sum().backward()
    assert 0.5 < value.item() < 1
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()
    torch.testing.assert_close(multiscale_ssim(target, target), torch.ones(1))


def test_spectral_angle_is_that_of_the_metric() -> None:
    torch.manual_seed(0)
    prediction, target = torch.rand(2, 2, 13, 9, 9)
    torch.testing.assert_close(
        spectral_angle_loss(prediction, target),
        spectral_angle(prediction, target).mean(),
    )


def test_loss_has_finite_gradients_where_formulas_have_none() -> None:
    target = torch.rand(1, 3, 32, 32)
    # the same and the opposite spectrum, an anticorrelated image, and no spectrum
    for prediction in (target.clone(), -target, 1 - target, torch.zeros_like(target)):
        for truth in (target, torch.zeros_like(target)):
            prediction = prediction.detach().requires_grad_()
            loss = HPNCRLoss()(prediction, truth)
            loss.backward()
            assert loss.isfinite()
            assert prediction.grad is not None
            assert prediction.grad.isfinite().all()


def test_loss_is_in_full_precision_under_autocast() -> None:
    torch.manual_seed(0)
    prediction, target = torch.rand(2, 1, 13, 32, 32)
    exact = HPNCRLoss()(prediction, target)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(HPNCRLoss()(prediction, target), exact)


def test_wrong_losses() -> None:
    image = torch.rand(1, 3, 10, 12)
    with pytest.raises(ValueError, match='at least 11'):
        HPNCRLoss()(image, image)
    with pytest.raises(ValueError, match='Give at least two'):
        spectral_angle_loss(image[:, :1], image[:, :1])
    with pytest.raises(ValueError, match='lambda_sam'):
        HPNCRLoss(lambda_sam=-1)
    assert repr(HPNCRLoss()) == (
        'HPNCRLoss(lambda_l1=0.2, lambda_ssim=0.8, lambda_sam=0.005)'
    )
