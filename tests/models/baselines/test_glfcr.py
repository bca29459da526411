# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import copy

import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import (
    Pair,
    check_mean_absolute_error,
    check_reconstruction_trains,
    check_sar_of_each_chip,
    fit,
    on_meta,
    pair,
)

from torchgeo_tdpcr.models.baselines.glfcr import (
    RECIPE,
    GuidedAttention,
    LocalFusion,
    dynamic_filter,
)
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
    optimizer = torch.optim.Adam, {'lr': 1e-4}
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'growth': 5}, 'growth'),
        ({'kernel_size': 4}, 'kernel_size'),
        ({'output_channels': 6}, 'output_channels'),
        ({'blocks': 0}, 'blocks'),
        ({'layers': 0}, 'layers'),
    )
    traced_size = (18, 22)


small = TestGLFCR.build


def inputs(batch: int = 2, height: int = 16, width: int = 16) -> Pair:
    return pair(batch, height, width)


def test_size_is_that_of_the_paper() -> None:
    _, parameters, counter = on_meta(lambda: get_model('glfcr'))
    assert parameters == 14_764_925
    assert parameters == pytest.approx(14.827e6, rel=0.005)
    assert counter.get_total_flops() / 2 == pytest.approx(249.7e9, rel=0.02)


def test_loss_is_the_mean_absolute_error() -> None:
    check_mean_absolute_error(RECIPE.losses, small(), inputs())


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
    optimizer.param_groups[0]['lr'] = 3e-3
    values = fit(model, recipe.losses, batch, optimizer, 60)
    assert values[-1] < 0.6 * values[0]


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


def test_sar_guides_but_is_not_attended_to() -> None:
    torch.manual_seed(0)
    attend = GuidedAttention(4, heads=2, window=4)
    optical, sar = torch.randn(2, 1, 4, 8, 8)
    assert not torch.allclose(attend(optical, sar), attend(optical, -sar))
    # without relations SAR only enters through the norm, which a permutation keeps
    blind = copy.deepcopy(attend)
    torch.nn.init.zeros_(blind.relate.weight)
    torch.testing.assert_close(blind(optical, sar), blind(optical, sar.flip(1)))
