# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import (
    check_gradients,
    cross_entropy,
    fit,
    keep_one_block,
)

from torchgeo_tdpcr.models.baselines.cloudseg import (
    RECIPE,
    CloudSeg,
    CloudSegFusion,
    CloudSegLosses,
    charbonnier,
    distillation,
)


class TestCloudSeg(BaselineTests):
    name = 'cloudseg'
    arguments = {'encoder': 'mit_b0'}
    bands, classes = 4, 3
    outputs = {'reconstruction': 4, 'logits': 3, 'features': 16}
    optimizer = torch.optim.Adam, {'lr': 1e-4}
    wrong_arguments = (
        ({'num_classes': None}, 'num_classes'),
        ({'num_classes': 0}, 'num_classes'),
        ({'encoder': 'resnet18'}, 'mit_b0'),
    )
    traced_size = (64, 64)
    autocast_error = 0.1
    tolerance = {'atol': 1e-4, 'rtol': 1e-3}

    @classmethod
    def build_traced(cls) -> CloudSeg:
        model: CloudSeg = cls.build()
        keep_one_block(model.optical, model.sar, model.cross)
        return model


def build() -> CloudSeg:
    """In training mode."""
    return TestCloudSeg.build().train()


def make_batch(size: tuple[int, int] = (64, 64), chips: int = 2) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    clear = torch.rand(chips, 4, *size, generator=generator)
    cloud = torch.zeros(chips, *size, dtype=torch.long)
    cloud[:, : size[0] // 2] = 1
    mask = (clear[:, 0] * 3).long().clamp(max=2)
    mask[:, 0] = 255
    return {
        'image': torch.where(cloud[:, None] == 1, 0.9, clear),
        'image_sar': clear[:, :2].clone(),
        'image_clear': clear,
        'mask': mask,
        'mask_cloud': cloud,
    }


def count(**kwargs: Any) -> int:
    with torch.device('meta'):
        model = CloudSeg(**kwargs)
    return sum(p.numel() for p in model.parameters())


def test_parameters() -> None:
    full = count(num_classes=7)
    assert full == 203_248_784
    assert abs(full / 203.250e6 - 1) < 0.005
    # MiT-B1 is as wide as MiT-B4, so a band and a class cost as much and build faster.
    less = count(num_classes=7, encoder='mit_b1') - count(
        in_channels=4, num_classes=6, encoder='mit_b1'
    )
    assert full - less == 203_215_222
    assert abs((full - less) / 203.216e6 - 1) < 0.005


def test_every_parameter_learns() -> None:
    model = build()
    RECIPE.losses(model, make_batch())['loss'].backward()
    check_gradients(model, nonzero=False)


def test_overfits() -> None:
    model, batch = build(), make_batch()
    optimizer = RECIPE.optimizer(model.parameters())
    optimizer.param_groups[0]['lr'] = 1e-3
    values = fit(model, RECIPE.losses, batch, optimizer, 8)
    assert values[-1] < 0.8 * values[0]


def test_reconstruction_is_not_residual() -> None:
    model = build().eval()
    for parameter in model.restore.parameters():
        torch.nn.init.zeros_(parameter)
    batch = make_batch()
    assert not model(batch['image'], batch['image_sar'])['reconstruction'].any()


def test_both_inputs_reach_both_outputs() -> None:
    model, batch = build().eval(), make_batch()
    out = model(batch['image'], batch['image_sar'])
    for image, sar in (
        (batch['image'] + 1, batch['image_sar']),
        (batch['image'], batch['image_sar'] + 1),
    ):
        other = model(image, sar)
        for key in ('reconstruction', 'logits'):
            assert (other[key] - out[key]).abs().max() > 1e-4


def test_fusion_distributes_by_its_gates() -> None:
    fuse = CloudSegFusion(16).eval()
    optical, sar = torch.randn(2, 1, 16, 6, 6)
    for gate, value in ((fuse.optical_gate, 0.0), (fuse.sar_gate, -100.0)):
        torch.nn.init.zeros_(gate.weight)
        torch.nn.init.constant_(gate.bias, value)
    fused, to_optical, to_sar = fuse(optical, sar)
    torch.testing.assert_close(to_optical, optical + fused / 2)
    torch.testing.assert_close(to_sar, sar)


def test_charbonnier_is_its_formula() -> None:
    generator = np.random.default_rng(0)
    prediction, target = generator.random((2, 2, 3, 5, 4))
    cloud = generator.integers(0, 2, (2, 5, 4))
    expected = np.mean(
        (1 + 5 * cloud[:, None]) * ((prediction - target) ** 2 + 1e-6) ** 0.45
    )
    got = charbonnier(*map(torch.from_numpy, (prediction, target, cloud)))
    assert got.item() == pytest.approx(expected, rel=1e-5)
    plain = charbonnier(torch.from_numpy(prediction), torch.from_numpy(target))
    assert plain.item() == pytest.approx(
        np.mean(((prediction - target) ** 2 + 1e-6) ** 0.45), rel=1e-5
    )


def test_distillation_is_its_formula_over_clear_pixels() -> None:
    generator = np.random.default_rng(0)
    features, wanted = generator.random((2, 2, 3, 5, 4))
    cloud = generator.integers(0, 2, (2, 5, 4))
    squares = ((features - wanted) ** 2).mean(1)
    got = distillation(*map(torch.from_numpy, (features, wanted, cloud)))
    assert got.item() == pytest.approx(squares[cloud == 0].mean(), rel=1e-5)
    covered = torch.ones(2, 5, 4, dtype=torch.long)
    assert distillation(torch.rand(2, 3, 5, 4), torch.rand(2, 3, 5, 4), covered) == 0


def test_losses_are_the_sum_of_their_parts() -> None:
    teacher = build()
    recipe = replace(RECIPE, losses=CloudSegLosses(teacher))
    model, batch = build().eval(), make_batch()
    losses = recipe.losses(model, batch)
    assert set(losses) == {'loss', 'loss_seg', 'loss_rec', 'loss_distill'}
    parts = losses['loss_seg'] + losses['loss_rec'] + losses['loss_distill']
    torch.testing.assert_close(losses['loss'], parts)

    logits = model(batch['image'], batch['image_sar'])['logits']
    expected = cross_entropy(logits, batch['mask'])
    assert losses['loss_seg'].item() == pytest.approx(expected, rel=1e-4)


def test_teacher_sees_clear_images_and_does_not_learn() -> None:
    teacher = build()
    losses = CloudSegLosses(teacher)
    assert not teacher.training
    model, batch = build().eval(), make_batch()
    # The same weights and the same input: nothing to distil.
    batch['image'] = batch['image_clear']
    assert losses(model, batch)['loss_distill'] == 0
    batch['image'] = batch['image_clear'] + 1
    result = losses(model, batch)
    assert result['loss_distill'] > 0
    result['loss'].backward()
    assert all(p.grad is None for p in teacher.parameters())


def test_losses_without_masks_and_without_teacher() -> None:
    model, batch = build().eval(), make_batch()
    del batch['mask'], batch['mask_cloud']
    losses = RECIPE.losses(model, batch)
    assert losses['loss_seg'] == 0
    assert losses['loss'] == losses['loss_rec']
    assert 'loss_distill' not in losses
    with pytest.raises(KeyError, match='mask_cloud'):
        CloudSegLosses(build())(model, batch)
    del batch['image_clear']
    with pytest.raises(KeyError, match='image_clear'):
        RECIPE.losses(model, batch)


def test_building_gives_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        build()
