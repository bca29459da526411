# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import copy

import pytest
import torch
from model_checks import (
    Pair,
    check_autocast,
    check_compiles,
    check_exports,
    check_mean_absolute_error,
    check_memory_formats,
    check_outputs,
    check_reconstruction_trains,
    check_refuses,
    check_sar_of_each_chip,
    fit,
    on_meta,
    pair,
    wrong_inputs,
)

from torchgeo_tdpcr.models.baselines.glfcr import (
    GLFCR,
    RECIPE,
    GuidedAttention,
    LocalFusion,
    dynamic_filter,
)
from torchgeo_tdpcr.models.baselines.window_attention import (
    PositionBias,
    window_attention,
)
from torchgeo_tdpcr.models.registry import get_model, get_recipe

SMALL = {
    'channels': 8,
    'growth': 4,
    'blocks': 2,
    'layers': 2,
    'heads': 2,
    'window': 4,
    'output_channels': 16,
}


def inputs(batch: int = 2, height: int = 16, width: int = 16) -> Pair:
    return pair(batch, height, width)


def small() -> GLFCR:
    torch.manual_seed(0)
    return GLFCR(**SMALL).eval()  # type: ignore[arg-type]


def test_size_is_that_of_the_paper() -> None:
    _, parameters, counter = on_meta(lambda: get_model('glfcr'))
    assert parameters == 14_764_925
    assert parameters == pytest.approx(14.827e6, rel=0.005)
    assert counter.get_total_flops() / 2 == pytest.approx(249.7e9, rel=0.02)


@pytest.mark.parametrize(('batch', 'height', 'width'), [(2, 45, 70), (1, 1, 3)])
def test_any_size(batch: int, height: int, width: int) -> None:
    out = small()(*inputs(batch, height, width))
    check_outputs(out, batch, height, width, reconstruction=13)


def test_every_parameter_learns() -> None:
    check_reconstruction_trains(small().train(), inputs(2, 20, 18))


def test_sar_matters_and_batch_samples_do_not_mix() -> None:
    check_sar_of_each_chip(small(), inputs())


def test_overfits_two_chips_with_its_recipe() -> None:
    recipe = get_recipe('glfcr')
    assert recipe is RECIPE
    model = small().train()
    noise, sar = inputs()
    clear = torch.nn.functional.interpolate(noise[..., :4, :4], (16, 16))
    # a cloud over half of the image
    image = clear.clone()
    image[..., :8] = 0.9
    batch = {'image': image, 'image_sar': sar, 'image_clear': clear}
    optimizer = recipe.optimizer(model.parameters())
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.param_groups[0]['lr'] == 1e-4
    optimizer.param_groups[0]['lr'] = 3e-3
    values = fit(model, recipe.losses, batch, optimizer, 60)
    assert values[-1] < 0.6 * values[0]


def test_loss_is_the_mean_absolute_error() -> None:
    check_mean_absolute_error(RECIPE.losses, small(), inputs())


def test_autocast_and_channels_last() -> None:
    model = small()
    check_memory_formats(model, inputs())
    check_autocast(model, inputs(), 0.02)


def test_compiles_without_graph_breaks() -> None:
    check_compiles(small(), inputs(1, 18, 22))


def test_exports_with_dynamic_batch() -> None:
    others = (inputs(batch, 18, 22) for batch in (1, 3))
    check_exports(small(), inputs(2, 18, 22), others)


@wrong_inputs()
def test_wrong_inputs(image: tuple, sar: tuple, named: str) -> None:
    check_refuses(small(), image, sar, named)


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'num_classes': 7}, 'does not segment'),
        ({'growth': 5}, 'growth'),
        ({'kernel_size': 4}, 'kernel_size'),
        ({'output_channels': 6}, 'output_channels'),
        ({'blocks': 0}, 'blocks'),
        ({'layers': 0}, 'layers'),
    ],
)
def test_wrong_arguments(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        GLFCR(**{**SMALL, **arguments})


def test_dynamic_filter_is_a_weighted_sum_of_patches() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 7)
    filters = torch.randn(2, 25 * 3, 6, 7)
    patches = torch.nn.functional.unfold(x, 5, padding=2).view(2, 3, 25, 6, 7)
    expected = (patches * filters.view(2, 25, 3, 6, 7).transpose(1, 2)).sum(2)
    torch.testing.assert_close(dynamic_filter(x, filters, 5), expected)


