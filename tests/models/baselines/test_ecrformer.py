# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from torchgeo_tdpcr.models.ecrformer import RECIPE, ECRformer, ecrformer_light
from torchgeo_tdpcr.models.ecrformer_blocks import (
    DilatedWindowAttention,
    ECRBlock,
    MixedAttention,
    TransposedAttention,
)
from torchgeo_tdpcr.models.inputs import padded
from torchgeo_tdpcr.models.registry import get_model, get_recipe

SMALL: dict[str, Any] = {
    'dim': 8,
    'depths': (1, 1),
    'bottleneck': 1,
    'refinement': 1,
    'heads': (1, 1, 2),
    'window': 4,
    'stem_blocks': 1,
}


def inputs(batch: int = 2, height: int = 32, width: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 13, height, width, generator=generator)
    return image, torch.rand(batch, 2, height, width, generator=generator)


def small(**kwargs: Any) -> ECRformer:
    torch.manual_seed(0)
    return ECRformer(**{**SMALL, **kwargs}).eval()


def single_level(dim: int = 8) -> ECRformer:
    return small(dim=dim, depths=(1,), heads=(1, 1))


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
    with torch.device('meta'):
        model = build()
        images = torch.empty(1, 13, 256, 256), torch.empty(1, 2, 256, 256)
    count = sum(p.numel() for p in model.parameters())
    assert count == parameters
    assert abs(count / measured - 1) < 0.005
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*images)
    assert round(counter.get_total_flops() / 2e9, 1) == macs


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (45, 70), (32, 9)])
def test_any_size(height: int, width: int) -> None:
    out = small()(*inputs(2, height, width))
    assert list(out) == ['reconstruction']
    assert out['reconstruction'].shape == (2, 13, height, width)
    assert torch.isfinite(out['reconstruction']).all()


def test_every_parameter_learns() -> None:
    model = small().train()
    model(*inputs(2, 45, 70))['reconstruction'].square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_learns_two_chips() -> None:
    """Beneath a uniform cloud is what only SAR tells."""
    model = single_level().train()
    sar = torch.nn.functional.interpolate(inputs()[1][..., :4, :4], scale_factor=8)
    clear = (0.8 * sar[:, :1]).expand(-1, 13, -1, -1)
    batch = {
        'image': torch.full_like(clear, 0.7),
        'image_sar': sar,
        'image_clear': clear,
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(40):
        losses = RECIPE.losses(model, batch)
        optimizer.zero_grad()
        losses['loss'].backward()
        optimizer.step()
    error = (model(batch['image'], sar)['reconstruction'] - clear).abs().mean()
    without_sar = (clear - clear.median()).abs().mean()
    assert error < 0.5 * without_sar


def test_sar_matters_and_batch_samples_do_not_mix() -> None:
    model = small()
    image, sar = inputs()
    out = model(image, sar)['reconstruction']
    changed = sar.clone()
    changed[1] += 1
    other = model(image, changed)['reconstruction']
    torch.testing.assert_close(other[0], out[0])
    assert (other[1] - out[1]).abs().max() > 1e-4


def test_predicts_a_correction_of_the_cloudy_image() -> None:
    model = small()
    nn.init.zeros_(model.output.weight)
    nn.init.zeros_(model.output.bias)  # type: ignore[arg-type]
    image, sar = inputs(1, 30, 41)
    torch.testing.assert_close(model(image, sar)['reconstruction'], image)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype) -> None:
    model = small()
    exact = model(*inputs())['reconstruction']
    with torch.autocast('cpu', dtype=dtype):
        out = model(*inputs())['reconstruction']
    assert (out.float() - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_compiles_without_graph_breaks() -> None:
    model = single_level()
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    out = compiled(*inputs(2, 30, 32))['reconstruction']
    torch.testing.assert_close(out, model(*inputs(2, 30, 32))['reconstruction'])


def test_export_takes_any_batch() -> None:
    model = single_level()
    batch = torch.export.Dim('batch', min=1, max=64)
    program = torch.export.export(
        model, inputs(2, 20, 32), dynamic_shapes=({0: batch}, {0: batch})
    )
    for size in (1, 3):
        images = inputs(size, 20, 32)
        torch.testing.assert_close(program.module()(*images), model(*images))


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


def test_recipe_is_the_mean_absolute_error() -> None:
    model = small()
    image, sar = inputs()
    clear = image.flip(0)
    losses = RECIPE.losses(
        model, {'image': image, 'image_sar': sar, 'image_clear': clear}
    )
    difference = model(image, sar)['reconstruction'].detach().numpy() - clear.numpy()
    assert losses['loss'].item() == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    optimizer = RECIPE.optimizer(model.parameters())
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults['lr'] == 3e-4


def test_registered() -> None:
    assert isinstance(get_model('ecrformer', **SMALL), ECRformer)
    assert len(get_model('ecrformer_light', dim=8).refinement) == 2
    assert get_recipe('ecrformer') is get_recipe('ecrformer_light') is RECIPE


@pytest.mark.parametrize(
    ('image', 'sar', 'named'),
    [
        ((1, 12, 8, 8), (1, 2, 8, 8), '`image`'),
        ((1, 13, 8, 8), (1, 1, 8, 8), '`image_sar`'),
        ((1, 13, 8, 8), (1, 2, 8, 9), 'one grid'),
    ],
)
def test_wrong_inputs(image: tuple, sar: tuple, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        small()(torch.rand(image), torch.rand(sar))


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'num_classes': 7}, 'does not segment'),
        ({'heads': (1, 2)}, '`heads='),
        ({'depths': (), 'heads': (1,)}, '`depths='),
        ({'dim': 6}, 'do not go with 6 channels'),
        ({'dilations': ()}, 'at least one'),
    ],
)
def test_wrong_arguments(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ECRformer(**{**SMALL, **arguments})


def test_odd_channels_cannot_be_halved() -> None:
    with pytest.raises(ValueError, match='7 channels'):
        MixedAttention(7, 1, 4, (1,))
