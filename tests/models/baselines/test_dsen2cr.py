# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import numpy as np
import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import (
    batch_of,
    check_gradients,
    fit,
    on_meta,
    pair,
)

from torchgeo_tdpcr.models.baselines.dsen2cr import (
    RECIPE,
    DSen2CR,
    ResidualBlock,
    cloud_adaptive_loss,
)


class TestDSen2CR(BaselineTests):
    name = 'dsen2cr'
    arguments = {'channels': 8, 'num_blocks': 2}
    optimizer = (
        torch.optim.NAdam,
        {'lr': 7e-5, 'betas': (0.9, 0.999), 'eps': 1e-8, 'momentum_decay': 0.004},
    )
    wrong_arguments = (({'num_classes': 7}, 'does not segment'),)
    exports_any_size = True
    autocast_error = 0.02


small = TestDSen2CR.build


def test_parameters_and_multiply_adds() -> None:
    _, parameters, counter = on_meta(DSen2CR)
    assert parameters == 18_947_341
    assert round(counter.get_total_flops() / 2e9, 1) == 1241.2


def test_starts_as_the_authors_do() -> None:
    torch.manual_seed(0)
    model = DSen2CR(channels=64, num_blocks=1)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            bound = (6 / (9 * module.in_channels)) ** 0.5
            weight = module.weight.detach()
            assert 0.99 * bound < weight.abs().max() <= bound
            assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
            assert not module.bias.any()


def test_predicts_a_correction_in_the_scale_of_the_paper() -> None:
    model = small()
    batch = batch_of()
    seen = []
    model.body.register_forward_hook(lambda _, args, out: seen.append((args[0], out)))
    out = model(batch['image'], batch['image_sar'])['reconstruction']
    (x, correction), *_ = seen
    # [0, 1] is digital numbers / 10000; the network works in digital numbers / 2000
    torch.testing.assert_close(x[:, :13], batch['image'] * 10000 / 2000)
    torch.testing.assert_close(x[:, 13:], batch['image_sar'] * 2)
    expected = (x[:, :13] + correction) * 2000 / 10000
    torch.testing.assert_close(out, expected)


def test_residual_block_adds_a_tenth() -> None:
    torch.manual_seed(0)
    block, x = ResidualBlock(4), torch.randn(1, 4, 6, 6)
    first, _, second = block.body
    expected = x + 0.1 * second(first(x).clamp(min=0))
    torch.testing.assert_close(block(x), expected)


def test_output_is_channels_last() -> None:
    out = small()(*pair(2, 45, 70))['reconstruction']
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_every_parameter_learns() -> None:
    model = small()
    RECIPE.losses(model, batch_of())['loss'].backward()
    check_gradients(model)


def test_overfits_two_chips() -> None:
    # the 13 bands of noise are independent: fewer channels cannot carry them all
    model = small(channels=48)
    batch = batch_of()
    batch['image_clear'] = 0.5 * batch['image'] + 0.2
    batch['mask_cloud'] = torch.ones_like(batch['mask_cloud'])
    optimizer = torch.optim.NAdam(model.parameters(), lr=1e-3)
    history = fit(model, RECIPE.losses, batch, optimizer, 100)
    assert history[-1] < 0.4 * history[0]


def test_losses_against_numpy() -> None:
    batch = batch_of()
    model = small()
    found = RECIPE.losses(model, batch)
    # In digital numbers / 2000, as the paper
    image, clear = 5 * batch['image'].numpy(), 5 * batch['image_clear'].numpy()
    mask = batch['mask_cloud'].numpy()[:, None]
    prediction = model(batch['image'], batch['image_sar'])['reconstruction']
    p = 5 * prediction.detach().numpy()
    adaptive = np.mean((1 - mask) * np.abs(p - image) + mask * np.abs(p - clear))
    target = np.mean(np.abs(p - clear))
    assert found['loss_adaptive'].item() == pytest.approx(adaptive, rel=1e-5)
    assert found['loss_target'].item() == pytest.approx(target, rel=1e-5)
    assert found['loss'].item() == pytest.approx(adaptive + target, rel=1e-5)
    boolean = batch['mask_cloud'].bool()
    half = cloud_adaptive_loss(
        prediction, batch['image'], batch['image_clear'], boolean, 0.5
    )
    expected = (adaptive + target / 2) / 5
    assert half['loss'].item() == pytest.approx(expected, rel=1e-5)


def test_loss_is_computed_in_full_precision() -> None:
    batch = batch_of()
    arguments = [batch[key].half() for key in ('image_clear', 'image', 'image_clear')]
    found = cloud_adaptive_loss(*arguments, batch['mask_cloud'])
    assert {value.dtype for value in found.values()} == {torch.float32}


def test_losses_need_a_mask_of_the_right_shape_and_values() -> None:
    batch = batch_of()
    mask = batch.pop('mask_cloud')
    with pytest.raises(KeyError, match='loss of DSen2-CR needs `mask_cloud`'):
        RECIPE.losses(small(), batch)
    for wrong, error, named in (
        (mask[:1], ValueError, '`mask_cloud` has shape'),
        (mask + 1, ValueError, '`mask_cloud` holds'),
        (mask.float(), TypeError, '`mask_cloud` is .*, neither integer'),
    ):
        with pytest.raises(error, match=named):
            RECIPE.losses(small(), {**batch, 'mask_cloud': wrong})
