# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import math
from typing import Any

import glfcr_reference as reference
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from baseline_tests import BaselineTests
from model_checks import (
    Pair,
    check_mean_absolute_error,
    check_reconstruction_trains,
    check_sar_of_each_chip,
    fit,
    on_meta,
    pair,
    rates_by_epoch,
)
from numpy_layers import weights_of
from timm.layers import DropPath
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from torchgeo_tdpcr.models.baselines.glfcr.attention import (
    CoupledAttention,
    from_windows,
    shift_mask,
    to_windows,
)
from torchgeo_tdpcr.models.baselines.glfcr.dense import DenseLayer
from torchgeo_tdpcr.models.baselines.glfcr.fusion import DynamicFilter, LocalFusion
from torchgeo_tdpcr.models.baselines.glfcr.model import RECIPE
from torchgeo_tdpcr.models.registry import get_model, get_recipe


class TestGLFCR(BaselineTests):
    name = 'glfcr'
    arguments = {
        'channels': 8,
        'growth': 4,
        'blocks': 2,
        'layers': 2,
        'heads': 2,
        'window': 4,
        'output_channels': 16,
    }
    optimizer = torch.optim.Adam, {'lr': 1e-4, 'weight_decay': 0}
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'growth': 5}, 'growth'),
        ({'kernel_size': 4}, 'kernel_size'),
        ({'output_channels': 6}, 'output_channels'),
        ({'blocks': 0}, 'blocks'),
        ({'layers': 0}, 'layers'),
        ({'window': 0}, 'window'),
        ({'drop_path': 1.0}, 'drop_path'),
    )
    traced_size = (18, 22)

    @classmethod
    def build_traced(cls) -> nn.Module:
        return cls.build(blocks=1, kernel_size=3)


small = TestGLFCR.build


def inputs(batch: int = 2, height: int = 16, width: int = 16) -> Pair:
    return pair(batch, height, width)


def count(*modules: Any) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


