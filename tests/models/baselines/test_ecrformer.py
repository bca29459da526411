# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from typing import Any

import ecrformer_reference as reference
import numpy as np
import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import check_sar_of_each_chip, fit, on_meta, pair
from numpy_layers import weights_of
from torch import Tensor, nn

from torchgeo_tdpcr.models.baselines.ecrformer.attention import (
    ChannelGate,
    DilatedAttention,
    SpatialGate,
    TransposedAttention,
    gates,
)
from torchgeo_tdpcr.models.baselines.ecrformer.blocks import (
    GatedFeedForward,
    mixed_block,
)
from torchgeo_tdpcr.models.baselines.ecrformer.loss import RECIPE
from torchgeo_tdpcr.models.registry import get_model


class TestECRformer(BaselineTests):
    name = 'ecrformer'
    arguments = {
        'dim': 8,
        'depths': (1, 1),
        'bottleneck': 1,
        'refinement': 1,
    }
    optimizer = torch.optim.AdamW, {'lr': 2e-3, 'weight_decay': 1e-3}
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'depths': ()}, '`depths='),
        ({'dim': 7}, '`dim=7`'),
    )

    @classmethod
    def build_traced(cls) -> nn.Module:
        return single_level()


small = TestECRformer.build


def single_level(**kwargs: Any) -> nn.Module:
    model: nn.Module = small(depths=(1,), **kwargs)
    return model


def randomised(module: nn.Module) -> nn.Module:
    """With weights that leave nothing at 0 or 1, in double precision."""
    generator = torch.Generator().manual_seed(0)
    module.double()
    for parameter in module.parameters():
        fan_in = parameter[0].numel() if parameter.ndim == 4 else 1
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.double)
        parameter.data = noise / fan_in**0.5
    return module


def noise(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, generator=generator, dtype=torch.double)


def assert_same(found: Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found[0].detach().numpy(), expected, atol=1e-5)


def sizes(modules: nn.Module) -> list[int]:
    return [sum(p.numel() for p in m.parameters()) for m in modules.children()]


@pytest.mark.parametrize(
    ('name', 'total', 'macs', 'stem', 'parts', 'merged', 'rest', 'auxiliary'),
    [
        (
            'ecrformer',
            11_289_485,
            95.3,
            17_688,
            {
                'encoders': [72_490, 411_089, 1_067_248],
                'downs': [11_618, 46_178, 184_418],
                'ups': [2_658_914, 664_802, 166_274],
            },
            [1_730_992, 577_073, 274_476],
            {'bottleneck': 3_000_588, 'refinement': 394_392, 'output': 11_245},
            [39_351, 44_967],
        ),
        (
            'ecrformer_light',
            3_703_739,
            32.6,
            11_792,
            {
                'encoders': [33_962, 125_420, 241_641],
                'downs': [5_218, 20_578, 82_018],
                'ups': [1_181_794, 295_522, 73_954],
            },
            [536_681, 199_212, 125_420],
            {'bottleneck': 672_518, 'refinement': 90_508, 'output': 7_501},
            [26_247, 29_991],
        ),
    ],
)
def test_size_of_every_part(
    name: str,
    total: int,
    macs: float,
    stem: int,
    parts: dict[str, list[int]],
    merged: list[int],
    rest: dict[str, int],
    auxiliary: list[int],
) -> None:
    _, count, counter = on_meta(lambda: get_model(name))
    assert count == total
    assert round(counter.get_total_flops() / 2e9, 1) == macs
    with torch.device('meta'):
        model = get_model(name, auxiliary_heads=True)
    named = dict(model.named_children())
    whole = dict(zip(named, sizes(model), strict=True))
    assert sum(whole.values()) == total + sum(auxiliary)
    assert whole['sar_stem'] + whole['optical_stem'] == stem
    assert {key: sizes(named[key]) for key in parts} == parts
    pairs = zip(sizes(named['merges']), sizes(named['decoders']), strict=True)
    assert [merge + decode for merge, decode in pairs] == merged
    assert {key: whole[key] for key in rest} == rest
    assert [whole['encoder_heads'], whole['decoder_heads']] == auxiliary


