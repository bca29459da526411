# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Clear pixels are handed on where restored and observed image agree."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from model_checks import ANY_SIZE, check_compiles, check_same
from torch import Tensor, nn

from torchgeo_tdpcr import TDPCR_Weights, TDPCRTask
from torchgeo_tdpcr.models import TDPCR, ClearGate
from torchgeo_tdpcr.tasks.phases import Schedule, set_trainable

SMALL: dict[str, Any] = {'dims': (4, 8), 'depths': (1, 1), 'clear_gate': True}


def random_gate(bands: int = 3, prompt_channels: int = 2) -> ClearGate:
    torch.manual_seed(0)
    gate = ClearGate(bands, prompt_channels, hidden=5).eval()
    nn.init.normal_(gate.weight.weight)
    return gate


def pair(size: tuple[int, int] = (24, 20)) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(2, 13, *size), torch.rand(2, 2, *size)


def mirrored(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """A 3×3 convolution, window by window."""
    rows, columns = x.shape[-2:]
    around = F.pad(x, (1, 1, 1, 1), mode='reflect')
    assert layer.bias is not None
    values = [
        (layer.weight * around[0, :, i : i + 3, j : j + 3]).sum((1, 2, 3)) + layer.bias
        for i in range(rows)
        for j in range(columns)
    ]
    return torch.stack(values, 1).reshape(1, -1, rows, columns)


@pytest.mark.parametrize('cloud', [0.0, 90.0])
def test_what_is_handed_on(cloud: float) -> None:
    rows, columns = 28, 40
    gate = random_gate()
    nn.init.constant_(gate.weight.weight, -0.05)
    restored, image = torch.rand(2, 1, 3, rows, columns)
    prompt = torch.rand(1, 2, rows, columns)
    # A cloud in a corner
    image[..., :4, :4] += cloud
    seen = torch.cat([image, image - restored, prompt], 1)
    seen = (
        seen.unflatten(2, (rows // 2, 2)).unflatten(4, (columns // 2, 2)).mean((3, 5))
    )
    hidden = F.gelu(mirrored(F.gelu(mirrored(seen, gate.mix)), gate.look_around))
    bias = gate.weight.bias
    assert bias is not None
    logit = torch.einsum('c,bchw->bhw', gate.weight.weight[0, :, 0, 0], hidden) + bias
    clear = torch.sigmoid(logit)[0]

    def within(values: Tensor, i: int, j: int, n: int = 2) -> Tensor:
        return values[max(i - n, 0) : i + n + 1, max(j - n, 0) : j + n + 1]

    cells = [(i, j) for i in range(rows // 2) for j in range(columns // 2)]
    # Least of all around, then their mean
    least = torch.stack([within(clear, *c).min() for c in cells]).reshape(clear.shape)
    weight = torch.stack([within(least, *c).mean() for c in cells]).reshape(clear.shape)
    # And nothing around a thick cloud
    thick = (clear < 0.1).float()
    assert bool(thick.any()) == bool(cloud)
    near = torch.stack([within(thick, *c, 10).max() for c in cells])
    near = near.reshape(clear.shape)
    fade = torch.stack([within(near, *c, 3).mean() for c in cells])
    weight = weight * (1 - fade.reshape(clear.shape))
    weight = F.interpolate(weight[None, None], scale_factor=2, mode='bilinear')
    out = gate(restored, image, prompt)
    torch.testing.assert_close(out, weight * image + (1 - weight) * restored)


def test_one_weight_for_all_bands() -> None:
    restored, image = torch.rand(2, 1, 3, 12, 16)
    out = random_gate()(restored, image, torch.rand(1, 2, 12, 16))
    weight = (out - restored) / (image - restored)
    spread = weight.amax(1) - weight.amin(1)
    assert spread.median() < 1e-5
    assert weight.median() > 0.01


def test_training_leaves_out_whole_images_by_halves() -> None:
    gate = ClearGate(3).train()
    torch.manual_seed(0)
    out = gate(torch.zeros(400, 3, 4, 4), torch.ones(400, 3, 4, 4)).detach()
    values = out.amax((1, 2, 3))
    torch.testing.assert_close(values, out.amin((1, 2, 3)))
    assert 160 < (values == 0).sum() < 240
    assert (values[values > 0] < 0.2).all()


def test_gradients_reach_the_model_through_what_it_restored_alone() -> None:
    gate = random_gate().eval()
    restored, image, prompt = (
        torch.rand(1, n, 8, 8, requires_grad=True) for n in (3, 3, 2)
    )
    out = gate(restored, image.detach(), prompt)
    out.sum().backward()
    assert prompt.grad is None
    assert restored.grad is not None
    # As much as it has a share in: a weight that saw it, too, would give another
    share = 1 - (out - restored) / (image - restored)
    torch.testing.assert_close(restored.grad, share.detach(), atol=1e-3, rtol=1e-2)


def test_clear_pixels_are_handed_on_exactly_in_mixed_precision() -> None:
    gate = ClearGate(13).eval()
    nn.init.constant_(gate.weight.bias, 100.0)  # type: ignore[arg-type]
    image = torch.rand(1, 13, 8, 8)
    with torch.autocast('cpu', torch.bfloat16):
        out = gate(torch.rand(1, 13, 8, 8).bfloat16(), image)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, image, atol=1e-6, rtol=0)


@pytest.mark.parametrize('prompt', ['image', None])
@pytest.mark.parametrize('size', [(24, 20), (1, 1), (3, 17)])
def test_any_size(prompt: Any, size: tuple[int, int]) -> None:
    for dims in ((4, 8), (4,)):
        model = TDPCR(
            prompt=prompt, clear_gate=True, dims=dims, depths=(1,) * len(dims)
        )
        assert model.eval()(*pair(size))['reconstruction'].shape[-2:] == size


def test_exports_and_compiles() -> None:
    model = TDPCR(**SMALL).eval()
    shapes = {'image': ANY_SIZE, 'image_sar': ANY_SIZE}
    program = torch.export.export(model, pair((16, 24)), dynamic_shapes=shapes)
    check_same(program.module(), model, pair((32, 40)), atol=1e-5, rtol=1e-4)
    check_compiles(model, pair(), 'aot_eager')


def test_phase_2_goes_on_training_it() -> None:
    model = TDPCR(**SMALL)
    set_trainable(model, Schedule('peft').phases[0])
    assert model.clear_gate is not None
    assert all(p.requires_grad for p in model.clear_gate.parameters())


@pytest.mark.parametrize('gated', [False, True])
def test_weights_with_and_without_it_fit(tmp_path: Path, gated: bool) -> None:
    kwargs = {'dims': (4, 8), 'depths': (1, 1)}
    there = TDPCRTask(model_kwargs={**kwargs, 'clear_gate': gated}, training='cr')
    torch.save({'state_dict': there.state_dict()}, tmp_path / 'a.ckpt')
    here = TDPCRTask(
        model_kwargs={**kwargs, 'clear_gate': not gated},
        training='cr',
        weights=str(tmp_path / 'a.ckpt'),
    )
    for key, value in here.model.state_dict().items():
        if not key.startswith('clear_gate'):
            assert torch.equal(value, there.model.state_dict()[key])


@pytest.mark.parametrize('name', list(TDPCR_Weights.__members__))
def test_weights_of_the_package_hand_on_what_is_clear(name: str) -> None:
    task = TDPCRTask.load_from_weights(name).eval()
    torch.manual_seed(0)
    bands = task.hparams['in_channels']
    # Fields of one crop, more and less of it
    crop = [12, 10, 9, 6, 10, 21, 26, 27, 29, 9, 0.2, 17, 9]
    if bands == 12:
        del crop[10]
    greenness = F.interpolate(0.8 + 0.4 * torch.rand(1, 1, 8, 8), (64, 64))
    image = torch.tensor(crop).reshape(1, -1, 1, 1) / 100 * greenness
    sar = torch.full((1, 2, 64, 64), 0.5)
    model = task.model
    with torch.inference_mode():
        gated = model(image, sar)['reconstruction']
        gate, model.clear_gate = model.clear_gate, None
        plain = model(image, sar)['reconstruction']
        model.clear_gate = gate
        cloud = torch.full_like(image, 0.9)
        under_cloud = gate(plain, cloud, model.prompt_generator(cloud))
    # Half of its weight and more
    assert (gated - image).square().mean() < 0.6 * (plain - image).square().mean()
    # And what is no cloud-free land is not handed on
    handed_on = (under_cloud - plain) / (0.9 - plain)
    assert handed_on.amax() < 0.1
