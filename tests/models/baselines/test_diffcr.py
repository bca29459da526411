# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from typing import Any

import numpy as np
import pytest
import torch
from diffusion_tests import DiffusionTests, inputs, overfitted
from model_checks import (
    check_sar_of_each_chip,
    on_meta,
)
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from torchgeo_tdpcr.models import DiffCR, get_model
from torchgeo_tdpcr.models.baselines.diffcr.model import RECIPE
from torchgeo_tdpcr.models.baselines.sampling import seeded_noise


class TestDiffCR(DiffusionTests):
    name = 'diffcr'
    arguments = {
        'width': 8,
        'depths': (1, 1),
        'time_channels': 8,
        'embed_channels': 16,
        'steps': 3,
    }
    optimizer = (
        torch.optim.Adam,
        {'lr': 5e-5, 'betas': (0.9, 0.999), 'weight_decay': 0},
    )
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'steps': 0}, '`steps=0`'),
        ({'time_input': 'time'}, "`time_input='time'`"),
        ({'width': 6}, '`width=6`'),
        ({'time_channels': 7}, '`time_channels=7`'),
        ({'depths': ()}, r'`depths=\(\)`'),
    )
    traced_size = (24, 24)

    @classmethod
    def build(cls, **kwargs: Any) -> DiffCR:
        """With an output within [-1, 1] for the most part, where it is not clipped."""
        model: DiffCR = super().build(**kwargs)
        torch.nn.init.normal_(model.network.ending.weight, std=0.01)
        return model

    @classmethod
    def build_traced(cls) -> DiffCR:
        return cls.build(steps=2)


tiny = TestDiffCR.build


def test_parameters_and_calls() -> None:
    with torch.device('meta'):
        assert len(DiffCR().plan.time_inputs) == 21
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
    model = tiny(steps=20, time_input='level')
    ends, logs = grid()
    gamma = np.exp(2 * np.interp(np.linspace(1, 1 / len(ends), 21), ends, logs))
    np.testing.assert_allclose(model.plan.time_inputs, gamma, rtol=1e-6)
    assert model.plan.moves == tiny(steps=20).plan.moves


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
    history, left = overfitted(model, RECIPE, 100)
    assert np.mean(history[-20:]) < 0.2 * np.mean(history[:10])
    assert left < 0.5
