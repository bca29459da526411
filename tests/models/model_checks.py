# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the tests of several models have in common."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from torchgeo_tdpcr.models.baselines.mix_transformer import MixTransformer
from torchgeo_tdpcr.models.recipes import Losses, Recipe

Pair = tuple[Tensor, Tensor]

#: Dynamic shapes of an export that takes any batch, or any height and width as well.
ANY_BATCH: dict[int, Any] = {0: torch.export.Dim('batch', min=1, max=64)}
ANY_SIZE: dict[int, Any] = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)


def pair(
    batch: int = 2, height: int = 32, width: int = 32, bands: int = 13, seed: int = 0
) -> Pair:
    """An optical and a radar image."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, bands, height, width, generator=generator)
    return image, torch.rand(batch, 2, height, width, generator=generator)


def batch_of(count: int = 2, height: int = 16, width: int = 16) -> dict[str, Tensor]:
    """Chips of noise, as a data module gives them."""
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    return {
        'image': rand(count, 13, height, width),
        'image_sar': rand(count, 2, height, width),
        'image_clear': rand(count, 13, height, width),
        'mask_cloud': (rand(count, height, width) > 0.4).long(),
    }


def on_meta(build: Callable[[], nn.Module]) -> tuple[nn.Module, int, FlopCounterMode]:
    """A model of 13 bands without memory, its parameters, and its work for 256×256."""
    with torch.device('meta'), torch.no_grad():
        model = build().eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 13, 256, 256), torch.empty(1, 2, 256, 256))
    return model, sum(p.numel() for p in model.parameters()), counter


def keep_one_block(*encoders: MixTransformer) -> None:
    """Leave one transformer block a stage in place of two: a shorter graph to trace."""
    for encoder in encoders:
        for blocks in encoder.blocks:
            del blocks[1:]  # type: ignore[operator]


def check_outputs(
    out: Mapping[str, Tensor], batch: int, height: int, width: int, **channels: int
) -> None:
    """All outputs are named, of the size of the input, and finite."""
    shapes = {key: tuple(value.shape) for key, value in out.items()}
    assert shapes == {key: (batch, n, height, width) for key, n in channels.items()}
    for key, value in out.items():
        assert value.isfinite().all(), key


def check_gradients(model: nn.Module, nonzero: bool = True) -> None:
    """A loss has been traced back to every parameter."""
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if nonzero:
            assert parameter.grad.any(), name


def check_reconstruction_trains(
    model: nn.Module, images: Pair, nonzero: bool = True
) -> None:
    """The reconstruction depends on every parameter."""
    model(*images)['reconstruction'].square().mean().backward()
    check_gradients(model, nonzero)


def fit(
    model: nn.Module,
    losses: Losses,
    batch: dict[str, Any],
    optimizer: torch.optim.Optimizer,
    steps: int,
) -> list[float]:
    """Train on one batch; the loss before each step."""
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = losses(model, batch)['loss']
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    return values


def rates_by_epoch(recipe: Recipe | None, epochs: int) -> list[float]:
    """Learning rate of each epoch of training by a recipe."""
    assert recipe is not None
    assert recipe.scheduler is not None
    assert recipe.interval == 'epoch'
    optimizer = recipe.optimizer([nn.Parameter(torch.zeros(1))])
    schedule = recipe.scheduler(optimizer)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step()
    return rates


def check_learns_from_sar(model: nn.Module, losses: Losses) -> None:
    """Beneath a uniform cloud is what only SAR tells."""
    sar = F.interpolate(pair()[1][..., :4, :4], scale_factor=8)
    clear = (0.8 * sar[:, :1]).expand(-1, 13, -1, -1)
    cloudy = torch.full_like(clear, 0.7)
    batch = {'image': cloudy, 'image_sar': sar, 'image_clear': clear}
    fit(model, losses, batch, torch.optim.Adam(model.parameters(), lr=5e-3), 40)
    error = (model(cloudy, sar)['reconstruction'] - clear).abs().mean()
    without_sar = (clear - clear.median()).abs().mean()
    assert error < 0.5 * without_sar


def check_sar_of_each_chip(model: nn.Module, images: Pair, least: float = 1e-4) -> None:
    """SAR of a chip changes its own reconstruction, and no other."""
    image, sar = images
    out = model(image, sar)['reconstruction']
    changed = sar.clone()
    changed[1] += 1
    other = model(image, changed)['reconstruction']
    torch.testing.assert_close(other[0], out[0])
    assert (other[1] - out[1]).abs().max() > least


def check_corrects_the_image(model: nn.Module, last: nn.Module, images: Pair) -> None:
    """Without its last layers, a model leaves the image as it is."""
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(model(*images)['reconstruction'], images[0])


def check_mean_absolute_error(losses: Losses, model: nn.Module, images: Pair) -> None:
    """The loss is that of the reconstruction."""
    image, sar = images
    clear = image.flip(0)
    batch = {'image': image, 'image_sar': sar, 'image_clear': clear}
    difference = model(image, sar)['reconstruction'].detach().numpy() - clear.numpy()
    expected = np.abs(difference).mean()
    assert losses(model, batch)['loss'].item() == pytest.approx(expected, rel=1e-5)


def cross_entropy(logits: Tensor, mask: Tensor) -> float:
    """The mean over the labelled pixels, in NumPy."""
    scores, labels = logits.detach().double().numpy(), mask.numpy()
    scores -= scores.max(1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    known = labels != 255
    picked = np.take_along_axis(logs, np.where(known, labels, 0)[:, None], 1)[:, 0]
    return float(-picked[known].mean())


def check_same(
    found: Callable[..., Any],
    wanted: Callable[..., Any],
    images: Pair,
    **tolerance: float,
) -> None:
    """Two forms of a model have the same outputs."""
    torch.testing.assert_close(found(*images), wanted(*images), **tolerance)


def check_each_chip_alone(model: nn.Module, images: Pair, **tolerance: float) -> None:
    """A chip has the same outputs alone and in a batch."""
    together = model(*images)
    for i, (image, sar) in enumerate(zip(*images, strict=True)):
        expected = {key: value[i : i + 1] for key, value in together.items()}
        alone = model(image[None], sar[None])
        torch.testing.assert_close(alone, expected, **tolerance)


def check_memory_formats(model: nn.Module, images: Pair, **tolerance: float) -> None:
    """Outputs do not depend on the memory format of the inputs."""
    expected = model(*images)
    image, sar = (x.to(memory_format=torch.channels_last) for x in images)
    torch.testing.assert_close(model(image, images[1]), expected, **tolerance)
    torch.testing.assert_close(model(image, sar), expected, **tolerance)


def check_autocast(
    model: nn.Module, images: Pair, error: float, dtype: torch.dtype = torch.bfloat16
) -> dict[str, Tensor]:
    """Mean errors in mixed precision are a small share of the mean; the outputs."""
    exact = model(*images)
    with torch.autocast('cpu', dtype=dtype):
        out: dict[str, Tensor] = model(*images)
    for key, value in exact.items():
        assert out[key].isfinite().all(), key
        share = (out[key].float() - value).abs().mean() / value.abs().mean()
        assert share < error, key
    return out


def check_compiles(model: nn.Module, images: Pair, backend: str = 'eager') -> None:
    """A model compiles without graph breaks, and keeps its outputs."""
    # What was compiled before counts towards the limit of recompilations
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    check_same(compiled, model, images)


def exported(
    model: nn.Module, example: Pair, sizes: Mapping[int, Any]
) -> torch.export.ExportedProgram:
    """Export a model with the same dynamic shapes for both images."""
    shapes = {'image': sizes, 'image_sar': sizes}
    return torch.export.export(model, example, dynamic_shapes=shapes)


def check_exports(
    model: nn.Module,
    example: Pair,
    others: Iterable[Pair],
    sizes: Mapping[int, Any] = ANY_BATCH,
    **tolerance: float,
) -> None:
    """A model exported with one pair of images takes others, and keeps its outputs."""
    program = exported(model, example, sizes).module()
    for images in others:
        check_same(program, model, images, **tolerance)


def check_refuses(
    model: nn.Module, image: tuple[int, ...], sar: tuple[int, ...], named: str
) -> None:
    """A model says what is wrong with the shapes of its inputs."""
    with pytest.raises(ValueError, match=named):
        model(torch.rand(image), torch.rand(sar))
