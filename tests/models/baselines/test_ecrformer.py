# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from collections.abc import Callable

import numpy as np
import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import (
    check_corrects_the_image,
    check_learns_from_sar,
    check_mean_absolute_error,
    check_reconstruction_trains,
    check_sar_of_each_chip,
    on_meta,
    pair,
)
from torch import nn

from torchgeo_tdpcr.models.baselines.ecrformer.blocks import (
    DilatedWindowAttention,
    ECRBlock,
    MixedAttention,
    TransposedAttention,
)
from torchgeo_tdpcr.models.baselines.ecrformer.model import (
    RECIPE,
    ECRformer,
    ecrformer_light,
)
from torchgeo_tdpcr.models.inputs import padded
from torchgeo_tdpcr.models.registry import get_model, get_recipe


class TestECRformer(BaselineTests):
    name = 'ecrformer'
    arguments = {
        'dim': 8,
        'depths': (1, 1),
        'bottleneck': 1,
        'refinement': 1,
        'heads': (1, 1, 2),
        'window': 4,
        'stem_blocks': 1,
    }
    optimizer = torch.optim.AdamW, {'lr': 3e-4, 'weight_decay': 1e-4}
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'heads': (1, 2)}, '`heads='),
        ({'depths': (), 'heads': (1,)}, '`depths='),
        ({'dim': 6}, 'do not go with 6 channels'),
        ({'dilations': ()}, 'at least one'),
    )

    @classmethod
    def build_traced(cls) -> nn.Module:
        return single_level()


small = TestECRformer.build


def single_level() -> nn.Module:
    return small(depths=(1,), heads=(1, 1))


@pytest.mark.parametrize(
    ('build', 'parameters', 'measured', 'macs'),
    [
        (ECRformer, 11_296_001, 11.29e6, 101.6),
        (ecrformer_light, 3_694_251, 3.70e6, 35.2),
    ],
)
def test_size(
    build: Callable[[], nn.Module], parameters: int, measured: float, macs: float
) -> None:
    _, count, counter = on_meta(build)
    assert count == parameters
    assert abs(count / measured - 1) < 0.005
    assert round(counter.get_total_flops() / 2e9, 1) == macs


def test_every_parameter_learns() -> None:
    check_reconstruction_trains(small().train(), pair(2, 45, 70))


def test_learns_two_chips() -> None:
    check_learns_from_sar(single_level().train(), RECIPE.losses)


def test_sar_matters_and_batch_samples_do_not_mix() -> None:
    check_sar_of_each_chip(small(), pair())


def test_predicts_a_correction_of_the_cloudy_image() -> None:
    model = small()
    check_corrects_the_image(model, model.output, pair(1, 30, 41))


@pytest.mark.parametrize('dilation', [1, 2, 3])
@pytest.mark.parametrize(('height', 'width'), [(12, 24), (10, 13)])
def test_window_attention_is_masked_attention(
    dilation: int, height: int, width: int
) -> None:
    """Against attention among all pixels, where only those of one window see another."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 6, height, width)
    out = DilatedWindowAttention(2, 4, dilation)(q, k, v)
    # The reference has the border repeated as the module does
    q, k, v = (padded(x, 4 * dilation) for x in (q, k, v))
    y, x = (
        n.flatten()
        for n in torch.meshgrid(
            torch.arange(q.shape[2]), torch.arange(q.shape[3]), indexing='ij'
        )
    )
    window = torch.stack(
        [y // (4 * dilation), y % dilation, x // (4 * dilation), x % dilation]
    )
    together = (window[:, :, None] == window[:, None]).all(0)
    assert (together.sum(0) == 16).all()
    q_, k_, v_ = (n.reshape(2, 2, 3, -1) for n in (q, k, v))
    logits = torch.einsum('bhdn,bhdm->bhnm', q_, k_) / 3**0.5
    weights = logits.masked_fill(~together, -torch.inf).softmax(-1)
    expected = torch.einsum('bhnm,bhdm->bhdn', weights, v_).reshape(q.shape)
    torch.testing.assert_close(out, expected[..., :height, :width])


def test_transposed_attention_correlates_channels() -> None:
    generator = np.random.default_rng(0)
    q, k, v = generator.normal(size=(3, 1, 4, 3, 5))
    attend = TransposedAttention(2)
    temperature = np.array([0.5, 3.0])
    attend.temperature.data = torch.from_numpy(temperature).reshape(2, 1, 1).float()
    out = attend(*(torch.from_numpy(x).float() for x in (q, k, v)))
    for head in range(2):
        rows = slice(2 * head, 2 * head + 2)
        a, b, c = (x[0, rows].reshape(2, 15) for x in (q, k, v))
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
        weights = np.exp(a @ b.T * temperature[head])
        weights /= weights.sum(1, keepdims=True)
        expected = (weights @ c).reshape(2, 3, 5)
        np.testing.assert_allclose(out[0, rows].detach(), expected, atol=1e-5)


def test_transposed_attention_does_not_overflow_in_half_precision() -> None:
    x = torch.full((1, 2, 64, 64), 30.0)
    with torch.autocast('cpu', dtype=torch.float16):
        out = TransposedAttention(1)(x.half(), x.half(), x.half())
    torch.testing.assert_close(out.float(), x, atol=0.1, rtol=0)


def test_block_mixes_what_neither_attention_sees_alone() -> None:
    """Pixels of other windows matter, through the channels."""
    torch.manual_seed(0)
    block = ECRBlock(8, 1, 4, (1, 2), 2.0)
    x = torch.randn(1, 8, 32, 32)
    changed = x.clone()
    changed[:, 0, -4:, -4:] += 1
    assert (block(x) - block(changed))[..., :8, :8].abs().max() > 1e-6


def test_odd_channels_cannot_be_halved() -> None:
    with pytest.raises(ValueError, match='7 channels'):
        MixedAttention(7, 1, 4, (1,))


def test_recipe_is_the_mean_absolute_error() -> None:
    check_mean_absolute_error(RECIPE.losses, small(), pair())


def test_light_is_registered_with_the_same_recipe() -> None:
    assert len(get_model('ecrformer_light', dim=8).refinement) == 2
    assert get_recipe('ecrformer') is get_recipe('ecrformer_light') is RECIPE
