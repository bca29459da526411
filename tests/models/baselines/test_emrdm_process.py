# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import numpy as np
import pytest
import torch

from torchgeo_tdpcr.models.baselines.emrdm.process import MeanReverting

LEVELS = np.array([0.001, 0.1, 1.0, 9.0, 100.0])


def test_mean_moves_to_the_cloudy_image() -> None:
    process = MeanReverting()
    clear, cloudy = torch.rand(2, 1, 13, 64, 64, dtype=torch.float64)
    noise = torch.randn_like(clear)
    for level in torch.tensor(LEVELS):
        y = process.perturb(clear, cloudy, level, noise)
        torch.testing.assert_close(y, clear + 3 * level * cloudy + level * noise)
        torch.testing.assert_close(process.start(cloudy, level, noise), y - clear)
    # As shares of 1: the cloudy image, with a third of the noise
    share = y / (1 + 3 * level)
    torch.testing.assert_close(share, cloudy + noise / 3, atol=0.01, rtol=0)


def test_steps_are_those_of_the_authors() -> None:
    i = np.arange(5)
    expected = (100 ** (1 / 7) + i / 4 * (0.001 ** (1 / 7) - 100 ** (1 / 7))) ** 7
    steps = MeanReverting().steps(5).numpy()
    np.testing.assert_allclose(steps[:-1], expected, rtol=1e-5)
    assert steps[-1] == 0
    np.testing.assert_allclose(expected, [100, 20.656, 2.688, 0.1495, 0.001], rtol=5e-4)


def test_levels_of_training_are_lognormal() -> None:
    normal = torch.tensor([-2.0, 0.0, 1.0])
    expected = np.exp([-3.6, -1.2, 0.0])
    found = MeanReverting().training_sigma(normal)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_preconditioning_is_that_of_the_authors() -> None:
    k = 3 * LEVELS
    variance = LEVELS**2 + 1 + k**2 + 1.8 * k
    factors = MeanReverting().precondition(torch.tensor(LEVELS, dtype=torch.float32))
    np.testing.assert_allclose(factors.into, variance**-0.5, rtol=1e-6)
    np.testing.assert_allclose(factors.skip, (1 + 0.9 * k) / variance, rtol=1e-6)
    out = np.sqrt(((LEVELS**2 + k**2) - 0.81 * k**2) / variance)
    np.testing.assert_allclose(factors.out, out, rtol=1e-6)
    np.testing.assert_allclose(factors.level, np.log(LEVELS) / 4, rtol=1e-6)


@pytest.mark.parametrize('correlation', [0.0, 0.9, -0.3])
def test_preconditioning_is_the_best_linear_estimate(correlation: float) -> None:
    process = MeanReverting(sigma_data=0.6, sigma_mean=1.3, correlation=correlation)
    moments = np.array(
        [[0.36, 0.78 * correlation, 0], [0.78 * correlation, 1.69, 0], [0, 0, 1]]
    )
    weights = np.stack([np.ones(5), 3 * LEVELS, LEVELS])
    variance = np.einsum('in,ij,jn->n', weights, moments, weights)
    covariance = moments[0] @ weights
    factors = process.precondition(torch.tensor(LEVELS, dtype=torch.float32))
    np.testing.assert_allclose(factors.into, variance**-0.5, rtol=1e-5)
    np.testing.assert_allclose(factors.skip, covariance / variance, rtol=1e-4)
    np.testing.assert_allclose(
        factors.out, np.sqrt(0.36 - covariance**2 / variance), rtol=1e-4
    )


def test_preconditioning_is_that_of_edm_where_there_is_no_reversion() -> None:
    process = MeanReverting(reversion=1e-9, sigma_data=0.5)
    sigma = torch.tensor([0.01, 0.5, 10.0])
    factors = process.precondition(sigma)
    total = (sigma**2 + 0.25).sqrt()
    torch.testing.assert_close(factors.skip, 0.25 / total**2)
    torch.testing.assert_close(factors.out, 0.5 * sigma / total)
    torch.testing.assert_close(factors.into, 1 / total)


def test_fresh_noise_keeps_to_the_process_but_for_its_strength() -> None:
    y, cloudy, noise = (torch.tensor(v) for v in (7.0, 0.3, -1.5))
    sigma = torch.tensor(2.0)
    moved, raised = MeanReverting().churned(y, cloudy, sigma, noise, 5)
    assert raised == 4
    expected = 7.0 + 3 * 2.0 * 0.3 + 1.023 * np.sqrt(3) * 2.0 * -1.5
    assert moved.item() == pytest.approx(expected, rel=1e-6)
    # Five in all, whatever the number of steps
    assert MeanReverting().churned(y, cloudy, sigma, noise, 10)[1] == 3
    still, same = MeanReverting(churn=0).churned(y, cloudy, sigma, noise, 5)
    assert (still, same) == (y, sigma)
    # With noise as strong as in the process, the variances add up
    fresh = MeanReverting(churn_noise=1).churned(0 * y, 0 * y, sigma, 1 + 0 * y, 5)[0]
    assert fresh**2 + sigma**2 == pytest.approx(raised**2)


def test_euler_step_follows_the_slope() -> None:
    y, clear = np.random.default_rng(0).normal(size=(2, 4))
    expected = y + (2.0 - 3.0) * (y - clear) / 3.0
    step = MeanReverting().euler_step(*map(torch.tensor, (y, clear, 3.0, 2.0)))
    np.testing.assert_allclose(step.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'reversion': 0.0}, '`reversion=0.0`'),
        ({'log_std': -1.0}, '`log_std=-1.0`'),
        ({'churn': -1.0}, '`churn=-1.0`'),
        ({'sigma_min': 100.0}, '`sigma_max=100.0`'),
        ({'correlation': 1.0}, '`correlation=1.0`'),
    ],
)
def test_wrong_process(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        MeanReverting(**arguments)