def test_network_is_the_published_one() -> None:
    height, width = 17, 45
    model = randomised(small(dim=4, depths=(2, 1, 1), auxiliary_heads=True))
    image, sar = (x.double() for x in pair(1, height, width))
    outputs = model.deeply_supervised(image, sar)  # type: ignore[operator]
    # The border is repeated up to multiples of 8, and 32 pixels at least
    bottom, right = max(32, -height % 8 + height), max(32, -width % 8 + width)
    margins = ((0, 0), (0, bottom - height), (0, right - width))
    inputs = (np.pad(x[0].numpy(), margins, mode='edge') for x in (image, sar))
    expected = reference.network(*inputs, weights_of(model), depths=(2, 1, 1), plain=1)
    assert_same(outputs.reconstruction, expected[0][:, :height, :width])
    for found, levels in zip(outputs[1:], expected[1:], strict=True):
        for i, (image_, level) in enumerate(zip(found, levels, strict=True)):
            assert_same(image_, level[:, : height // 2**i, : width // 2**i])
    with torch.no_grad():
        same = model(image, sar)['reconstruction']
    torch.testing.assert_close(same, outputs.reconstruction)


@pytest.mark.parametrize('heads', [1, 4])
def test_transposed_attention_correlates_channels(heads: int) -> None:
    attend = randomised(TransposedAttention(8, heads))
    x = noise(1, 8, 5, 7)
    assert_same(attend(x), reference.over_channels(x[0].numpy(), weights_of(attend)))


def test_transposed_attention_does_not_overflow_in_half_precision() -> None:
    attend = TransposedAttention(2, 1)
    for parameter in attend.parameters():
        parameter.data.zero_()
    attend.qkv[0].weight.data[:, 0] = 1
    attend.qkv[1].weight.data[:, :, 1, 1] = 1
    attend.project.weight.data[..., 0, 0] = torch.eye(2)
    x = torch.full((1, 2, 64, 64), 30.0)
    with torch.autocast('cpu', dtype=torch.float16):
        out = attend(x)
    torch.testing.assert_close(out.float(), x, atol=0.1, rtol=0)


# One head with dilations 1 and 2; one and two for each of four dilations
@pytest.mark.parametrize(('channels', 'dilations'), [(6, 2), (12, 4), (24, 4)])
def test_dilated_attention_sees_eight_neighbours(channels: int, dilations: int) -> None:
    attend = randomised(DilatedAttention(channels, 3, dilations))
    x = noise(1, channels, 5, 7)
    expected = reference.over_neighbours(x[0].numpy(), weights_of(attend), cell=3)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        assert_same(attend(x.contiguous(memory_format=memory_format)), expected)


def test_neighbourhoods_slide() -> None:
    """A pixel sees its neighbours at distances 0, 1 and 2, one wider by the convolution."""
    attend = randomised(DilatedAttention(4, 2, 2))
    x = noise(1, 4, 16, 16).requires_grad_()
    for row, column in ((6, 7), (7, 8)):
        (gradient,) = torch.autograd.grad(attend(x)[0, :, row, column].sum(), x)
        seen = gradient[0].abs().sum(0).nonzero()
        assert seen.amin(0).tolist() == [row - 3, column - 3]
        assert seen.amax(0).tolist() == [row + 3, column + 3]


def test_gates_scale_channels_then_pixels() -> None:
    both = randomised(gates(32))
    assert [type(gate) for gate in both] == [ChannelGate, SpatialGate]
    x = noise(1, 32, 5, 7)
    assert_same(both(x), reference.gated(x[0].numpy(), weights_of(both), 0))


def test_feed_forward_gates_by_the_first_half() -> None:
    layer = randomised(GatedFeedForward(4))
    x = noise(1, 4, 5, 7)
    assert_same(layer(x), reference.fed_forward(x[0].numpy(), weights_of(layer)))


def test_block_has_both_attentions_in_sequence() -> None:
    block = randomised(mixed_block(12, 3))
    x = noise(1, 12, 6, 7)
    assert_same(block(x), reference.block(x[0].numpy(), weights_of(block), cell=3))


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = get_model('ecrformer_light', depths=(1,), auxiliary_heads=True)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight.detach()
            expected = (2 / weight[0].numel()) ** 0.5
            # Four standard errors of a standard deviation
            error = 4 / (2 * weight.numel()) ** 0.5
            assert weight.std(correction=0) == pytest.approx(expected, rel=error), name
            assert module.bias is None or not module.bias.any(), name
    scales = [p for name, p in model.named_parameters() if name.endswith('.scale')]
    temperatures = [p for name, p in model.named_parameters() if 'temperature' in name]
    # Three for each of two blocks of levels, two for each of three others
    assert [p.item() for p in scales] == pytest.approx(12 * [0.01])
    assert [p.unique().item() for p in temperatures] == 5 * [1.0]
    assert [len(p) for p in temperatures] == [1, 4, 2, 4, 4]


def test_nothing_is_added_to_the_output() -> None:
    model = small()
    nn.init.zeros_(model.output.weight)
    nn.init.constant_(model.output.bias, 3.5)
    out = model(*pair(1, 30, 41))['reconstruction']
    torch.testing.assert_close(out, torch.full_like(out, 3.5))


def test_sar_matters_and_batch_samples_do_not_mix() -> None:
    check_sar_of_each_chip(small(), pair())


def test_learns_two_chips_with_its_recipe() -> None:
    model = single_level(auxiliary_heads=True).train()
    image, sar = pair(2, 16, 16)
    batch = {'image': image, 'image_sar': sar, 'image_clear': 0.6 * image.flip(0)}
    optimizer = RECIPE.optimizer(model.parameters())
    values = fit(model, RECIPE.losses, batch, optimizer, 25)
    assert values[-1] < 0.7 * values[0]
