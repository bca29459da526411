# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from typing import Any

import numpy as np
import pytest
import torch
from model_checks import (
    Pair,
    check_autocast,
    check_compiles,
    check_each_chip_alone,
    check_exports,
    check_gradients,
    check_outputs,
    check_refuses,
    cross_entropy,
    fit,
    on_meta,
    pair,
    wrong_inputs,
)

from torchgeo_tdpcr.models.baselines.segformer import RECIPE, SegFormer
from torchgeo_tdpcr.models.registry import get_model, get_recipe

TINY: dict[str, Any] = {'in_channels': 4, 'num_classes': 3, 'encoder': 'mit_b0'}
INPUTS = ('image', 'image_sar', 'both')


def build(**kwargs: Any) -> SegFormer:
    torch.manual_seed(0)
    return SegFormer(**{**TINY, **kwargs})


def chips(count: int = 2, height: int = 64, width: int = 64) -> Pair:
    return pair(count, height, width, bands=4, seed=1)


def test_figures_of_the_docstring() -> None:
    _, parameters, counter = on_meta(lambda: SegFormer(num_classes=7))
    assert parameters == 24_755_271
    assert round(counter.get_total_flops() / 2e9, 2) == 5.67


@pytest.mark.parametrize('inputs', INPUTS)
@pytest.mark.parametrize(('height', 'width'), [(1, 1), (45, 70)])
def test_any_size(inputs: str, height: int, width: int) -> None:
    out = build(inputs=inputs).eval()(*chips(2, height, width))
    check_outputs(out, 2, height, width, logits=3)


@pytest.mark.parametrize('inputs', INPUTS)
def test_looks_at_its_inputs_only(inputs: str) -> None:
    model = build(inputs=inputs).eval()
    image, sar = chips()
    logits = model(image, sar)['logits']
    without_image = model(torch.zeros_like(image), sar)['logits']
    without_sar = model(image, torch.zeros_like(sar))['logits']
    assert torch.equal(logits, without_image) == (inputs == 'image_sar')
    assert torch.equal(logits, without_sar) == (inputs == 'image')


def test_every_parameter_learns_and_overfits() -> None:
    model = build(inputs='both')
    image, sar = chips()
    batch = {
        'image': image,
        'image_sar': sar,
        'mask': torch.nn.functional.avg_pool2d(image[:, 0], 16)
        .argsort(-1)
        .clamp(max=2)
        .repeat_interleave(16, 1)
        .repeat_interleave(16, 2),
    }
    optimizer = RECIPE.optimizer(model.parameters())
    assert optimizer.defaults['lr'] == 6e-5
    assert optimizer.defaults['weight_decay'] == 0.01
    optimizer.param_groups[0]['lr'] = 1e-3
    values = fit(model, RECIPE.losses, batch, optimizer, 30)
    check_gradients(model, nonzero=False)
    assert values[-1] < 0.6 * values[0]


def test_loss_is_the_mean_over_labelled_pixels() -> None:
    model = build().eval()
    image, sar = chips()
    mask = np.random.default_rng(0).integers(0, 3, (2, 64, 64))
    mask[:, :20] = 255
    batch = {'image': image, 'image_sar': sar, 'mask': torch.from_numpy(mask)}
    losses = RECIPE.losses(model, batch)
    expected = cross_entropy(model(image, sar)['logits'], batch['mask'])
    assert losses['loss'].item() == pytest.approx(expected, rel=1e-4)
    assert losses['loss'] == losses['loss_seg']
    del batch['mask']
    with pytest.raises(KeyError, match='SegFormer needs `mask`'):
        RECIPE.losses(model, batch)


def test_autocast_and_batch_of_one() -> None:
    model = build().eval()
    check_each_chip_alone(model, chips(), atol=1e-4, rtol=1e-3)
    check_autocast(model, chips(), 0.1)


def test_compiles_without_graph_breaks() -> None:
    check_compiles(build().eval(), chips(1, 45, 70))


def test_exports_with_dynamic_batch() -> None:
    model = build(inputs='both').eval()
    check_exports(model, chips(), map(chips, (1, 3)), atol=1e-4, rtol=1e-3)


def test_registered_with_its_recipe() -> None:
    assert isinstance(get_model('segformer', **TINY), SegFormer)
    assert get_recipe('segformer') is RECIPE


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'num_classes': None}, 'num_classes'),
        ({'encoder': 'mit_b9'}, 'mit_b0'),
        ({'inputs': 'sar'}, 'image_sar'),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build(**arguments)


@wrong_inputs(4, 5, 32)
def test_wrong_inputs(image: tuple[int, ...], sar: tuple[int, ...], named: str) -> None:
    check_refuses(build(), image, sar, named)
