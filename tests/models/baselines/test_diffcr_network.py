# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from torchgeo_tdpcr.models.baselines.diffcr.network import (
    ConditionalUNet,
    FusionBlock,
    LevelEmbedding,
)
from torchgeo_tdpcr.models.baselines.diffcr.process import SigmoidDiffusion, thresholded
from torchgeo_tdpcr.models.nafblock import NAFBlock


def randomised(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.double()


def total(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_published_parameters_and_multiply_adds() -> None:
    with torch.device('meta'), torch.no_grad():
        network = ConditionalUNet(3, 3)
        with FlopCounterMode(display=False) as counter:
            features = network.encode(torch.empty(1, 3, 3, 256, 256))
            network(torch.empty(1, 3, 256, 256), features, torch.empty(1))
    parts = {name: total(module) for name, module in network.named_children()}
    assert parts == {
        'embedding': 82_432,
        'intro': 1_792,
        'condition_intro': 1_792,
        'encoders': 2_541_440,
        'downs': 2_787_200,
        'condition_encoders': 2_294_720,
        'condition_downs': 689_024,
        'middle': 7_112_704,
        'ups': 2_785_280,
        'decoders': 2_541_440,
        'ending': 1_731,
    }
    assert total(network) == 20_839_555
    # The published figures have a fourth downsampling of the condition. The parameters are
    # those of convolutions and linear layers; the operations have poolings, one a number.
    unused = 512 * 1024 * 4 + 1024
    blocks = [m for m in network.modules() if isinstance(m, NAFBlock)]
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert total(network) + unused == 22_937_731
    assert round((total(*layers) + unused) / 1e6, 2) == 22.91
    work = counter.get_total_flops() / 2 + 3 * 16**2 * 512 * 1024 * 4
    assert len(blocks) == 13
    pooled = sum(5 * 32 * 2**i * (256 / 2**i) ** 2 for i in range(4)) + 512 * 16**2
    assert round(work / 1e9, 2) == 45.84
    assert round((work + pooled) / 1e9, 2) == 45.86


def normed(x: Tensor, norm: nn.Module) -> Tensor:
    mean = x.mean(1, keepdim=True)
    deviation = x - mean
    x = deviation / ((deviation**2).mean(1, keepdim=True) + 1e-6).sqrt()
    return x * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)


def mixed(x: Tensor, conv: nn.Module) -> Tensor:
    out = torch.einsum('oi,bihw->bohw', conv.weight[:, :, 0, 0], x)
    return out + conv.bias.view(1, -1, 1, 1)


def spread(x: Tensor, conv: nn.Module) -> Tensor:
    """A 3×3 convolution of each channel, as a sum of shifted images."""
    height, width = x.shape[-2:]
    around = F.pad(x, (1, 1, 1, 1))
    out = conv.bias.view(1, -1, 1, 1).expand_as(x).clone()
    for i in range(3):
        for j in range(3):
            weight = conv.weight[:, 0, i, j].view(1, -1, 1, 1)
            out += weight * around[..., i : i + height, j : j + width]
    return out


def block_again(block: FusionBlock, x: Tensor, level: Tensor | None) -> Tensor:
    """The block, written from its description."""
    norm, widen, depthwise, _, attention, merge = block.spatial
    c = x.shape[1]
    y = spread(mixed(normed(x, norm), widen), depthwise)
    y = y[:, :c] * y[:, c:]
    first, second = y[:, : c // 2], y[:, c // 2 :]
    means = first.flatten(2).mean(2)[..., None, None]
    maxima = second.flatten(2).max(2).values[..., None, None]
    first = mixed(means, attention.by_mean.project) * first
    second = mixed(maxima, attention.project) * second
    x = x + block.spatial_scale * mixed(torch.cat([first, second], 1), merge)
    if level is not None:
        linear = block.shift[1]
        shift = (level / (1 + (-level).exp())) @ linear.weight.T + linear.bias
        x = x + shift[:, :, None, None]
    norm, widen, _, merge = block.channel
    y = mixed(normed(x, norm), widen)
    return x + block.channel_scale * mixed(y[:, :c] * y[:, c:], merge)


@pytest.mark.parametrize('embed_channels', [None, 5])
def test_block_is_as_described(embed_channels: int | None) -> None:
    block = randomised(FusionBlock(8, embed_channels))
    assert isinstance(block, FusionBlock)
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    level = None if embed_channels is None else torch.randn(2, 5, dtype=torch.float64)
    torch.testing.assert_close(block(x, level), block_again(block, x, level))


def test_level_is_embedded_by_cosines_and_sines() -> None:
    torch.manual_seed(0)
    embedding = LevelEmbedding(6, 5)
    told = np.array([0.3, 700.0])
    angles = told[:, None] / 10000 ** (np.arange(3) / 3)
    waves = torch.tensor(np.hstack([np.cos(angles), np.sin(angles)])).float()
    found = embedding(torch.tensor(told))
    torch.testing.assert_close(found, embedding.layers(waves), rtol=1e-4, atol=1e-4)


def test_network_is_as_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three dates, whose features are summed; two levels of one block each."""
    network = randomised(ConditionalUNet(3, 4, 8, depths=(1, 1), embed_channels=10))
    assert isinstance(network, ConditionalUNet)
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    dates = torch.randn(2, 3, 4, 8, 12, dtype=torch.float64)
    level = torch.randn(2, 10, dtype=torch.float64)
    monkeypatch.setattr(network.embedding, 'forward', lambda told: told)
    found = network(x, network.encode(dates), level)
    each = [network.condition_intro(dates[:, n]) for n in range(3)]
    each = [block_again(network.condition_encoders[0][0], c, None) for c in each]
    first = block_again(network.encoders[0][0], network.intro(x), level)
    first = first + each[0] + each[1] + each[2]
    each = [network.condition_downs[0](c) for c in each]
    each = [block_again(network.condition_encoders[1][0], c, None) for c in each]
    second = block_again(network.encoders[1][0], network.downs[0](first), level)
    second = second + each[0] + each[1] + each[2]
    a = block_again(network.middle[0], network.downs[1](second), level)
    for i, skip in enumerate((second, first)):
        wide = torch.einsum('oi,bihw->bohw', network.ups[i][0].weight[:, :, 0, 0], a)
        b, c, h, w = wide.shape
        up = wide.view(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
        up = up.reshape(b, c // 4, 2 * h, 2 * w)
        a = block_again(network.decoders[i][0], up + skip, level)
    torch.testing.assert_close(found, network.ending(a))


def test_initialisation() -> None:
    torch.manual_seed(0)
    network = ConditionalUNet(3, 3, width=32, depths=(1, 1))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            inputs = module.weight[0].numel()
            assert module.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, 0.1)
            assert module.bias is None or not module.bias.any()
    for block in network.modules():
        if isinstance(block, NAFBlock):
            assert not block.spatial_scale.any()
            assert not block.channel_scale.any()


@pytest.mark.parametrize('count', [1000, 2000])
def test_levels_are_products_of_decay(count: int) -> None:
    t = np.arange(count + 1) / count
    curve = 1 / (1 + np.exp(3 - 6 * t))
    kept = (curve[-1] - curve) / (curve[-1] - curve[0])
    decay = np.clip(1 - kept[1:] / kept[:-1], 0, 0.999)
    levels = SigmoidDiffusion().levels(count)
    np.testing.assert_allclose(levels.numpy(), np.cumprod(1 - decay), rtol=1e-9)


def test_levels_of_training_are_those_of_all_times() -> None:
    generator = torch.Generator().manual_seed(0)
    levels = SigmoidDiffusion().draw_levels(20000, generator)
    times = SigmoidDiffusion().levels(2000)
    assert times[-1] < levels.min() < times[-2]
    assert times[1] < levels.max() < times[0]
    # Uniform in time
    middle = float((levels > times[999]).double().mean())
    assert middle == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize('shape', [(2, 3, 20, 31), (3, 1, 1, 1), (1, 13, 7, 9)])
def test_thresholding_in_numpy(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape) * torch.linspace(0.2, 3, shape[0])[:, None, None, None]
    found = thresholded(x)
    for chip, result in zip(x.numpy(), found.numpy(), strict=True):
        bound = max(1, np.quantile(np.abs(chip), 0.995))
        np.testing.assert_allclose(
            result, np.clip(chip, -bound, bound) / bound, rtol=1e-5
        )


@pytest.mark.parametrize(
    'arguments', [{'training_times': 2}, {'sampling_times': 0}, {'time_input': 'gamma'}]
)
def test_wrong_diffusion(arguments: dict) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f'`{name}='):
        SigmoidDiffusion(**arguments)
