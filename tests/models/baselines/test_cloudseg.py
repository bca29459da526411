# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from model_checks import (
    check_autocast,
    check_compiles,
    check_each_chip_alone,
    check_exports,
    check_gradients,
    check_outputs,
    check_refuses,
    cross_entropy,
    fit,
    keep_one_block,
    pair,
    wrong_inputs,
)

from torchgeo_tdpcr.models.baselines.cloudseg import (
    RECIPE,
    CloudSeg,
    CloudSegFusion,
    CloudSegLosses,
    charbonnier,
    distillation,
)
from torchgeo_tdpcr.models.baselines.mix_transformer import MixTransformer
from torchgeo_tdpcr.models.registry import get_model, get_recipe

TINY: dict[str, Any] = {'in_channels': 4, 'num_classes': 3, 'encoder': 'mit_b0'}


def build(**kwargs: Any) -> CloudSeg:
    torch.manual_seed(0)
    return CloudSeg(**{**TINY, **kwargs})


def shallow() -> CloudSeg:
    model = build().eval()
    keep_one_block(model.optical, model.sar, model.cross)
    return model


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


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (45, 70), (32, 64)])
def test_any_size(height: int, width: int) -> None:
    out = build().eval()(*pair(2, height, width, bands=4))
    check_outputs(out, 2, height, width, reconstruction=4, logits=3, features=16)


def test_every_parameter_learns() -> None:
    model = build()
    RECIPE.losses(model, make_batch())['loss'].backward()
    check_gradients(model, nonzero=False)


def test_overfits() -> None:
    model, batch = build(), make_batch()
    optimizer = RECIPE.optimizer(model.parameters())
    assert optimizer.defaults['lr'] == 1e-4
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


def test_autocast_and_batch_of_one() -> None:
    model, batch = build().eval(), make_batch()
    images = batch['image'], batch['image_sar']
    check_each_chip_alone(model, images, atol=1e-4, rtol=1e-3)
    check_autocast(model, images, 0.1)


def test_compiles_without_graph_breaks() -> None:
    check_compiles(shallow(), pair(1, 45, 70, bands=4))


def test_exports_with_dynamic_batch() -> None:
    example, *others = (pair(chips, 64, 64, bands=4) for chips in (2, 1, 3))
    check_exports(shallow(), example, others, atol=1e-4, rtol=1e-3)


def test_registered_with_its_recipe() -> None:
    assert isinstance(get_model('cloudseg', **TINY), CloudSeg)
    assert get_recipe('cloudseg') is RECIPE


def test_building_gives_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        build()


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'num_classes': None}, 'num_classes'),
        ({'num_classes': 0}, 'num_classes'),
        ({'encoder': 'resnet18'}, 'mit_b0'),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build(**arguments)


@wrong_inputs(4, 5, 32)
def test_wrong_inputs(image: tuple[int, ...], sar: tuple[int, ...], named: str) -> None:
    check_refuses(build(), image, sar, named)


def test_stages_are_those_of_the_library() -> None:
    """Run one by one they give what the library's encoder gives."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    encoder = MixTransformer('mit_b0', 3).eval()
    torch.manual_seed(0)
    library = smp.encoders.get_encoder('mit_b0', 3, 5, None).eval()
    x = torch.rand(1, 3, 64, 64)
    expected = library(x)[2:]
    for i, wanted in enumerate(expected):
        x = encoder.refine(i, encoder.embed(i, x))
        torch.testing.assert_close(x, wanted)
