# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import (
    Pair,
    check_autocast,
    check_gradients,
    fit,
    on_meta,
    pair,
)
from torch import Tensor

from torchgeo_tdpcr.models import get_model
from torchgeo_tdpcr.models.baselines.emrdm.model import EMRDM, RECIPE
from torchgeo_tdpcr.models.baselines.emrdm.process import seeded_noise
from torchgeo_tdpcr.models.registry import get_recipe


class TestEMRDM(BaselineTests):
    name = 'emrdm'
    arguments = {
        'dims': (16, 32, 32),
        'depths': (1, 1, 1),
        'hidden': (32, 64, 64),
        'head_dim': 8,
        'neighbourhood_levels': 2,
        'mapping_dim': 16,
        'mapping_hidden': 32,
        'mapping_depth': 1,
    }
    optimizer = (
        torch.optim.AdamW,
        {'lr': 1e-4, 'betas': (0.9, 0.95), 'weight_decay': 0.01},
    )
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'steps': 0}, '`steps=0`'),
        ({'dims': (16, 32)}, '`dims='),
        ({'dims': (16, 32, 36)}, '`head_dim=8`'),
        ({'head_dim': 4}, '`head_dim=4`'),
        ({'kernel_size': 4}, '`kernel_size=4`'),
        ({'mapping_dim': 7}, '`mapping_dim=7`'),
    )
    traced_size = (24, 24)
    tolerance = {'atol': 1e-5, 'rtol': 1e-4}

    @classmethod
    def build(cls, **kwargs: Any) -> EMRDM:
        """With layers that start at zero set to noise, so that every block matters."""
        model: EMRDM = super().build(**kwargs)
        for parameter in model.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
        return model

    @classmethod
    def build_traced(cls) -> EMRDM:
        return cls.build(
            dims=(16, 32),
            depths=(1, 1),
            hidden=(32, 64),
            neighbourhood_levels=1,
            steps=2,
        )

    # Gradients through all steps make these three times as slow
    test_any_size = torch.no_grad()(BaselineTests.test_any_size)
    test_compiles_without_graph_breaks = torch.no_grad()(
        BaselineTests.test_compiles_without_graph_breaks
    )
    test_exports = torch.no_grad()(BaselineTests.test_exports)


tiny = TestEMRDM.build


def inputs(batch: int = 2, height: int = 24, width: int = 24) -> Pair:
    return pair(batch, height, width)


def test_parameters_and_steps_of_the_paper() -> None:
    model, parameters, counter = on_meta(lambda: get_model('emrdm'))
    assert isinstance(model, EMRDM)
    assert parameters == 39_133_515
    assert model.steps == 5
    products = counter.get_total_flops() / 2e9 / 5
    assert round(products, 1) == 206.9
    # Each pixel needs 7×7 keys, but its tile of 8×8 has 14×14, in four blocks a level.
    excess = 4 * 2 * (14**2 - 7**2) * (256**2 * 128 + 128**2 * 256) / 1e9
    assert round(products - excess) == 192
    assert model.denoiser.patch_in.in_features == 28
    kernels = [
        block.attention.kernel_size
        for stage in [*model.denoiser.down_stages, model.denoiser.middle]
        for block in stage
    ]
    assert kernels == [7, 7, 7, 7, None, None, None, None]
    assert get_recipe('emrdm') is RECIPE


def test_sampler_is_deterministic_under_a_seed() -> None:
    model = tiny()
    image, sar = inputs()
    with torch.no_grad():
        first = model(image, sar)['reconstruction']
        torch.manual_seed(99)
        assert torch.equal(model(image, sar)['reconstruction'], first)
        assert torch.equal(model(image, sar, seed=0)['reconstruction'], first)
        other = model(image, sar, seed=1)['reconstruction']
    assert (other - first).abs().max() > 1e-4


def test_sampler_is_five_euler_steps_in_numpy() -> None:
    model = tiny()
    image, sar = inputs(1)
    with torch.no_grad():
        out = model(image, sar)['reconstruction'].numpy()
    cloudy = 5 * image - 1
    noise = seeded_noise((13, 24, 24), 0).double().numpy()
    sigmas = [*((80 ** (1 / 7) * (1 - i / 4) + 0.002 ** (1 / 7) * i / 4) ** 7
                for i in range(5)), 0.0]  # fmt: skip
    y = noise * sigmas[0]
    for sigma, following in pairwise(sigmas):
        s = 1 / np.sqrt(1 + (sigma / 0.5) ** 2)
        x = torch.tensor(s * y + cloudy.numpy(), dtype=torch.float32)
        with torch.no_grad():
            clear = model.denoise(
                x, cloudy, 2 * sar - 1, torch.full((1, 1, 1, 1), sigma)
            )
        y = y + (following - sigma) / sigma * (y - (clear - cloudy).numpy())
    expected = (y + cloudy.numpy() + 1) / 5
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_a_perfect_denoiser_gives_the_clear_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny()
    image, sar = inputs(2, 45, 70)
    clear = torch.rand(2, 13, 48, 72)
    monkeypatch.setattr(model, 'denoise', lambda *_: 5 * clear - 1)
    out = model(image, sar)['reconstruction']
    torch.testing.assert_close(out, clear[..., :45, :70])


