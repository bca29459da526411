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
from torchgeo_tdpcr.models.baselines.uncrtaints import RECIPE, MBConv, UnCRtainTS


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


@pytest.mark.parametrize(('height', 'width'), [(1, 2), (45, 70)])
def test_any_size_in_training(height: int, width: int) -> None:
    out = small()(*pair(2, height, width))
    check_outputs(out, 2, height, width, reconstruction=13, variance=13)


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
    assert parameters == 519_962
    convolutions = counter.get_total_flops() / 2
    assert round(convolutions / 1e9, 2) == 27.02
    others = count_like_the_measurement(model, 256 * 256)
    assert round((convolutions + others) / 1e9, 2) == 27.88


def test_mean_is_in_range_and_variance_is_positive() -> None:
    model = small()
    nn.init.normal_(model.body[-1].weight, std=5)
    out = model(*(batch_of()[key] for key in ('image', 'image_sar')))
    assert 0 <= out['reconstruction'].min() < 0.1
    assert 0.9 < out['reconstruction'].max() <= 1
    assert out['variance'].min() >= 0
    assert out['variance'].max() > 1


def test_blocks_are_normalised_as_described() -> None:
    blocks = [m for m in UnCRtainTS().modules() if isinstance(m, MBConv)]
    norms = [
        {type(m) for m in b.modules() if isinstance(m, nn.GroupNorm | nn.BatchNorm2d)}
        for b in blocks
    ]
    assert norms == [{nn.GroupNorm}] + [{nn.BatchNorm2d}] * 5


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


def test_losses_against_numpy() -> None:
    batch, model = batch_of(), small().eval()
    found = RECIPE.losses(model, batch)
    out = model(batch['image'], batch['image_sar'])
    mean, variance = (
        out[key].detach().double().numpy() for key in ('reconstruction', 'variance')
    )
    error = mean - batch['image_clear'].numpy()
    expected = np.mean(0.5 * (np.log(variance) + error**2 / variance))
    assert found['loss'].item() == pytest.approx(expected, rel=1e-5)


def test_variance_is_bounded_below_in_the_loss() -> None:
    class Certain(nn.Module):
        def forward(self, image: torch.Tensor, _: torch.Tensor) -> dict:
            return {'reconstruction': image, 'variance': torch.zeros_like(image)}

    batch = batch_of()
    batch['image_clear'] = batch['image'] + 0.001
    loss = RECIPE.losses(Certain(), batch)['loss'].item()
    assert loss == pytest.approx(0.5 * (np.log(1e-6) + 1), rel=1e-3)


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