def randomised(module: nn.Module, scale: float = 0.5) -> nn.Module:
    """Weights that are large enough for every part to matter."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=scale)
    return module


def assert_like(found: Tensor, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found.detach().numpy(), wanted, atol=1e-5, rtol=1e-5)


def test_parameters_of_each_part() -> None:
    model, parameters, counter = on_meta(lambda: get_model('glfcr'))
    parts: Any = model
    assert [
        count(m)
        for m in (
            parts.optical_stem,
            parts.optical_shallow,
            parts.sar_stem,
            parts.sar_shallow,
        )
    ] == [124_896, 83_040, 19_296, 83_040]
    for block in parts.dense:
        assert count(block) == 1_608_720
        assert count(block.layers) == 1_027_920
        assert count(block.optical_merge) == count(block.sar_merge) == 290_400
    fusions = parts.fusions
    assert [count(f.guide, f.filter) for f in fusions] == [730_944] * 6
    assert count(*(f.to_optical for f in fusions)) == 55_872
    unused = 9_312
    assert count(*(f.to_sar for f in fusions[:-1])) == 55_872 - unused
    assert fusions[-1].to_sar is None
    assert count(parts.merge) == 138_432
    assert count(parts.output) == 228_941
    assert parameters == 14_827_373 - unused == 14_818_061
    # What the dynamic filters multiply and add is not counted
    filtering = 6 * 25 * 96 * 128 * 128
    work = counter.get_total_flops() / 2 + filtering
    assert work == pytest.approx(249.7e9, rel=1e-3)


def test_drop_path_rises_over_all_layers() -> None:
    with torch.device('meta'):
        model = get_model('glfcr')
    rates = [m.drop_prob for m in model.modules() if isinstance(m, DropPath)]
    np.testing.assert_allclose(rates, np.linspace(0, 0.2, 30))
    # Only training leaves anything out
    model, images = small(drop_path=0.5), inputs()
    torch.manual_seed(0)
    outs = [model.train(t)(*images)['reconstruction'] for t in (False, False, True)]
    torch.testing.assert_close(outs[0], outs[1])
    assert not torch.allclose(outs[0], outs[2])
    model = small(drop_path=0.0)
    torch.testing.assert_close(model(*images), model.train()(*images))


def test_starts_as_torch_does_but_for_the_tables() -> None:
    for name, parameter in small(channels=32, growth=16).named_parameters():
        if 'table' in name:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.3)
        elif '_mlp.0' in name:
            assert (parameter == name.endswith('weight')).all()
        elif parameter.ndim > 1:
            bound = 1 / math.sqrt(parameter[0].numel())
            assert parameter.abs().max() <= bound
            if parameter.numel() > 500:
                std = parameter.std().item()
                assert std == pytest.approx(bound / math.sqrt(3), rel=0.15), name


def test_whole_network() -> None:
    model = small()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Logits and position biases of new weights are all but zero
            if 'qkv' in name or 'table' in name or 'gate' in name:
                parameter.normal_()
    image, sar = inputs(1, 16, 24)
    wanted = reference.network(
        image[0].double().numpy(),
        sar[0].double().numpy(),
        weights_of(model),
        *(2, 2, 2, 4, 5),
    )
    assert_like(model(image, sar)['reconstruction'][0], wanted)


@pytest.mark.parametrize(('height', 'width'), [(12, 8), (4, 8), (4, 4)])
@pytest.mark.parametrize('shift', [0, 2])
def test_attention_pixel_by_pixel(height: int, width: int, shift: int) -> None:
    attend = randomised(CoupledAttention(6, heads=2, window=4, shift=shift))
    images = torch.randn(2, 2, height, width, 6)
    mask = shift_mask(torch.empty(1, 1, height, width), 4, 2) if shift else None
    found = attend(*images, mask)
    weights = weights_of(attend)
    for i in range(2):
        optical, sar = images[:, i].double().numpy()
        wanted = reference.attention(optical, sar, weights, 2, 4, shift)
        for x, y in zip(found, wanted, strict=True):
            assert_like(x[i], y)


def test_shift_mask_of_two_by_three_windows() -> None:
    mask = shift_mask(torch.empty(1, 1, 4, 6), window=2, shift=1)
    assert mask.shape == (6, 4, 4)
    assert mask.unique().tolist() == [-100, 0]
    # Regions of the pixels of each window: one, two side by side, two stacked, four
    one, beside, below, four = [0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1], [0, 1, 2, 3]
    for found, regions in zip(
        mask, (one, one, beside, below, below, four), strict=True
    ):
        same = torch.tensor([[a == b for a in regions] for b in regions])
        assert torch.equal(found == 0, same)
    half = shift_mask(torch.empty(1, 1, 4, 6, dtype=torch.bfloat16), 2, 1)
    assert half.dtype == torch.bfloat16


def test_windows_in_reading_order_and_back() -> None:
    x = torch.arange(2 * 4 * 6).view(2, 4, 6, 1)
    windows = to_windows(x, 2)
    assert windows[1, :, 0].tolist() == [2, 3, 8, 9]
    assert windows[6, :, 0].tolist() == [24, 25, 30, 31]
    assert torch.equal(from_windows(windows, 2, 4, 6), x)


@pytest.mark.parametrize('shift', [0, 1])
def test_dense_layer(shift: int) -> None:
    layer = randomised(DenseLayer(3, growth=4, heads=2, window=2, shift=shift))
    optical, sar = torch.randn(2, 1, 3, 4, 6)
    mask = shift_mask(optical, 2, 1) if shift else None
    streams = [x[0].double().numpy() for x in (optical, sar)]
    wanted = reference.layer(streams, weights_of(layer), 2, 2, shift)
    for x, y in zip(layer(optical, sar, mask), wanted, strict=True):
        assert_like(x[0], y)


@pytest.mark.parametrize('size', [3, 5])
def test_dynamic_filter(size: int) -> None:
    torch.manual_seed(0)
    module = DynamicFilter(3, size)
    guide, x = torch.randn(2, 2, 3, 4, 5)
    # Nothing but the 1×1 convolution makes the filters
    filters = F.leaky_relu(module.predict(guide), 0.1)
    for i, found in enumerate(module(guide, x)):
        values, own = (t.detach().double().numpy() for t in (x[i], filters[i]))
        assert_like(found, reference.dynamic_filter(values, own, size))


def test_dynamic_filter_keeps_one_row_of_the_filters_at_a_time() -> None:
    module = DynamicFilter(4, 5)
    guide, x = torch.randn(2, 1, 4, 16, 16)
    sizes: list[int] = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            sizes.extend(x.numel() for x in tree_leaves(out))
            return out

    with torch.no_grad(), Sizes():
        module(guide, x)
    assert max(sizes) == 5 * x.numel()


def test_dynamic_filter_saves_nothing_but_the_filters_and_the_map() -> None:
    module = DynamicFilter(4, 5)
    guide, x = torch.randn(2, 1, 4, 16, 16, requires_grad=True)
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(guide, x)
    padded = 4 * 20 * 20
    values = 25 * x.numel() + padded + guide.numel() + module.predict.weight.numel()
    assert sum(saved.values()) <= 4 * values * 1.1


@pytest.mark.parametrize('last', [False, True])
def test_local_fusion(last: bool) -> None:
    fuse = randomised(LocalFusion(3, kernel_size=3, last=last), 0.3)
    optical, sar = torch.randn(2, 1, 3, 5, 6)
    streams = [x[0].double().numpy() for x in (optical, sar)]
    wanted = reference.fusion(streams, weights_of(fuse), 3)
    found = fuse(optical, sar)
    for x, y in zip(found, wanted, strict=True):
        assert_like(x[0], y)
    assert torch.equal(found[1], sar) is last


def test_pads_to_whole_windows_by_the_border() -> None:
    model, images = small(), inputs(1, 13, 18)
    assert model.stride == 8
    whole = [F.pad(x, (0, 6, 0, 3), mode='replicate') for x in images]
    wanted = model(*whole)['reconstruction'][..., :13, :18]
    torch.testing.assert_close(model(*images)['reconstruction'], wanted)


def test_loss_is_the_mean_absolute_error() -> None:
    check_mean_absolute_error(RECIPE.losses, small(), inputs())


def test_every_parameter_learns() -> None:
    check_reconstruction_trains(small(), inputs(2, 20, 18))


def test_sar_matters_and_batch_samples_do_not_mix() -> None:
    check_sar_of_each_chip(small(), inputs())


def test_schedule_of_thirty_epochs() -> None:
    wanted = [1e-4] * 6
    for halved in range(1, 5):
        wanted += [1e-4 / 2**halved] * 5
    wanted += [1e-4 / 32] * 4
    assert rates_by_epoch(get_recipe('glfcr'), 30) == pytest.approx(wanted)


def test_removes_a_cloud_with_its_recipe() -> None:
    recipe = get_recipe('glfcr')
    assert recipe is RECIPE
    model = small(blocks=1, kernel_size=3).train()
    noise, sar = inputs()
    clear = F.interpolate(noise[..., :4, :4], (16, 16))
    # a cloud over half of the image
    image = clear.clone()
    image[..., :8] = 0.9
    batch = {'image': image, 'image_sar': sar, 'image_clear': clear}
    optimizer = recipe.optimizer(model.parameters())
    optimizer.param_groups[0]['lr'] = 3e-3
    values = fit(model, recipe.losses, batch, optimizer, 30)
    assert values[-1] < 0.7 * values[0]
