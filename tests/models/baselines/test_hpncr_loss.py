# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from torchgeo_tdpcr.models.baselines.hpncr.loss import (
    SCALES,
    band_angle,
    loss_terms,
    multiscale_ssim,
)


def gaussian_mean(image: np.ndarray) -> np.ndarray:
    """Means under the window of SSIM, where it lies within the image."""
    weights = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    patches = sliding_window_view(image, (11, 11), axis=(-2, -1))
    return np.einsum('...ij,i,j->...', patches, weights, weights)


def similarities(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean SSIM of each band, and of its contrast and structure alone."""
    mean_x, mean_y = gaussian_mean(x), gaussian_mean(y)
    variance_x = gaussian_mean(x * x) - mean_x**2
    variance_y = gaussian_mean(y * y) - mean_y**2
    covariance = gaussian_mean(x * y) - mean_x * mean_y
    structure = (2 * covariance + 9e-4) / (variance_x + variance_y + 9e-4)
    luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
    return (luminance * structure).mean((-2, -1)), structure.mean((-2, -1))


def halved(image: np.ndarray) -> np.ndarray:
    height, width = (n // 2 * 2 for n in image.shape[-2:])
    image = image[..., :height, :width]
    shape = (*image.shape[:-2], height // 2, 2, width // 2, 2)
    return np.asarray(image.reshape(shape).mean((-3, -1)))


def ms_ssim(x: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Multi-scale SSIM of each band."""
    exponents = np.array(SCALES[:count]) * sum(SCALES) / sum(SCALES[:count])
    value = np.ones(x.shape[:2])
    for i, exponent in enumerate(exponents):
        whole, structure = similarities(x, y)
        value *= np.maximum(structure if i < count - 1 else whole, 0) ** exponent
        x, y = halved(x), halved(y)
    return value


def noisy(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = rng.random(shape)
    # Bands that differ in their noise, so that means over them matter
    spread = np.linspace(0.05, 0.4, shape[1])[:, None, None]
    return np.clip(target + spread * rng.normal(size=shape), 0, 1), target


def test_loss_in_numpy() -> None:
    """With three scales, as many as fit into images from 44 to 87 pixels."""
    prediction, target = noisy(2, 3, 50, 45)
    error = (0.5 * (prediction - target) ** 2).mean()
    dissimilarity = (1 - ms_ssim(prediction, target, 3)).mean()
    angles = []
    for i in range(2):
        for band in range(3):
            x, y = prediction[i, band].ravel(), target[i, band].ravel()
            cosine = x @ y / (np.linalg.norm(x) * np.linalg.norm(y))
            angles.append(np.degrees(np.arccos(cosine)))
    angle = np.mean(angles)
    expected = 0.2 * error + 0.8 * dissimilarity + 0.005 * angle

    terms = loss_terms(torch.from_numpy(prediction), torch.from_numpy(target))
    assert terms['loss_l1'].item() == pytest.approx(error, rel=1e-6)
    assert terms['loss_ssim'].item() == pytest.approx(dissimilarity, rel=1e-6)
    assert terms['loss_sam'].item() == pytest.approx(angle, rel=1e-6)
    assert terms['loss'].item() == pytest.approx(expected, rel=1e-6)


def test_multiscale_ssim_of_each_band_in_numpy() -> None:
    prediction, target = noisy(1, 2, 176, 177)
    found = multiscale_ssim(torch.from_numpy(prediction), torch.from_numpy(target))
    np.testing.assert_allclose(found.numpy(), ms_ssim(prediction, target, 5), rtol=1e-6)
    # torchmetrics mirrors borders at the coarsest scale, which is a small part
    usual = multiscale_structural_similarity_index_measure(
        torch.from_numpy(prediction)[:, :1],
        torch.from_numpy(target)[:, :1],
        data_range=1.0,
    )
    assert found[0, 0].item() == pytest.approx(usual.item(), abs=2e-3)


@pytest.mark.parametrize(
    ('side', 'count'), [(11, 1), (21, 1), (22, 2), (43, 2), (44, 3), (87, 3), (88, 4)]
)
def test_multiscale_ssim_of_small_crops(side: int, count: int) -> None:
    x, y = noisy(1, 2, side, side)
    prediction = torch.from_numpy(x).requires_grad_()
    value = multiscale_ssim(prediction, torch.from_numpy(y))
    np.testing.assert_allclose(value.detach(), ms_ssim(x, y, count), rtol=1e-6)
    value.sum().backward()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()


def test_loss_has_finite_gradients_where_formulas_have_none() -> None:
    target = torch.rand(1, 3, 32, 32)
    # the same and the opposite direction, an anticorrelated image, and no image
    for prediction in (target.clone(), -target, 1 - target, torch.zeros_like(target)):
        for truth in (target, torch.zeros_like(target)):
            prediction = prediction.detach().requires_grad_()
            loss = loss_terms(prediction, truth)['loss']
            loss.backward()
            assert loss.isfinite()
            assert prediction.grad is not None
            assert prediction.grad.isfinite().all()


def test_band_angle_is_not_clamped_short_of_what_is_finite() -> None:
    """The largest cosine below 1 has the arc cosine and the gradient of the formula."""
    size = 4096
    target = torch.ones(1, 1, 64, 64)
    prediction = target + 1e-3 * torch.linspace(-1, 1, size).view(1, 1, 64, 64)
    prediction.requires_grad_()
    angle = band_angle(prediction, target)
    angle.backward()
    exact = prediction.detach().double().ravel()
    cosine = exact.sum() / (exact.norm() * size**0.5)
    assert 1 - 1e-6 < cosine < 1
    # half a unit in the last place of the cosine is a fifth of this angle
    assert angle.item() == pytest.approx(cosine.acos().rad2deg().item(), rel=0.25)
    assert prediction.grad is not None
    assert prediction.grad.any()
    same = band_angle(target, target)
    assert 0 < same < 0.03


def test_loss_is_in_full_precision_under_autocast() -> None:
    torch.manual_seed(0)
    prediction, target = torch.rand(2, 1, 13, 32, 32)
    exact = loss_terms(prediction, target)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(loss_terms(prediction, target), exact)


def test_too_small_for_the_loss() -> None:
    image = torch.rand(1, 3, 10, 12)
    with pytest.raises(ValueError, match='at least 11'):
        loss_terms(image, image)