def test_output_is_channels_last_and_sar_matters() -> None:
    model = tiny()
    image, sar = inputs()
    with torch.no_grad():
        out = model(image, sar)['reconstruction']
        other = model(image, 1 - sar)['reconstruction']
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert (out - other).abs().max() > 1e-4


def test_every_parameter_gets_a_gradient() -> None:
    model = tiny()
    image, sar = inputs()
    model.training_loss(image, sar, image.flip(0)).backward()
    check_gradients(model)


def test_training_loss_is_the_weighted_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    image, sar = inputs(2, 21, 24)
    clear = image.flip(0)
    # A wrong estimate of 0 everywhere makes the error the clear image itself.
    seen = []

    def denoise(x: Tensor, cloudy: Tensor, sar: Tensor, sigma: Tensor) -> Tensor:
        seen.append((x, cloudy, sigma))
        return torch.zeros_like(x)

    monkeypatch.setattr(model, 'denoise', denoise)
    generator = torch.Generator().manual_seed(4)
    loss = model.training_loss(image, sar, clear, generator)
    generator.manual_seed(4)
    time = torch.rand(2, generator=generator).double().numpy()
    noise = torch.randn(2, 13, 24, 24, generator=generator)[..., :21, :].numpy()
    sigma = (0.002 ** (1 / 7) + time * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7
    s = 1 / np.sqrt(1 + (sigma / 0.5) ** 2)
    target, start = (5 * v.double().numpy() - 1 for v in (clear, image))
    shares = s[:, None, None, None], (s * sigma)[:, None, None, None]
    x = shares[0] * target + (1 - shares[0]) * start + shares[1] * noise
    np.testing.assert_allclose(seen[0][0][..., :21, :].numpy(), x, atol=1e-4)
    variance = s**2 / 4 + (1 - s) ** 2 + (s * sigma) ** 2
    c_out = np.sqrt(0.25 - (s / 4) ** 2 / variance)
    expected = np.mean((target / c_out[:, None, None, None]) ** 2)
    np.testing.assert_allclose(float(loss), expected, rtol=1e-3)


def test_overfits_two_chips_by_its_recipe() -> None:
    torch.manual_seed(0)
    model = EMRDM(**TestEMRDM.arguments, in_channels=3)
    generator = torch.Generator().manual_seed(1)
    clear = 0.4 * torch.rand(2, 3, 4, 4, generator=generator)
    clear = torch.nn.functional.interpolate(clear, (16, 16), mode='bilinear')
    sar = torch.rand(2, 2, 16, 16, generator=generator)
    image = torch.rand(2, 3, 16, 16, generator=generator)
    batch = {'image': image, 'image_sar': sar, 'image_clear': clear}
    optimizer = RECIPE.optimizer(model.parameters())
    for group in optimizer.param_groups:
        group['lr'] = 5e-3

    def error() -> float:
        with torch.no_grad():
            out = model(image, sar)['reconstruction']
        return float((out - clear).square().mean())

    before = error()
    history = fit(model, RECIPE.losses, batch, optimizer, 150)
    assert np.mean(history[-20:]) < 0.5 * np.mean(history[:10])
    assert error() < 0.3 * before


def test_autocast_gives_full_precision_and_a_finite_loss() -> None:
    model = tiny()
    image, sar = inputs()
    with torch.no_grad():
        out = check_autocast(model, (image, sar), 0.05)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss = model.training_loss(image, sar, image)
    assert out['reconstruction'].dtype == torch.float32
    assert torch.isfinite(loss)


@pytest.mark.parametrize(
    ('image', 'sar', 'named'),
    [
        ((1, 12, 8, 8), (1, 2, 8, 8), '`image`'),
        ((1, 13, 8, 8), (1, 1, 8, 8), '`image_sar`'),
        ((1, 13, 8, 8), (1, 2, 8, 9), 'one grid'),
    ],
)
def test_wrong_inputs_of_training(image: tuple, sar: tuple, named: str) -> None:
    clear = torch.rand(1, 13, 8, 8)
    with pytest.raises(ValueError, match=named):
        tiny().training_loss(torch.rand(image), torch.rand(sar), clear)


@pytest.mark.parametrize('clear', [(1, 12, 8, 8), (1, 13, 8, 9), (2, 13, 8, 8)])
def test_wrong_target(clear: tuple) -> None:
    image, sar = inputs(1, 8, 8)
    with pytest.raises(ValueError, match='`image_clear`'):
        tiny().training_loss(image, sar, torch.rand(clear))
