# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchmetrics.functional.image import structural_similarity_index_measure

from torchgeo_tdpcr.models.hdrsanet import RECIPE, HDRSANet
from torchgeo_tdpcr.models.hdrsanet_blocks import (
    OmniDynamicConv,
    SparseGlobalAttention,
)
from torchgeo_tdpcr.models.inputs import padded
from torchgeo_tdpcr.models.registry import get_model, get_recipe

SMALL: dict[str, Any] = {'channels': 8, 'groups': 2, 'blocks': 1, 'grid': 4}


def inputs(batch: int = 2, height: int = 32, width: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 13, height, width, generator=generator)
    return image, torch.rand(batch, 2, height, width, generator=generator)


def small() -> HDRSANet:
    torch.manual_seed(0)
    return HDRSANet(**SMALL).eval()


def test_size() -> None:
    with torch.device('meta'):
        model = HDRSANet()
        images = torch.empty(1, 13, 256, 256), torch.empty(1, 2, 256, 256)
    assert sum(p.numel() for p in model.parameters()) == 8_987_500
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*images)
    assert round(counter.get_total_flops() / 2e9, 1) == 50.6


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
    model = small().train()
    sar = F.interpolate(inputs()[1][..., :4, :4], scale_factor=8)
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
    for parameter in model.output.parameters():
        nn.init.zeros_(parameter)
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
    model = small()
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    out = compiled(*inputs(2, 30, 32))['reconstruction']
    torch.testing.assert_close(out, model(*inputs(2, 30, 32))['reconstruction'])


def test_export_takes_any_batch() -> None:
    model = small()
    batch = torch.export.Dim('batch', min=1, max=64)
    program = torch.export.export(
        model, inputs(2, 20, 32), dynamic_shapes=({0: batch}, {0: batch})
    )
    for size in (1, 3):
        images = inputs(size, 20, 32)
        torch.testing.assert_close(program.module()(*images), model(*images))


def test_dynamic_convolution_is_its_definition() -> None:
    """Against the formula, one image and one candidate kernel at a time."""
    torch.manual_seed(0)
    layer = OmniDynamicConv(5, kernels=3)
    x = torch.randn(2, 5, 6, 7)
    out = layer(x)
    for image, result in zip(x, out, strict=True):
        hidden = F.relu(layer.squeeze[0](image.mean((1, 2))))  # type: ignore[operator]
        attention = layer.attend(hidden)
        outputs, inputs_ = attention[:5].sigmoid(), attention[5:10].sigmoid()
        positions = attention[10:19].sigmoid().reshape(3, 3)
        shares = attention[19:].softmax(0)
        expected = torch.zeros_like(image)
        for share, weight in zip(shares, layer.weight, strict=True):
            weight = weight.reshape(5, 5, 3, 3) * positions
            scaled = image * inputs_[:, None, None]
            expected += share * F.conv2d(scaled, weight, padding=1)
        torch.testing.assert_close(result, expected * outputs[:, None, None])


@pytest.mark.parametrize(('height', 'width'), [(8, 12), (9, 6)])
def test_sparse_attention_is_masked_attention(height: int, width: int) -> None:
    """Against attention among all pixels, where only those on one grid see another."""
    torch.manual_seed(0)
    layer = SparseGlobalAttention(4, heads=2, grid=4)
    x = torch.randn(2, 4, height, width)
    out = layer(x)
    x = padded(x, 4)
    rows, columns = x.shape[-2] // 4, x.shape[-1] // 4
    y, z = (
        n.flatten()
        for n in torch.meshgrid(
            torch.arange(x.shape[2]), torch.arange(x.shape[3]), indexing='ij'
        )
    )
    place = torch.stack([y % rows, z % columns])
    together = (place[:, :, None] == place[:, None]).all(0)
    assert (together.sum(0) == 16).all()
    q, k, v = layer.qkv(x).reshape(2, 3, 2, 2, -1).unbind(1)
    logits = torch.einsum('bhdn,bhdm->bhnm', q, k) / 2**0.5
    weights = logits.masked_fill(~together, -torch.inf).softmax(-1)
    mixed = torch.einsum('bhnm,bhdm->bhdn', weights, v).reshape(x.shape)
    torch.testing.assert_close(out, layer.project(mixed)[..., :height, :width])


def test_losses_are_their_formulas() -> None:
    model = small()
    image, sar = inputs()
    clear = image.flip(0)
    losses = RECIPE.losses(
        model, {'image': image, 'image_sar': sar, 'image_clear': clear}
    )
    prediction = model(image, sar)['reconstruction'].detach()
    a, b = prediction.double().numpy(), clear.double().numpy()
    pixel = np.abs(a - b).mean()
    norms = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    spectral = 1 - ((a * b).sum(1) / norms).mean()
    ssim = structural_similarity_index_measure(prediction, clear, data_range=1.0)
    structure = 1 - float(ssim)  # type: ignore[arg-type]
    expected = {
        'loss': pixel + 0.1 * spectral + 0.1 * structure,
        'loss_pixel': pixel,
        'loss_spectral': spectral,
        'loss_structure': structure,
    }
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(
        expected, rel=1e-4
    )


def test_losses_are_zero_at_the_truth_and_finite_where_it_is_black() -> None:
    model = small()
    for parameter in model.output.parameters():
        nn.init.zeros_(parameter)
    image, sar = inputs()
    batch = {'image': image, 'image_sar': sar, 'image_clear': image}
    assert RECIPE.losses(model, batch)['loss'].item() == pytest.approx(0, abs=1e-5)
    black = {**batch, 'image': 0 * image, 'image_clear': 0 * image}
    loss = RECIPE.losses(model, black)['loss']
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert loss.isfinite()
    assert grads
    assert all(grad.isfinite().all() for grad in grads)


def test_registered() -> None:
    assert isinstance(get_model('hdrsanet', **SMALL), HDRSANet)
    assert get_recipe('hdrsanet') is RECIPE
    optimizer = RECIPE.optimizer(small().parameters())
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.defaults['lr'] == 1e-4


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
    [({'num_classes': 7}, 'does not segment'), ({'channels': 10}, 'multiple of')],
)
def test_wrong_arguments(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        HDRSANet(**{**SMALL, **arguments})
