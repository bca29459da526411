# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from torchgeo_tdpcr.models.registry import get_model, get_recipe
from torchgeo_tdpcr.models.segcr import RECIPE, SegCR
from torchgeo_tdpcr.models.segcr_blocks import (
    CloudImpact,
    TargetedFusion,
    frequency_split,
)

TINY: dict[str, Any] = {'in_channels': 4, 'num_classes': 3, 'encoder': 'mit_b0'}


def build(**kwargs: Any) -> SegCR:
    torch.manual_seed(0)
    return SegCR(**{**TINY, **kwargs})


def shallow() -> SegCR:
    """One transformer block a stage in place of two: a shorter graph to trace."""
    model = build().eval()
    for encoder in (model.optical, model.sar):
        for blocks in encoder.blocks:
            del blocks[1:]
    return model


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
    with torch.device('meta'):
        model = SegCR(num_classes=7).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.rand(1, 13, 256, 256), torch.rand(1, 2, 256, 256))
    assert sum(p.numel() for p in model.parameters()) == 39_804_008
    assert round(counter.get_total_flops() / 2e9, 2) == 11.93


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (45, 70), (32, 64)])
def test_any_size(height: int, width: int) -> None:
    out = build().eval()(
        torch.rand(2, 4, height, width), torch.rand(2, 2, height, width)
    )
    shapes = {key: tuple(value.shape) for key, value in out.items()}
    assert shapes == {
        'reconstruction': (2, 4, height, width),
        'logits': (2, 3, height, width),
        'translation': (2, 4, height, width),
        'cloud_impact': (2, 1, height, width),
    }
    assert out['cloud_impact'].min() >= 0
    assert out['cloud_impact'].max() <= 1


def test_every_parameter_learns_and_overfits() -> None:
    model, batch = build(), make_batch()
    optimizer = RECIPE.optimizer(model.parameters())
    assert optimizer.defaults['lr'] == 1e-4
    optimizer.param_groups[0]['lr'] = 1e-3
    values = []
    for _ in range(12):
        losses = RECIPE.losses(model, batch)
        optimizer.zero_grad()
        losses['loss'].backward()
        optimizer.step()
        values.append(losses['loss'].item())
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert values[-1] < 0.8 * values[0]


def test_losses_are_their_formulas() -> None:
    model, batch = build().eval(), make_batch()
    losses = RECIPE.losses(model, batch)
    out = {
        key: value.detach().numpy().astype(float)
        for key, value in model(batch['image'], batch['image_sar']).items()
    }
    clear, mask = batch['image_clear'].numpy(), batch['mask'].numpy()
    logs = out['logits'] - np.log(np.exp(out['logits']).sum(1, keepdims=True))
    picked = np.take_along_axis(logs, np.where(mask == 255, 0, mask)[:, None], 1)[:, 0]
    expected = {
        'loss_seg': -picked[mask != 255].mean(),
        'loss_rec': np.abs(out['reconstruction'] - clear).mean(),
        'loss_translation': np.abs(out['translation'] - clear).mean(),
    }
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


def test_autocast_and_batch_of_one() -> None:
    model, batch = build().eval(), make_batch()
    whole = model(batch['image'], batch['image_sar'])
    one = model(batch['image'][:1], batch['image_sar'][:1])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = model(batch['image'], batch['image_sar'])
    for key, value in whole.items():
        torch.testing.assert_close(one[key], value[:1], atol=1e-4, rtol=1e-3)
        assert (rough[key].float() - value).abs().mean() < 0.1 * value.abs().mean()


def test_compiles_without_graph_breaks() -> None:
    model = shallow()
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    image, sar = torch.rand(1, 4, 45, 70), torch.rand(1, 2, 45, 70)
    for key, value in model(image, sar).items():
        torch.testing.assert_close(compiled(image, sar)[key], value)


def test_exports_with_dynamic_batch() -> None:
    model = shallow()
    sizes = {0: torch.export.Dim('batch', min=1, max=64)}
    program = torch.export.export(
        model,
        (torch.rand(2, 4, 64, 64), torch.rand(2, 2, 64, 64)),
        dynamic_shapes={'image': sizes, 'image_sar': sizes},
    ).module()
    for count in (1, 3):
        image, sar = torch.rand(count, 4, 64, 64), torch.rand(count, 2, 64, 64)
        for key, value in model(image, sar).items():
            torch.testing.assert_close(
                program(image, sar)[key], value, atol=1e-4, rtol=1e-3
            )


def test_registered_with_its_recipe() -> None:
    assert isinstance(get_model('segcr', **TINY), SegCR)
    assert get_recipe('segcr') is RECIPE


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [({'num_classes': None}, 'num_classes'), ({'encoder': 'vgg16'}, 'mit_b0')],
)
def test_wrong_arguments(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build(**arguments)


@pytest.mark.parametrize(
    ('image', 'sar', 'named'),
    [
        ((1, 5, 32, 32), (1, 2, 32, 32), '`image`'),
        ((1, 4, 32, 32), (1, 1, 32, 32), '`image_sar`'),
        ((1, 4, 32, 32), (1, 2, 32, 33), 'one grid'),
    ],
)
def test_wrong_inputs(image: tuple[int, ...], sar: tuple[int, ...], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build()(torch.rand(image), torch.rand(sar))
