# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.


import numpy as np
import pytest
import torch
import torch.nn.functional as F
from baseline_tests import BaselineTests
from model_checks import (
    check_corrects_the_image,
    check_learns_from_sar,
    check_reconstruction_trains,
    check_sar_of_each_chip,
    on_meta,
    pair,
)
from torchmetrics.functional.image import structural_similarity_index_measure

from torchgeo_tdpcr.models.baselines.hdrsanet import (
    RECIPE,
    HDRSANet,
    OmniDynamicConv,
    SparseGlobalAttention,
)
from torchgeo_tdpcr.models.inputs import padded


class TestHDRSANet(BaselineTests):
    name = 'hdrsanet'
    arguments = {'channels': 8, 'groups': 2, 'blocks': 1, 'grid': 4}
    optimizer = torch.optim.Adam, {'lr': 1e-4}
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'channels': 10}, 'multiple of'),
    )


small = TestHDRSANet.build


def test_size() -> None:
    _, count, counter = on_meta(HDRSANet)
    assert count == 8_987_500
    assert round(counter.get_total_flops() / 2e9, 1) == 50.6


def test_every_parameter_learns() -> None:
    check_reconstruction_trains(small().train(), pair(2, 45, 70))


def test_learns_two_chips() -> None:
    check_learns_from_sar(small().train(), RECIPE.losses)


def test_sar_matters_and_batch_samples_do_not_mix() -> None:
    check_sar_of_each_chip(small(), pair())


def test_predicts_a_correction_of_the_cloudy_image() -> None:
    model = small()
    check_corrects_the_image(model, model.output, pair(1, 30, 41))


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
    image, sar = pair()
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
        torch.nn.init.zeros_(parameter)
    image, sar = pair()
    batch = {'image': image, 'image_sar': sar, 'image_clear': image}
    assert RECIPE.losses(model, batch)['loss'].item() == pytest.approx(0, abs=1e-5)
    black = {**batch, 'image': 0 * image, 'image_clear': 0 * image}
    loss = RECIPE.losses(model, black)['loss']
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert loss.isfinite()
    assert grads
    assert all(grad.isfinite().all() for grad in grads)