def test_dynamic_filter_saves_nothing_the_size_of_the_filters() -> None:
    x = torch.randn(1, 4, 8, 8, requires_grad=True)
    filters = torch.randn(1, 100, 8, 8, requires_grad=True)
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        dynamic_filter(x, filters, 5)
    padded = 4 * 12 * 12
    assert sum(saved.values()) <= 4 * (filters.numel() + padded)


def test_new_dynamic_filters_are_near_the_identity() -> None:
    torch.manual_seed(0)
    fuse = LocalFusion(4, last=True)
    optical, sar = torch.randn(2, 1, 4, 8, 8)
    _, filtered = fuse(optical, sar)
    torch.testing.assert_close(filtered, sar, atol=0.05, rtol=0.05)


def test_gates_exchange_between_the_streams() -> None:
    fuse = LocalFusion(4)
    assert fuse.to_sar is not None
    for gate in (fuse.to_optical, fuse.to_sar):
        torch.nn.init.zeros_(gate.weight)
        torch.nn.init.constant_(gate.bias, 50.0)  # type: ignore[arg-type]
    optical, sar = torch.randn(2, 1, 4, 8, 8)
    filtered = dynamic_filter(sar, fuse.filters(torch.cat([optical, sar], 1)), 5)
    to_optical, to_sar = fuse(optical, sar)
    torch.testing.assert_close(to_optical, filtered)
    torch.testing.assert_close(to_sar, optical)


@pytest.mark.parametrize(
    ('height', 'width', 'shift'), [(8, 12, 0), (7, 9, 0), (8, 8, 2), (3, 10, 2)]
)
def test_window_attention_pixel_by_pixel(height: int, width: int, shift: int) -> None:
    """Against attention of each pixel over the window that it lies in."""
    torch.manual_seed(0)
    window, heads = 4, 2
    query, key = torch.randn(2, 2, 6, height, width)
    value = torch.randn(2, 4, height, width)
    bias = torch.randn(heads, 16, 16)
    out = window_attention(query, key, value, bias, window, shift)
    assert out.shape == value.shape
    for row, column in ((0, 0), (height - 1, width - 1), (height // 2, 1)):
        top = (row + shift) // window * window - shift
        left = (column + shift) // window * window - shift
        own = (row - top) * window + column - left
        rows = torch.arange(top, top + window).clamp(0, height - 1)
        columns = torch.arange(left, left + window).clamp(0, width - 1)
        for head in range(heads):
            k = key[0, 3 * head : 3 * head + 3][:, rows][:, :, columns].flatten(1)
            v = value[0, 2 * head : 2 * head + 2][:, rows][:, :, columns].flatten(1)
            q = query[0, 3 * head : 3 * head + 3, row, column]
            weights = (q @ k / 3**0.5 + bias[head, own]).softmax(0)
            torch.testing.assert_close(
                out[0, 2 * head : 2 * head + 2, row, column], v @ weights
            )


def test_position_bias_depends_on_the_offset_alone() -> None:
    bias = PositionBias(3, 1)()[0]
    # one to the right: from pixel 0 to 1 as from 4 to 5; one below: 0 to 3, 4 to 7
    assert bias[1, 0] == bias[5, 4] != bias[0, 1]
    assert bias[3, 0] == bias[7, 4] != bias[1, 0]
    assert len(bias.unique()) == 25


def test_sar_guides_but_is_not_attended_to() -> None:
    torch.manual_seed(0)
    attend = GuidedAttention(4, heads=2, window=4)
    optical, sar = torch.randn(2, 1, 4, 8, 8)
    assert not torch.allclose(attend(optical, sar), attend(optical, -sar))
    # without relations SAR only enters through the norm, which a permutation keeps
    blind = copy.deepcopy(attend)
    torch.nn.init.zeros_(blind.relate.weight)
    torch.testing.assert_close(blind(optical, sar), blind(optical, sar.flip(1)))
