# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import pytest
import torch
from baseline_tests import BaselineTests
from model_checks import (
    check_reconstruction_trains,
    check_sar_of_each_chip,
    fit,
    on_meta,
    pair,
)

from torchgeo_tdpcr.models.baselines.hpncr.blocks import (
    RescaleNorm,
    SARBlock,
    SelectiveFusion,
    SpatialMixing,
    SqueezeExcitation,
    decloud_stage,
)
from torchgeo_tdpcr.models.baselines.hpncr.model import RECIPE
from torchgeo_tdpcr.models.registry import get_model, get_recipe


class TestHPNCR(BaselineTests):
    name = 'hpncr'
    arguments = {
        'dims': (4, 8, 8, 8, 4),
        'depths': (2, 2, 2, 1, 1),
        'attention_ratios': (0.5, 0.5, 1, 0, 0),
        'heads': (2, 2, 2, 2, 2),
        'windows': (4, 4, 3, 4, 4),
        'sar_dims': (4, 8, 8),
    }
    optimizer = torch.optim.AdamW, {'lr': 1e-4}
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'depths': (1, 1, 1)}, 'depths'),
        ({'sar_dims': (4, 8)}, 'sar_dims'),
        ({'dims': (4, 8, 8, 4, 4)}, 'dims'),
        ({'attention_ratios': (2, 0, 0, 0, 0)}, 'attention_ratios'),
        ({'heads': (3, 2, 2, 2, 2)}, 'heads'),
        ({'kernel_size': 4}, 'kernel_size'),
    )
    traced_size = (30, 44)


small = TestHPNCR.build


def test_output_lies_between_0_and_1() -> None:
    out = small()(*pair(2, 45, 70))['reconstruction']
    assert out.min() > 0
    assert out.max() < 1


def test_size_is_that_of_the_paper() -> None:
    _, parameters, counter = on_meta(lambda: get_model('hpncr'))
    assert parameters == 3_691_188
    assert parameters == pytest.approx(3.686e6, rel=0.005)
    # between what was measured and what the paper says
    assert 17.6e9 <= counter.get_total_flops() / 2 <= 19.6e9
    convolutions = counter.get_flop_counts()['Global'][torch.ops.aten.convolution]
    assert convolutions / 2 == pytest.approx(17.6e9, rel=0.01)


def test_every_parameter_learns() -> None:
    check_reconstruction_trains(small().train(), pair(2, 40, 36), nonzero=False)


def test_sar_matters_and_batch_samples_do_not_mix() -> None:
    check_sar_of_each_chip(small(), pair(), least=1e-5)


def test_output_is_a_sigmoid_of_the_correction_and_the_image() -> None:
    model = small()
    last = model.ups[-1][0]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    image, sar = pair()
    out = model(image, sar)['reconstruction']
    torch.testing.assert_close(out, image.sigmoid())


def test_overfits_two_chips_with_its_recipe() -> None:
    recipe = get_recipe('hpncr')
    assert recipe is RECIPE
    model = small().train()
    image, sar = pair()
    clear = torch.nn.functional.avg_pool2d(image, 3, 1, 1).flip(0) * 0.6
    batch = {'image': image, 'image_sar': sar, 'image_clear': clear}
    optimizer = recipe.optimizer(model.parameters())
    optimizer.param_groups[0]['lr'] = 1e-2
    values = fit(model, recipe.losses, batch, optimizer, 40)
    terms = recipe.losses(model, batch)
    assert set(terms) == {'loss', 'loss_l1', 'loss_ssim', 'loss_sam'}
    assert values[-1] < 0.7 * values[0]


def test_attention_is_in_the_last_blocks_with_moved_windows() -> None:
    stage = decloud_stage(8, depth=8, attention_ratio=0.5, heads=2, window=8)
    mixings = [m for m in stage.modules() if isinstance(m, SpatialMixing)]
    assert [m.relate is not None for m in mixings] == [False] * 4 + [True] * 4
    assert [m.shift for m in mixings[4:]] == [0, 4, 0, 4]


def test_rescale_norm_gives_mean_and_deviation_back() -> None:
    torch.manual_seed(0)
    norm = RescaleNorm(3)
    x = 5 + 2 * torch.randn(2, 3, 6, 6)
    normed, scale, offset = norm(x)
    mean, std = x.mean((1, 2, 3)), x.std((1, 2, 3), correction=0)
    torch.testing.assert_close(
        normed.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(normed.std((1, 2, 3), correction=0), torch.ones(2))
    expected = std.view(2, 1, 1, 1) * norm.scale_weight + norm.scale_bias
    torch.testing.assert_close(scale, expected)
    expected = mean.view(2, 1, 1, 1) * norm.offset_weight + norm.offset_bias
    torch.testing.assert_close(offset, expected)


def test_selective_fusion_is_a_softmax_over_the_two() -> None:
    torch.manual_seed(0)
    fuse = SelectiveFusion(8)
    x, skip = torch.randn(2, 3, 8, 5, 5)
    pooled = torch.nn.functional.adaptive_avg_pool2d(x + skip, 1)
    weights = fuse.weigh(pooled).view(3, 2, 8, 1, 1).softmax(1)
    expected = weights[:, 0] * x + weights[:, 1] * skip
    torch.testing.assert_close(fuse(x, skip), expected)


def test_squeeze_excitation_scales_channels() -> None:
    x = torch.rand(2, 8, 5, 5) + 0.1
    ratio = SqueezeExcitation(8, 2)(x) / x
    torch.testing.assert_close(ratio, ratio[..., :1, :1].expand_as(ratio))
    assert ratio.min() > 0
    assert ratio.max() < 1


def test_sar_block_halves_with_a_shortcut() -> None:
    block = SARBlock(4, 4).eval()
    for parameter in block.residual.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 4, 6, 8)
    expected = torch.nn.functional.avg_pool2d(x.relu(), 2)
    torch.testing.assert_close(block(x), expected)
    assert isinstance(SARBlock(4, 8).shortcut, torch.nn.Sequential)
