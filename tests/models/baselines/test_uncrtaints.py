# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from typing import Any

import numpy as np
import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import (
    batch_of,
    check_gradients,
    check_outputs,
    fit,
    on_meta,
    pair,
)
from torch import nn

from torchgeo_tdpcr.models.baselines.dsen2cr import DSen2CR
from torchgeo_tdpcr.models.baselines.uncrtaints import (
    RECIPE,
    MBConv,
    UnCRtainTS,
    negative_log_likelihood,
)


class TestUnCRtainTS(BaselineTests):
    name = 'uncrtaints'
    arguments = {'channels': 8, 'decoder_blocks': 2}
    outputs = {'reconstruction': 13, 'variance': 13}
    optimizer = torch.optim.Adam, {'lr': 1e-3}
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'groups': 3}, '`groups=3`'),
    )
    exports_any_size = True
    autocast_error = 0.02


def small(**kwargs: Any) -> UnCRtainTS:
    """In training mode."""
    return TestUnCRtainTS.build(**kwargs).train()


@pytest.mark.parametrize(('height', 'width'), [(1, 2), (2, 1), (45, 70)])
def test_any_size_in_training(height: int, width: int) -> None:
    out = small()(*pair(2, height, width))
    check_outputs(out, 2, height, width, reconstruction=13, variance=13)


@pytest.mark.parametrize('size', [(1, 1), (9, 12)])
def test_without_radar(size: tuple[int, int]) -> None:
    model = small(sar_channels=0).eval()
    assert model.body[0].in_channels == 13
    image, sar = pair(2, *size)
    out = model(image, sar)
    check_outputs(out, 2, *size, reconstruction=13, variance=13)
    torch.testing.assert_close(model(image, 1 - sar), out)


def count_like_the_measurement(model: nn.Module, pixels: int) -> float:
    """Operations of normalisation and pooling at full resolution."""
    total = 0
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            total += 5 * module.num_channels * pixels
        elif isinstance(module, nn.BatchNorm2d):
            total += 2 * module.num_features * pixels
        elif isinstance(module, MBConv):
            total += module.body[4].out_channels * pixels
    return total


def test_parameters_and_multiply_adds() -> None:
    model, parameters, counter = on_meta(UnCRtainTS)
    assert parameters == 520_218
    convolutions = counter.get_total_flops() / 2
    assert round(convolutions / 1e9, 2) == 27.02
    others = count_like_the_measurement(model, 256 * 256)
    assert round((convolutions + others) / 1e9, 2) == 27.92


def test_mean_is_in_range_and_variance_is_positive() -> None:
    model = small()
    nn.init.normal_(model.body[-1].weight, std=5)
    out = model(*(batch_of()[key] for key in ('image', 'image_sar')))
    assert 0 <= out['reconstruction'].min() < 0.1
    assert 0.9 < out['reconstruction'].max() <= 1
    assert out['variance'].min() >= 0.99e-5
    assert out['variance'].max() > 0.01


def test_blocks_are_normalised_as_described() -> None:
    blocks = [m for m in UnCRtainTS().modules() if isinstance(m, MBConv)]
    norms = [
        {type(m) for m in b.modules() if isinstance(m, nn.GroupNorm | nn.BatchNorm2d)}
        for b in blocks
    ]
    assert norms == [{nn.GroupNorm}] + [{nn.BatchNorm2d}] * 5


def test_stem_and_outputs_in_the_scale_of_the_network() -> None:
    model, (image, sar) = small().eval(), pair()
    stem = model.body[0]
    seen = []
    model.body[3].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.body.register_forward_hook(lambda _, args, out: seen.append(out))
    with torch.no_grad():
        out = model(image, sar)
    features, raw = seen
    # SAR first, ten times the images; four groups of two channels
    weight = stem.weight.detach().numpy()[:, :, 0, 0]
    x = 10 * np.concatenate([sar, image], 1)
    x = np.einsum('oc,bchw->bohw', weight, x)
    x = x + stem.bias.detach().numpy()[:, None, None]
    x = x.reshape(2, 4, -1)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    expected = np.maximum(x.reshape(2, 8, 32, 32), 0)
    np.testing.assert_allclose(features, expected, atol=1e-4)
    mean, variance = raw.double().numpy()[:, :13], raw.double().numpy()[:, 13:]
    expected = 10 / (1 + np.exp(-mean)) / 10
    np.testing.assert_allclose(out['reconstruction'], expected, atol=1e-6)
    expected = (np.log1p(np.exp(variance)) + 0.001) / 100
    np.testing.assert_allclose(out['variance'], expected, rtol=1e-4)


def test_border_is_mirrored() -> None:
    torch.manual_seed(0)
    depthwise = MBConv(4, nn.BatchNorm2d).body[4]
    x = torch.randn(1, 8, 5, 6)
    mirrored = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), 'reflect')
    weight = depthwise.weight.detach().numpy()[:, 0]
    expected = sum(
        mirrored[:, :, i : i + 5, j : j + 6] * weight[:, i, j, None, None]
        for i in range(3)
        for j in range(3)
    )
    np.testing.assert_allclose(depthwise(x).detach(), expected, atol=1e-5)


