# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from typing import Any

import numpy as np
import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import (
    Pair,
    check_autocast,
    check_gradients,
    check_sar_of_each_chip,
    fit,
    on_meta,
    pair,
)
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from torchgeo_tdpcr.models import DiffCR, get_model
from torchgeo_tdpcr.models.baselines.diffcr.model import RECIPE
from torchgeo_tdpcr.models.baselines.noise import seeded_noise


class TestDiffCR(BaselineTests):
    name = 'diffcr'
    arguments = {
        'width': 8,
        'depths': (1, 1),
        'waves': 8,
        'level_channels': 16,
        'steps': 3,
    }
    optimizer = (
        torch.optim.Adam,
        {'lr': 5e-5, 'betas': (0.9, 0.999), 'weight_decay': 0},
    )
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'steps': 0}, '`steps=0`'),
        ({'told': 'time'}, "`told='time'`"),
        ({'width': 6}, '`width=6`'),
        ({'waves': 7}, '`waves=7`'),
        ({'depths': ()}, r'`depths=\(\)`'),
    )
    traced_size = (24, 24)

    @classmethod
    def build(cls, **kwargs: Any) -> DiffCR:
        """With scales and biases that start at zero set to noise, so all matters."""
        model: DiffCR = super().build(**kwargs)
        for parameter in model.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
        # Within [-1, 1] for the most part, where it is not clipped
        torch.nn.init.normal_(model.network.ending.weight, std=0.01)
        return model

    @classmethod
    def build_traced(cls) -> DiffCR:
        return cls.build(steps=2)

    # Gradients through all calls make these slow
    test_any_size = torch.no_grad()(BaselineTests.test_any_size)
    test_compiles_without_graph_breaks = torch.no_grad()(
        BaselineTests.test_compiles_without_graph_breaks
    )
    test_exports = torch.no_grad()(BaselineTests.test_exports)


tiny = TestDiffCR.build


def inputs(batch: int = 2, height: int = 24, width: int = 24) -> Pair:
    return pair(batch, height, width)


def test_parameters_and_calls() -> None:
    with torch.device('meta'):
        assert len(DiffCR().plan.told) == 21
    model, parameters, counter = on_meta(lambda: get_model('diffcr', steps=1))
    assert isinstance(model, DiffCR)
    assert parameters == 20_857_997
    total = counter.get_total_flops() / 2e9
    counter = FlopCounterMode(display=False)
    with torch.device('meta'), torch.no_grad(), counter:
        model.network.encode(torch.empty(1, 1, 15, 256, 256))
    condition = counter.get_total_flops() / 2e9
    assert round(condition, 2) == 8.76
    assert round((total - condition) / 2, 2) == 20.06
    unused = 512 * 1024 * 4 + 1024
    assert parameters + unused == 22_956_173


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
    assert first.is_contiguous(memory_format=torch.channels_last)


def grid() -> tuple[NDArray[Any], NDArray[Any]]:
    """Times and log √γ of the sampler, from the rates of decay."""
    t = np.arange(1001) / 1000
    curve = (1 / (1 + np.exp(-3)) - 1 / (1 + np.exp(3 - 6 * t))) / np.tanh(1.5)
    beta = np.clip(1 - curve[1:] / curve[:-1], 0, 0.999)
    log = np.log(1 - beta).cumsum() / 2
    log = log[log - np.log(1 - np.exp(2 * log)) / 2 >= -5.1]
    return np.arange(1, len(log) + 1) / len(log), log


