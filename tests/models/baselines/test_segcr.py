# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

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
    on_meta,
    pair,
)

from torchgeo_tdpcr.models.baselines.segcr import (
    RECIPE,
    CloudImpact,
    SegCR,
    TargetedFusion,
    frequency_split,
)


class TestSegCR(BaselineTests):
    name = 'segcr'
    arguments = {'encoder': 'mit_b0'}
    bands, classes = 4, 3
    outputs = {'reconstruction': 4, 'logits': 3, 'translation': 4, 'cloud_impact': 1}
    optimizer = torch.optim.AdamW, {'lr': 1e-4}
    wrong_arguments = (
        ({'num_classes': None}, 'num_classes'),
        ({'encoder': 'vgg16'}, 'mit_b0'),
    )
    traced_size = (64, 64)
    autocast_error = 0.1
    tolerance = {'atol': 1e-4, 'rtol': 1e-3}

    @classmethod
    def build_traced(cls) -> SegCR:
        model: SegCR = cls.build()
        keep_one_block(model.optical, model.sar)
        return model


def build() -> SegCR:
    """In training mode."""
    return TestSegCR.build().train()


def test_impact_lies_within_0_and_1() -> None:
    impact = build().eval()(*pair(2, 45, 70, bands=4))['cloud_impact']
    assert impact.min() >= 0
    assert impact.max() <= 1


def make_batch() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    clear = torch.rand(2, 4, 64, 64, generator=generator)
    mask = (clear[:, 0] * 3).long().clamp(max=2)
    mask[:, 0] = 255
    return {
        'image': (clear + 0.5).clamp(max=1),
        'image_sar': clear[:, :2].clone(),
        'image_clear': clear,
        'mask': mask,
    }


def test_figures_of_the_docstring() -> None:
    _, parameters, counter = on_meta(lambda: SegCR(num_classes=7))
    assert parameters == 39_804_008
    assert round(counter.get_total_flops() / 2e9, 2) == 11.93


def test_every_parameter_learns_and_overfits() -> None:
    model, batch = build(), make_batch()
    optimizer = RECIPE.optimizer(model.parameters())
    optimizer.param_groups[0]['lr'] = 1e-3
    values = fit(model, RECIPE.losses, batch, optimizer, 12)
    check_gradients(model, nonzero=False)
    assert values[-1] < 0.8 * values[0]


def test_losses_are_their_formulas() -> None:
    model, batch = build().eval(), make_batch()
    losses = RECIPE.losses(model, batch)
    out = model(batch['image'], batch['image_sar'])
    clear = batch['image_clear'].numpy()
    expected = {'loss_seg': cross_entropy(out['logits'], batch['mask'])}
    for loss, key in (('rec', 'reconstruction'), ('translation', 'translation')):
        difference = out[key].detach().double().numpy() - clear
        expected[f'loss_{loss}'] = np.abs(difference).mean()
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-4)
    assert losses['loss'].item() == pytest.approx(sum(expected.values()), rel=1e-4)


def test_losses_without_mask_and_without_clear_image() -> None:
    model, batch = build().eval(), make_batch()
    del batch['mask']
    losses = RECIPE.losses(model, batch)
    assert losses['loss_seg'] == 0
    torch.testing.assert_close(
        losses['loss'], losses['loss_rec'] + losses['loss_translation']
    )
    del batch['image_clear']
    with pytest.raises(KeyError, match='image_clear'):
        RECIPE.losses(model, batch)


def test_reconstruction_is_no_correction_of_the_image() -> None:
    model, batch = build().eval(), make_batch()
    for parameter in model.restore.parameters():
        torch.nn.init.zeros_(parameter)
    out = model(batch['image'], batch['image_sar'])
    assert not out['reconstruction'].any()


def test_translation_depends_on_sar_alone() -> None:
    model, batch = build().eval(), make_batch()
    image, sar = batch['image'], batch['image_sar']
    translation = model(image, sar)['translation']
    assert torch.equal(model(image + 1, sar)['translation'], translation)
    assert not torch.equal(model(image, sar + 1)['translation'], translation)


def test_frequency_split_is_the_local_mean() -> None:
    x = np.random.default_rng(0).random((1, 2, 5, 6))
    low, high = frequency_split(torch.from_numpy(x))
    expected = np.empty_like(x)
    for row in range(5):
        for column in range(6):
            window = x[..., max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            expected[..., row, column] = window.mean((-2, -1))
    np.testing.assert_allclose(low.numpy(), expected)
    np.testing.assert_allclose((low + high).numpy(), x)


def test_impact_sees_differences_only() -> None:
    """Where both streams agree in all frequencies, the map says the same everywhere."""
    impact = CloudImpact(16)
    impact.sar.load_state_dict(impact.optical.state_dict())
    x = torch.randn(1, 16, 8, 8)
    same = impact(x, x)
    # The border of the 3×3 convolution aside, which sees zeros either way
    torch.testing.assert_close(same, same.mean().expand_as(same))
    changed = x.clone()
    changed[..., 4:, :] += 1
    other = impact(changed, x)
    torch.testing.assert_close(other[..., :2, :], same[..., :2, :])
    assert (other[..., 5:, :] - same[..., 5:, :]).abs().max() > 1e-3


@pytest.mark.parametrize(('score', 'cloudy'), [(-100.0, False), (100.0, True)])
def test_fusion_fills_where_the_map_says_so(score: float, cloudy: bool) -> None:
    fuse = TargetedFusion(16)
    torch.nn.init.zeros_(fuse.impact.score[2].weight)  # type: ignore[arg-type]
    torch.nn.init.constant_(fuse.impact.score[2].bias, score)  # type: ignore[arg-type]
    for parameter in fuse.complement.parameters():
        torch.nn.init.zeros_(parameter)
    optical, sar = torch.randn(2, 1, 16, 6, 6)
    fused, simulated, impact = fuse(optical, sar)
    torch.testing.assert_close(fused, simulated if cloudy else optical)
    assert impact.round().unique().tolist() == [float(cloudy)]
