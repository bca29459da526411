# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from torchgeo_tdpcr.models.registry import get_model, get_recipe
from torchgeo_tdpcr.models.segformer import RECIPE, SegFormer

TINY: dict[str, Any] = {'in_channels': 4, 'num_classes': 3, 'encoder': 'mit_b0'}
INPUTS = ('image', 'image_sar', 'both')


def build(**kwargs: Any) -> SegFormer:
    torch.manual_seed(0)
    return SegFormer(**{**TINY, **kwargs})


def pair(count: int = 2, height: int = 64, width: int = 64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(count, 4, height, width, generator=generator)
    return image, torch.rand(count, 2, height, width, generator=generator)


def test_figures_of_the_docstring() -> None:
    with torch.device('meta'):
        model = SegFormer(num_classes=7).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.rand(1, 13, 256, 256), torch.rand(1, 2, 256, 256))
    assert sum(p.numel() for p in model.parameters()) == 24_755_271
    assert round(counter.get_total_flops() / 2e9, 2) == 5.67


@pytest.mark.parametrize('inputs', INPUTS)
@pytest.mark.parametrize(('height', 'width'), [(1, 1), (45, 70)])
def test_any_size(inputs: str, height: int, width: int) -> None:
    out = build(inputs=inputs).eval()(*pair(2, height, width))
    assert set(out) == {'logits'}
    assert out['logits'].shape == (2, 3, height, width)


@pytest.mark.parametrize('inputs', INPUTS)
def test_looks_at_its_inputs_only(inputs: str) -> None:
    model = build(inputs=inputs).eval()
    image, sar = pair()
    logits = model(image, sar)['logits']
    without_image = model(torch.zeros_like(image), sar)['logits']
    without_sar = model(image, torch.zeros_like(sar))['logits']
    assert torch.equal(logits, without_image) == (inputs == 'image_sar')
    assert torch.equal(logits, without_sar) == (inputs == 'image')


def test_every_parameter_learns_and_overfits() -> None:
    model = build(inputs='both')
    image, sar = pair()
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
    values = []
    for _ in range(30):
        losses = RECIPE.losses(model, batch)
        optimizer.zero_grad()
        losses['loss'].backward()
        optimizer.step()
        values.append(losses['loss'].item())
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert values[-1] < 0.6 * values[0]


def test_loss_is_the_mean_over_labelled_pixels() -> None:
    model = build().eval()
    image, sar = pair()
    mask = np.random.default_rng(0).integers(0, 3, (2, 64, 64))
    mask[:, :20] = 255
    batch = {'image': image, 'image_sar': sar, 'mask': torch.from_numpy(mask)}
    losses = RECIPE.losses(model, batch)
    logits = model(image, sar)['logits'].detach().numpy().astype(float)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    picked = np.take_along_axis(logs, np.where(mask == 255, 0, mask)[:, None], 1)[:, 0]
    expected = -picked[mask != 255].mean()
    assert losses['loss'].item() == pytest.approx(expected, rel=1e-4)
    assert losses['loss'] == losses['loss_seg']
    del batch['mask']
    with pytest.raises(KeyError, match="SegFormer needs 'mask'"):
        RECIPE.losses(model, batch)


def test_autocast_and_batch_of_one() -> None:
    model = build().eval()
    image, sar = pair()
    whole = model(image, sar)['logits']
    one = model(image[:1], sar[:1])['logits']
    torch.testing.assert_close(one, whole[:1], atol=1e-4, rtol=1e-3)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = model(image, sar)['logits']
    assert (rough.float() - whole).abs().mean() < 0.1 * whole.abs().mean()


def test_compiles_without_graph_breaks() -> None:
    model = build().eval()
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    image, sar = pair(1, 45, 70)
    torch.testing.assert_close(
        compiled(image, sar)['logits'], model(image, sar)['logits']
    )


def test_exports_with_dynamic_batch() -> None:
    model = build(inputs='both').eval()
    sizes = {0: torch.export.Dim('batch', min=1, max=64)}
    program = torch.export.export(
        model, pair(), dynamic_shapes={'image': sizes, 'image_sar': sizes}
    ).module()
    for count in (1, 3):
        torch.testing.assert_close(
            program(*pair(count))['logits'],
            model(*pair(count))['logits'],
            atol=1e-4,
            rtol=1e-3,
        )


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