@pytest.mark.parametrize('steps', [1, 2, 3, 9, 10, 20])
def test_sampler_is_dpm_solver_in_numpy(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By noise estimates and log ratios; the network's place is taken by a function."""
    model = tiny(steps=steps)
    image, sar = inputs(1)
    told = []

    def network(x: Tensor, features: list[Tensor], level: Tensor) -> Tensor:
        told.append(level.item())
        return 1.3 * torch.sin(x + level / 300) + features[0]

    monkeypatch.setattr(model.network, 'forward', network)
    monkeypatch.setattr(
        model.network, 'encode', lambda condition: [condition[:, 0, :13]]
    )
    out = model(image, sar)['reconstruction'].numpy()
    ends, logs = grid()
    times = np.linspace(1, 1 / len(ends), steps + 1)
    keep = np.exp(np.interp(times, ends, logs))
    spread = np.sqrt(1 - keep**2)
    ratio = np.log(keep / spread)
    condition = 2 * image.double().numpy() - 1

    def clear_at(x: NDArray[Any], k: int) -> NDArray[Any]:
        label = (times[k] - 1 / len(ends)) * 1000
        estimate = 1.3 * np.sin(x + label / 300) + condition
        noise = (x - keep[k] * estimate) / spread[k]
        estimate = (x - spread[k] * noise) / keep[k]
        bound = max(1.0, np.quantile(np.abs(estimate), 0.995))
        return np.clip(estimate, -bound, bound) / bound

    x = seeded_noise((13, 24, 24), 0).double().numpy()
    found: list[NDArray[Any]] = []
    for k in range(steps):
        found.append(clear_at(x, k))
        h = ratio[k + 1] - ratio[k]
        order = 1 if k == 0 or (k == steps - 1 and steps < 10) else 2
        direction = found[k]
        if order == 2:
            r = (ratio[k] - ratio[k - 1]) / h
            direction = direction + 0.5 / r * (found[k] - found[k - 1])
        x = spread[k + 1] / spread[k] * x - keep[k + 1] * np.expm1(-h) * direction
    expected = (clear_at(x, steps) + 1) / 2
    np.testing.assert_allclose(out, expected, atol=2e-5)
    labels = (times - 1 / len(ends)) * 1000
    np.testing.assert_allclose(told, labels, atol=1e-3)
    assert told[-1] == 0
    assert round(told[0]) == 999


def test_sampler_may_tell_the_level_that_training_told() -> None:
    model = tiny(steps=20, told='level')
    ends, logs = grid()
    gamma = np.exp(2 * np.interp(np.linspace(1, 1 / len(ends), 21), ends, logs))
    np.testing.assert_allclose(model.plan.told, gamma, rtol=1e-6)
    assert model.plan.moves == tiny(steps=20).plan.moves


def test_a_perfect_denoiser_gives_the_clear_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny()
    image, sar = inputs(2, 45, 70)
    clear = torch.rand(2, 13, 48, 72)
    monkeypatch.setattr(model, 'denoise', lambda *_: 2 * clear - 1)
    out = model(image, sar)['reconstruction']
    torch.testing.assert_close(out, clear[..., :45, :70])


def test_output_is_between_0_and_1() -> None:
    model = tiny()
    torch.nn.init.normal_(model.network.ending.weight, std=10)
    with torch.no_grad():
        out = model(*inputs())['reconstruction']
    assert out.min() == 0
    assert out.max() == 1


def test_sar_matters_for_its_own_chip() -> None:
    with torch.no_grad():
        check_sar_of_each_chip(tiny(), inputs())


def test_without_radar_as_published() -> None:
    model = tiny(sar_channels=0)
    image, sar = inputs()
    assert model.network.condition_intro.in_channels == 13
    with torch.no_grad():
        out = model(image, sar)['reconstruction']
        assert torch.equal(model(image, 1 - sar)['reconstruction'], out)
    assert torch.isfinite(model.training_loss(image, sar, image))


def test_every_parameter_gets_a_gradient() -> None:
    model = tiny()
    image, sar = inputs()
    model.training_loss(image, sar, image.flip(0)).backward()
    check_gradients(model)


def test_training_loss_is_the_squared_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    image, sar = inputs(2, 21, 24)
    clear = image.flip(0)
    seen = []

    def network(x: Tensor, features: list[Tensor], level: Tensor) -> Tensor:
        seen.extend((x, level))
        return torch.full_like(x, 0.25)

    monkeypatch.setattr(model.network, 'forward', network)
    generator = torch.Generator().manual_seed(4)
    loss = model.training_loss(image, sar, clear, generator)
    generator.manual_seed(4)
    time = torch.randint(1, 2000, (2,), generator=generator).numpy()
    share = torch.rand(2, generator=generator).double().numpy()
    noise = torch.randn(2, 13, 24, 24, generator=generator)[..., :21, :].numpy()
    curve = 1 / (1 + np.exp(3 - 6 * np.arange(2001) / 2000))
    levels = ((curve[-1] - curve) / (curve[-1] - curve[0]))[1:]
    level = levels[time - 1] + share * (levels[time] - levels[time - 1])
    np.testing.assert_allclose(seen[1].numpy(), level, rtol=1e-5)
    level = level[:, None, None, None]
    target = 2 * clear.double().numpy() - 1
    x = np.sqrt(level) * target + np.sqrt(1 - level) * noise
    np.testing.assert_allclose(seen[0][..., :21, :].numpy(), x, atol=1e-5)
    np.testing.assert_allclose(float(loss), np.mean((target - 0.25) ** 2), rtol=1e-5)


def test_condition_is_cloudy_image_then_sar(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    image, sar = inputs()
    seen = []
    encode = model.network.encode
    monkeypatch.setattr(
        model.network, 'encode', lambda x: (seen.append(x), encode(x))[1]
    )
    with torch.no_grad():
        model.training_loss(image, sar, image)
        model(image, sar)
    for condition in seen:
        expected = 2 * torch.cat([image, sar], 1) - 1
        torch.testing.assert_close(condition, expected[:, None])
    # The sampler needs it once
    assert len(seen) == 2


def test_overfits_two_chips_by_its_recipe() -> None:
    torch.manual_seed(0)
    model = DiffCR(**{**TestDiffCR.arguments, 'depths': (1,)}, in_channels=3)
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
    history = fit(model, RECIPE.losses, batch, optimizer, 100)
    assert np.mean(history[-20:]) < 0.2 * np.mean(history[:10])
    assert error() < 0.5 * before


def test_autocast_gives_full_precision_and_a_finite_loss() -> None:
    model = tiny()
    image, sar = inputs()
    with torch.no_grad():
        out = check_autocast(model, (image, sar), 0.05)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss = model.training_loss(image, sar, image)
    assert out['reconstruction'].dtype == torch.float32
    assert loss.dtype == torch.float32
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