def test_starts_as_the_authors_do() -> None:
    torch.manual_seed(0)
    model = UnCRtainTS()
    block = model.body[-2]
    convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    fans = [(128, 256), (9, 9 * 256), (256, 32), (32, 256), (256, 128)]
    for layer, fan in zip(convolutions, fans, strict=True):
        expected = (2 / sum(fan)) ** 0.5
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)
    biases = torch.cat([model.body[0].bias, model.body[-1].bias])
    gains = torch.cat(
        [m.weight for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    )
    for drawn in (biases, gains):
        assert drawn.mean().abs() < 3 / len(drawn) ** 0.5
        assert drawn.std().item() == pytest.approx(1, abs=0.2)
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            assert (module.weight == 1).all()
        if isinstance(module, nn.GroupNorm | nn.BatchNorm2d):
            assert not module.bias.any()


def test_mbconv_is_residual_and_reweights_channels() -> None:
    torch.manual_seed(0)
    block, x = MBConv(8, nn.BatchNorm2d).eval(), torch.randn(1, 8, 6, 6)
    *before, squeeze, narrow, norm = block.body
    wide = nn.Sequential(*before)(x)
    assert wide.shape == (1, 16, 6, 6)
    pooled = wide.mean((2, 3), keepdim=True)
    first, second = (m for m in squeeze.modules() if isinstance(m, nn.Conv2d))
    assert first.out_channels == 2
    scale = torch.sigmoid(second(nn.functional.gelu(first(pooled))))
    torch.testing.assert_close(block(x), x + norm(narrow(wide * scale)))


def test_every_parameter_learns() -> None:
    model = small()
    RECIPE.losses(model, batch_of())['loss'].backward()
    check_gradients(model, nonzero=False)


def test_overfits_two_chips() -> None:
    model = small(channels=16)
    batch = batch_of()
    batch['image_clear'] = 0.5 * batch['image'] + 0.2
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def error() -> float:
        with torch.no_grad():
            out = model(batch['image'], batch['image_sar'])['reconstruction']
        return (out - batch['image_clear']).square().mean().item()

    history = fit(model, RECIPE.losses, batch, optimizer, 1)
    after_one = error()
    history += fit(model, RECIPE.losses, batch, optimizer, 59)
    assert history[-1] < history[0] - 1
    assert error() < 0.4 * after_one


@pytest.mark.parametrize('count', [1, 3])
def test_losses_against_a_loop(count: int) -> None:
    batch, model = batch_of(count, 4, 5), small().eval()
    found = RECIPE.losses(model, batch)
    out = model(batch['image'], batch['image_sar'])
    mean, variance = (
        out[key].detach().double().numpy() for key in ('reconstruction', 'variance')
    )
    v = 100 * variance
    error = 10 * mean - 10 * batch['image_clear'].double().numpy()
    terms = []
    for b in range(count):
        for i in range(4):
            for j in range(5):
                # The slip of the authors' code: all images' logarithms, not its own
                logarithms = np.log(v[:, :, i, j]).sum()
                square = error[b, :, i, j] ** 2 / v[b, :, i, j]
                constant = 13 * np.log(2 * np.pi)
                terms.append(constant / 2 + logarithms / 2 + square.sum() / 2)
    assert found['loss'].item() == pytest.approx(np.mean(terms), rel=1e-5)


def test_loss_is_least_at_the_squared_error_over_the_batch() -> None:
    variance = torch.full((4, 1, 2, 2), 0.02**2 / 4, dtype=torch.float64)
    variance.requires_grad_()
    mean = torch.full((4, 1, 2, 2), 0.5, dtype=torch.float64)
    negative_log_likelihood(mean, variance, mean + 0.02).backward()
    torch.testing.assert_close(variance.grad, torch.zeros_like(variance))


def test_least_variance_of_the_loss_keeps_the_gradient() -> None:
    mean = torch.full((1, 1, 1, 1), 0.5)
    variance = torch.zeros(1, 1, 1, 1, requires_grad=True)
    # In the scale of the network: error 1e-4, variance 1e-8
    loss = negative_log_likelihood(mean.double(), variance, mean.double() + 1e-5)
    expected = 0.5 * (np.log(2 * np.pi) + np.log(1e-8) + 1)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    negative_log_likelihood(mean, variance, mean).backward()
    assert variance.grad.item() == pytest.approx(0.5 / 1e-8 * 100, rel=1e-5)


def test_losses_need_a_variance_and_a_truth_of_the_same_shape() -> None:
    batch = batch_of()
    with pytest.raises(KeyError, match=r'no `variance`, only .*uncrtaints'):
        RECIPE.losses(DSen2CR(channels=4, num_blocks=1), batch)
    batch['image_clear'] = batch['image_clear'][:, :12]
    with pytest.raises(ValueError, match='but `target`'):
        RECIPE.losses(small(), batch)


def test_border_is_no_feature() -> None:
    """Where an image is the same everywhere, so is what is made of it."""
    model = small(decoder_blocks=3).eval().double()
    image, sar = torch.rand(1, 13, 1, 1), torch.rand(1, 2, 1, 1)
    inputs = (x.expand(-1, -1, 20, 24).double() for x in (image, sar))
    for value in model(*inputs).values():
        torch.testing.assert_close(value, value[..., 9:10, 9:10].expand_as(value))


@pytest.mark.parametrize('count', [1, 8])
def test_loss_is_in_full_precision(count: int) -> None:
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = RECIPE.losses(small(), batch_of(count))['loss']
    assert loss.dtype == torch.float32
