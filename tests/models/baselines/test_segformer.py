# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from typing import Any

import numpy as np
import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import (
    Pair,
    check_gradients,
    check_outputs,
    cross_entropy,
    fit,
    on_meta,
    pair,
)

from torchgeo_tdpcr.models.baselines.segformer import (
    RECIPE,
    SegFormer,
    warmup_poly,
)


class TestSegFormer(BaselineTests):
    name = 'segformer'
    arguments = {'encoder': 'mit_b0'}
    bands, classes = 4, 3
    outputs = {'logits': 3}
    optimizer = torch.optim.AdamW, {'lr': 6e-5, 'weight_decay': 0.01}
    wrong_arguments = (
        ({'num_classes': None}, 'num_classes'),
        ({'encoder': 'mit_b9'}, 'mit_b0'),
        ({'inputs': 'sar'}, 'image_sar'),
    )
    traced_size = (64, 64)
    autocast_error = 0.1
    tolerance = {'atol': 1e-4, 'rtol': 1e-3}

    @classmethod
    def build_traced(cls) -> SegFormer:
        return cls.build(inputs='both')


def build(**kwargs: Any) -> SegFormer:
    """In training mode."""
    return TestSegFormer.build(**kwargs).train()


INPUTS = ('image', 'image_sar', 'both')


def chips(count: int = 2, height: int = 64, width: int = 64) -> Pair:
    return pair(count, height, width, bands=4, seed=1)


def test_figures_of_the_docstring() -> None:
    _, parameters, counter = on_meta(lambda: SegFormer(num_classes=7))
    assert parameters == 24_755_271
    assert round(counter.get_total_flops() / 2e9, 2) == 5.67
    _, parameters, counter = on_meta(
        lambda: SegFormer(num_classes=7, decoder_channels=768)
    )
    assert parameters == 27_383_367
    assert round(counter.get_total_flops() / 2e9, 2) == 14.53


def test_drops_channels_before_the_classifier_in_training_alone() -> None:
    model, images = build(dropout=1.0), chips(1)
    seen: list[torch.Tensor] = []
    model.model.segmentation_head.register_forward_pre_hook(
        lambda _, given: seen.append(given[0])
    )
    model(*images)
    model.eval()(*images)
    assert not seen[0].any()
    assert seen[1].any()


def test_groups_of_its_recipe() -> None:
    model = build()
    optimizer = RECIPE.build_optimizer(model.named_parameters())
    norms, encoder, head = optimizer.param_groups
    rates = [g['lr'] for g in (norms, encoder, head)]
    assert rates == pytest.approx([6e-5, 6e-5, 6e-4])
    assert [g['weight_decay'] for g in (norms, encoder, head)] == [0, 0.01, 0.01]
    sizes = [sum(p.numel() for p in g['params']) for g in (norms, encoder, head)]
    assert sum(sizes) == sum(p.numel() for p in model.parameters())
    inside = model.model.encoder
    assert sizes[0] == sum(
        p.numel()
        for module in inside.modules()
        if isinstance(module, torch.nn.LayerNorm)
        for p in module.parameters()
    )
    assert sizes[0] + sizes[1] == sum(p.numel() for p in inside.parameters())


def test_schedule_of_its_recipe() -> None:
    assert RECIPE.scheduler is not None
    assert RECIPE.interval == 'step'
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    RECIPE.scheduler(optimizer)
    assert optimizer.param_groups[0]['lr'] == 1e-6
    for step, expected in (
        (150, 0.1 * (1 - 150 / 160_000)),
        (1500, 1 - 1500 / 160_000),
        (120_000, 0.25),
        (160_000, 0),
        (170_000, 0),
    ):
        assert warmup_poly(step) == pytest.approx(expected)


@pytest.mark.parametrize('inputs', ['image_sar', 'both'])
@pytest.mark.parametrize(('height', 'width'), [(1, 1), (45, 70)])
def test_any_size_of_other_inputs(inputs: str, height: int, width: int) -> None:
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
