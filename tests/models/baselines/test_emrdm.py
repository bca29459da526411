# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusion_tests import DiffusionTests, inputs, overfitted
from model_checks import (
    on_meta,
)
from torch import Tensor

from torchgeo_tdpcr.models import get_model
from torchgeo_tdpcr.models.baselines.emrdm.denoiser import NoiseMapping
from torchgeo_tdpcr.models.baselines.emrdm.model import EMRDM, RECIPE
from torchgeo_tdpcr.models.baselines.sampling import seeded_noise
from torchgeo_tdpcr.models.registry import get_recipe


class TestEMRDM(DiffusionTests):
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
        {'lr': 1e-4, 'betas': (0.9, 0.999), 'weight_decay': 0.01},
    )
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'steps': 0}, '`steps=0`'),
        ({'dims': (16, 32)}, '`dims='),
        ({'dims': (16, 32, 36)}, '`head_dim=8`'),
        ({'head_dim': 4}, '`head_dim=4`'),
        ({'kernel_size': 4}, '`kernel_size=4`'),
        ({'mapping_dim': 7}, '`mapping_dim=7`'),
        ({'dropout': 1.0}, '`dropout=1.0`'),
    )
    traced_size = (24, 24)
    tolerance = {'atol': 1e-5, 'rtol': 1e-4}

    @classmethod
    def build_traced(cls) -> EMRDM:
        return cls.build(
            dims=(16, 32),
            depths=(1, 1),
            hidden=(32, 64),
            neighbourhood_levels=1,
            steps=2,
        )


tiny = TestEMRDM.build


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


def test_sampler_is_that_of_the_authors_in_numpy() -> None:
    model = tiny()
    image, sar = inputs(1)
    with torch.no_grad():
        out = model(image, sar)['reconstruction'].numpy()
    cloudy = 2 * image.double().numpy() - 1
    noises = [seeded_noise((13, 24, 24), 0, i).double().numpy() for i in range(6)]
    sigmas = [*((100 ** (1 / 7) * (1 - i / 4) + 0.001 ** (1 / 7) * i / 4) ** 7
                for i in range(5)), 0.0]  # fmt: skip
    told = []
    model.denoiser.mapping.register_forward_pre_hook(
        lambda _, args: told.append(float(np.exp(4 * args[0].item())))
    )
    y = 3 * sigmas[0] * cloudy + sigmas[0] * noises[0]
    for noise, (sigma, following) in zip(noises[1:], pairwise(sigmas), strict=True):
        raised = 2 * sigma
        y = y + 3 * (raised - sigma) * cloudy + 1.023 * np.sqrt(3) * sigma * noise
        k = 3 * raised
        v = raised**2 + 1 + k**2 + 1.8 * k
        x = np.concatenate([y / np.sqrt(v), 2 * sar.numpy() - 1, cloudy], 1)
        with torch.no_grad():
            f = model.denoiser(
                torch.tensor(x, dtype=torch.float32),
                torch.tensor([np.log(raised) / 4], dtype=torch.float32),
            ).numpy()
        clear = (1 + 0.9 * k) / v * y
        clear += np.sqrt((raised**2 + k**2 - 0.81 * k**2) / v) * f
        y = clear + following / raised * (y - clear)
    np.testing.assert_allclose(out, (y + 1) / 2, atol=1e-4)
    np.testing.assert_allclose(told, [200, 41.3, 5.38, 0.299, 0.002], rtol=2e-3)


def test_noise_frequencies_are_drawn_and_kept_in_checkpoints() -> None:
    torch.manual_seed(0)
    mapping = NoiseMapping(4000, 8, 1)
    assert mapping.frequencies.shape == (2000,)
    assert abs(mapping.frequencies.mean()) < 0.1
    assert abs(mapping.frequencies.std() - 1) < 0.1
    other = NoiseMapping(4000, 8, 1)
    assert not torch.equal(other.frequencies, mapping.frequencies)
    other.load_state_dict(mapping.state_dict())
    assert torch.equal(other.frequencies, mapping.frequencies)
    seen = []
    mapping.project.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    mapping(torch.tensor([0.3, -1.1]))
    level = np.array([[0.3], [-1.1]])
    angles = 2 * np.pi * level * mapping.frequencies.double().numpy()
    expected = np.concatenate([np.cos(angles), np.sin(angles)], 1)
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)


def test_dropout_is_in_the_innermost_level_and_the_mapping_alone() -> None:
    network = tiny().denoiser
    shares = {
        name: module.p
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Dropout)
    }
    assert {name for name, share in shares.items() if share} == {
        'mapping.layers.0.dropout',
        'middle.0.attention.dropout',
        'middle.0.feed_forward.dropout',
    }
    assert set(shares.values()) == {0.0, 0.1}
    # Before the projections, whose output zero alone stays
    seen = []
    for name in ('mapping.layers.0.down', 'middle.0.attention.out'):
        network.get_submodule(name).register_forward_pre_hook(
            lambda _, args: seen.append((args[0] == 0).float().mean().item())
        )
    x, level = torch.rand(8, 28, 24, 24), torch.linspace(-1, 1, 8)
    with torch.no_grad():
        network(x, level)
        network.train()(x, level)
    assert seen[:2] == [0, 0]
    assert all(0.03 < share < 0.2 for share in seen[2:])


def test_sar_matters() -> None:
    model = tiny()
    image, sar = inputs()
    with torch.no_grad():
        out = model(image, sar)['reconstruction']
        other = model(image, 1 - sar)['reconstruction']
    assert (out - other).abs().max() > 1e-4


def test_training_loss_is_the_weighted_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    image, sar = inputs(2, 21, 24)
    clear = image.flip(0)
    # A wrong estimate of 0 everywhere makes the error the clear image itself.
    seen = []

    def denoise(y: Tensor, cloudy: Tensor, sar: Tensor, sigma: Tensor) -> Tensor:
        seen.append((y, cloudy, sigma))
        return torch.zeros_like(y)

    monkeypatch.setattr(model, 'denoise', denoise)
    generator = torch.Generator().manual_seed(4)
    loss = model.training_loss(image, sar, clear, generator)
    generator.manual_seed(4)
    normal = torch.randn(2, 1, 1, 1, generator=generator).double().numpy()
    noise = torch.randn(2, 13, 24, 24, generator=generator)[..., :21, :].numpy()
    sigma = np.exp(-1.2 + 1.2 * normal)
    target, start = (2 * v.double().numpy() - 1 for v in (clear, image))
    y = target + 3 * sigma * start + sigma * noise
    np.testing.assert_allclose(seen[0][0][..., :21, :].numpy(), y, atol=1e-5)
    k = 3 * sigma
    variance = sigma**2 + 1 + k**2 + 1.8 * k
    c_out = np.sqrt((sigma**2 + k**2 - 0.81 * k**2) / variance)
    expected = np.mean((target / c_out) ** 2)
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)


def test_overfits_two_chips_by_its_recipe() -> None:
    torch.manual_seed(0)
    model = EMRDM(**TestEMRDM.arguments, in_channels=3)
    history, left = overfitted(model, RECIPE, 150)
    assert np.mean(history[-20:]) < 0.5 * np.mean(history[:10])
    assert left < 0.3
