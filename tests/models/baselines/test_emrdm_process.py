# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import math

import numpy as np
import pytest
import torch

from torchgeo_tdpcr.models.baselines.emrdm.process import MeanReverting, seeded_noise


def test_mean_reversion_limits() -> None:
    process = MeanReverting()
    clear, cloudy = torch.rand(2, 1, 13, 64, 64)
    noise = torch.randn(1, 13, 64, 64)
    start, end = (
        process.perturb(clear, cloudy, process.sigma(torch.tensor(t)), noise)
        for t in (0.0, 1.0)
    )
    torch.testing.assert_close(start, clear, atol=0.011, rtol=0)
    torch.testing.assert_close(
        process.perturb(clear, cloudy, torch.tensor(0.0), noise), clear
    )
    torch.testing.assert_close(end, cloudy + 0.5 * noise, atol=0.01, rtol=0)
    halfway = process.mixture(torch.tensor(process.noise))
    torch.testing.assert_close(halfway.keep, torch.tensor(math.sqrt(0.5)))
    # The noise never exceeds its limit, and the clear image only ever fades.
    path = process.mixture(process.sigma(torch.linspace(0, 1, 50)))
    assert (path.keep.diff() < 0).all()
    assert (path.spread.diff() > 0).all()
    assert path.spread[-1] < process.noise


def test_steps_are_those_of_edm() -> None:
    process = MeanReverting()
    i = np.arange(5)
    expected = (80 ** (1 / 7) + i / 4 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    steps = process.steps(5).numpy()
    np.testing.assert_allclose(steps[:-1], expected, rtol=1e-4)
    assert steps[-1] == 0


@pytest.mark.parametrize('correlation', [0.0, 0.9, -0.3])
def test_preconditioning_is_the_best_linear_estimate(correlation: float) -> None:
    process = MeanReverting(sigma_data=0.6, sigma_mean=1.3, correlation=correlation)
    sigma = np.array([0.002, 0.1, 1.0, 9.0, 80.0])
    s = 1 / np.sqrt(1 + (sigma / 0.5) ** 2)
    moments = np.array(
        [[0.36, 0.78 * correlation, 0], [0.78 * correlation, 1.69, 0], [0, 0, 1]]
    )
    weights = np.stack([s, 1 - s, s * sigma])
    variance = np.einsum('in,ij,jn->n', weights, moments, weights)
    covariance = moments[0] @ weights
    factors = process.precondition(torch.tensor(sigma, dtype=torch.float32))
    np.testing.assert_allclose(factors.into, variance**-0.5, rtol=1e-5)
    np.testing.assert_allclose(factors.skip, covariance / variance, rtol=1e-4)
    np.testing.assert_allclose(
        factors.out, np.sqrt(0.36 - covariance**2 / variance), rtol=1e-4
    )
    np.testing.assert_allclose(factors.level, np.log(sigma) / 4, rtol=1e-5)


def test_preconditioning_is_that_of_edm_where_there_is_no_reversion() -> None:
    # With an endless limit of the noise, s stays 1: the process of EDM.
    process = MeanReverting(noise=1e6)
    sigma = torch.tensor([0.01, 0.5, 10.0])
    factors = process.precondition(sigma)
    total = (sigma**2 + 0.25).sqrt()
    torch.testing.assert_close(factors.skip, 0.25 / total**2)
    torch.testing.assert_close(factors.out, 0.5 * sigma / total)
    torch.testing.assert_close(factors.into, 1 / total)


def test_euler_step_solves_the_equation_of_the_scaled_difference() -> None:
    process = MeanReverting()
    generator = np.random.default_rng(0)
    x, clear, cloudy = generator.normal(size=(3, 4))
    sigma, following = 3.0, 2.0
    s, t = (1 / np.sqrt(1 + (v / 0.5) ** 2) for v in (sigma, following))
    y = (x - cloudy) / s
    y = y + (following - sigma) * (y - (clear - cloudy)) / sigma
    step = process.euler_step(
        *(torch.tensor(v) for v in (x, clear, cloudy, sigma, following))
    )
    np.testing.assert_allclose(step.numpy(), t * y + cloudy, rtol=1e-6)


def test_seeded_noise_is_standard_normal() -> None:
    noise = seeded_noise((13, 128, 128), seed=3)
    assert noise.shape == (1, 13, 128, 128)
    assert noise.mean().abs() < 0.01
    assert (noise.std() - 1).abs() < 0.01
    assert (noise.abs() < 1.96).float().mean().sub(0.95).abs() < 0.003
    assert noise.pow(4).mean().sub(3).abs() < 0.1
    for other in (
        noise.roll(1, 1),
        noise.roll(1, 2),
        noise.roll(1, 3),
        seeded_noise((13, 128, 128), seed=4),
    ):
        assert (noise * other).mean().abs() < 0.01


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'noise': 0.0}, '`noise=0.0`'),
        ({'sigma_min': 80.0}, '`sigma_max=80.0`'),
        ({'correlation': 1.0}, '`correlation=1.0`'),
    ],
)
def test_wrong_process(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        MeanReverting(**arguments)
