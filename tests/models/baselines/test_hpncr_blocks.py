# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import hpncr_reference as reference
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy_layers import conv, part, weights_of
from torch import nn

from torchgeo_tdpcr.models.baselines.hpncr.attention import (
    OffsetBias,
    smallest_map,
    window_attention,
)
from torchgeo_tdpcr.models.baselines.hpncr.blocks import (
    DecloudBlock,
    RescaleNorm,
    SpatialGate,
    SpatialMixing,
    decloud_stage,
    init_stages,
)
from torchgeo_tdpcr.models.baselines.hpncr.fusion import (
    ResidualBlock,
    SelectiveFusion,
)


def jumbled(module: nn.Module) -> nn.Module:
    """No weight is left at 0 or 1, so that each of them matters."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in (*module.parameters(), *module.buffers()):
            if value.is_floating_point() and value.ndim != 2:
                value.add_(0.3 * torch.rand(value.shape, generator=generator))
    return module.eval()


@pytest.mark.parametrize(
    ('height', 'width', 'shift'), [(8, 12, 0), (7, 9, 0), (8, 8, 2), (4, 10, 2)]
)
def test_window_attention_pixel_by_pixel(height: int, width: int, shift: int) -> None:
    torch.manual_seed(0)
    biases = OffsetBias(4, heads=2).double()
    query, key, value = torch.randn(3, 2, 6, height, width, dtype=torch.double)
    with torch.no_grad():
        both = torch.cat([query, key], 1)
        out = window_attention(both, value, biases(), 4, shift)
    weights = weights_of(biases)
    for found, *image in zip(
        out, query.numpy(), key.numpy(), value.numpy(), strict=True
    ):
        expected = reference.attention(*image, weights, 4, shift)
        # the logarithms of offsets are in float32
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize('window', [3, 4, 5, 8, 12, 16])
@pytest.mark.parametrize('moved', [False, True])
def test_attention_takes_all_maps_from_the_smallest_on(
    window: int, moved: bool
) -> None:
    bias = torch.zeros(1, window**2, window**2)
    for side in range(smallest_map(window), 2 * window + 1):
        value = torch.rand(1, 1, side, side)
        query_key = torch.zeros(1, 2, side, side)
        out = window_attention(query_key, value, bias, window, moved * (window // 2))
        assert out.shape == value.shape


@pytest.mark.parametrize(('heads', 'shift'), [(0, 0), (2, 0), (2, 2)])
def test_block_in_numpy(heads: int, shift: int) -> None:
    torch.manual_seed(0)
    block = jumbled(DecloudBlock(6, heads, window=4, shift=shift, mlp_ratio=2)).double()
    x = torch.randn(2, 6, 7, 9, dtype=torch.double)
    with torch.no_grad():
        out = block(x)
    weights = weights_of(block)
    for found, image in zip(out, x, strict=True):
        expected = reference.block(image.numpy(), weights, 4, shift)
        # the norm is in float32
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_parts_of_the_block_in_numpy() -> None:
    torch.manual_seed(0)
    x = 5 + 2 * torch.randn(2, 6, 7, 9, dtype=torch.double)
    gate, norm = jumbled(SpatialGate()).double(), jumbled(RescaleNorm(6)).double()
    with torch.no_grad():
        gates, normed = gate(x), norm(x)
    for i, image in enumerate(x.numpy()):
        expected = reference.gate(image, weights_of(gate))
        np.testing.assert_allclose(gates[i].numpy(), expected, atol=1e-10)
        for found, wanted in zip(
            normed, reference.norm(image, weights_of(norm)), strict=True
        ):
            np.testing.assert_allclose(found[i].numpy(), wanted, atol=1e-5)


def test_attention_is_in_the_last_blocks_and_odd_ones_move_their_windows() -> None:
    stage = decloud_stage(8, 7, 3 / 7, heads=2, window=8, mlp_ratio=2)
    mixings = [m for m in stage.modules() if isinstance(m, SpatialMixing)]
    assert [m.relate is not None for m in mixings] == [False] * 4 + [True] * 3
    # counted over the whole stage, of which the first with attention is the fifth
    assert [m.shift for m in mixings] == [0, 4, 0, 4, 0, 4, 0]


def test_initial_weights() -> None:
    torch.manual_seed(0)
    stage = decloud_stage(64, 2, 0.5, heads=2, window=4, mlp_ratio=2)
    init_stages(stage, depth=32)
    block = stage[1]
    xavier = {
        (64, 128): (2 / (64 + 128)) ** 0.5,
        (64, 64): (2 / (64 + 64)) ** 0.5,
        7: (2 / (49 + 64 * 49)) ** 0.5,
        5: (2 / (25 + 64 * 25)) ** 0.5,
    }
    mixing = block.spatial
    for layer, expected in (
        (mixing.relate, xavier[64, 128]),
        (mixing.value.expand, xavier[64, 128]),
        (mixing.value.convolve, 0.25 * xavier[7]),
        (mixing.value.project, 0.25 * xavier[64, 64]),
        (mixing.convolve, 0.25 * xavier[5]),
        (mixing.project, 0.25 * xavier[64, 64]),
        (block.channel[0], 0.25 * xavier[64, 128]),
        (block.channel[2], 0.25 * xavier[64, 128]),
    ):
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.06)
        assert not layer.bias.any()
    # the gate is as PyTorch has it
    assert all(conv.bias.any() for conv in block.gate.scales)


def test_selective_fusion_is_a_softmax_over_the_two() -> None:
    torch.manual_seed(0)
    fuse = SelectiveFusion(8)
    first, second = (
        layer.weight[..., 0, 0] for layer in (fuse.weigh[0], fuse.weigh[2])
    )
    assert first.shape == (4, 8)
    x, skip = torch.randn(2, 3, 8, 5, 5)
    hidden = F.leaky_relu((x + skip).mean((2, 3)) @ first.T, 0.01)
    weights = (hidden @ second.T).view(3, 2, 8, 1, 1).softmax(1)
    expected = weights[:, 0] * x + weights[:, 1] * skip
    torch.testing.assert_close(fuse(x, skip), expected)


def test_residual_block_in_numpy() -> None:
    torch.manual_seed(0)
    block = jumbled(ResidualBlock(3, 4)).double()
    weights = weights_of(block)
    x = torch.randn(1, 3, 6, 8, dtype=torch.double)

    def layer(x: np.ndarray, name: str, norm: str) -> np.ndarray:
        w = part(weights, norm)
        x = conv(x, weights, name)
        x -= w['running_mean'][:, None, None]
        x /= np.sqrt(w['running_var'] + 1e-5)[:, None, None]
        return x * w['weight'][:, None, None] + w['bias'][:, None, None]

    image = x[0].numpy()
    hidden = np.maximum(layer(image, 'residual.0', 'residual.1'), 0)
    expected = np.maximum(layer(hidden, 'residual.3', 'residual.4'), 0)
    expected += layer(image, 'shortcut.0', 'shortcut.1')
    assert expected.min() < 0
    with torch.no_grad():
        np.testing.assert_allclose(block(x)[0].numpy(), expected, atol=1e-10)
