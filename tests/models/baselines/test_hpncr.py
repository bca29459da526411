# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import pytest
import torch
import torch.nn.functional as F
from baseline_tests import BaselineTests
from model_checks import (
    check_reconstruction_trains,
    check_sar_of_each_chip,
    fit,
    on_meta,
    pair,
    rates_by_epoch,
)
from torch import Tensor, nn

from torchgeo_tdpcr.models.baselines.hpncr import attention
from torchgeo_tdpcr.models.baselines.hpncr.model import RECIPE, _excite
from torchgeo_tdpcr.models.registry import get_model, get_recipe


class TestHPNCR(BaselineTests):
    name = 'hpncr'
    arguments = {
        'dims': (4, 8, 8, 8, 4),
        'depths': (2, 2, 2, 1, 1),
        'attention_ratios': (0.5, 0.5, 1, 0, 0),
        'heads': (2, 2, 2, 2, 2),
        'windows': (4, 4, 4, 4, 4),
        'sar_dims': (4, 8, 8),
    }
    optimizer = torch.optim.AdamW, {'lr': 1e-4, 'weight_decay': 0.01}
    wrong_arguments = (
        ({'num_classes': 7}, 'does not segment'),
        ({'depths': (1, 1, 1)}, 'depths'),
        ({'mlp_ratios': (2, 4)}, 'mlp_ratios'),
        ({'sar_dims': (4, 8)}, 'sar_dims'),
        ({'dims': (4, 8, 8, 4, 4)}, 'dims'),
        ({'attention_ratios': (2, 0, 0, 0, 0)}, 'attention_ratios'),
        ({'heads': (3, 2, 2, 2, 2)}, 'heads'),
    )
    traced_size = (30, 44)

    @classmethod
    def build_traced(cls) -> nn.Module:
        """One block a stage but for the third, which has windows of both kinds."""
        return cls.build(depths=(1, 1, 2, 1, 1), attention_ratios=(0, 0, 1, 0, 0))


small = TestHPNCR.build


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_size_is_that_of_the_authors() -> None:
    model, parameters, counter = on_meta(lambda: get_model('hpncr'))
    # A part of their build, and what of it is never used: the second projection of the
    # values in each block, and 186 weights in each attention
    parts = {
        'down1': (3_068, 0),
        'stage1': (73_896, 8 * (26 * 26 + 26) + 2 * 186),
        'down2': (5_460, 0),
        'stage2': (350_848, 8 * (52 * 52 + 52) + 4 * 186),
        'down3': (21_736, 0),
        'stage3': (1_348_220, 8 * (104 * 104 + 104) + 6 * 186),
        'sar': (38_528 + 230_144 + 919_040, 0),
        'join': (7_200 + 472_368, 0),
        'up1': (21_840, 0),
        'fuse1': (936, 0),
        'skip1': (2_756, 0),
        'stage4': (115_508, 4 * (52 * 52 + 52)),
        'up2': (5_512, 0),
        'fuse2': (312, 0),
        'skip2': (702, 0),
        'stage5': (33_764, 4 * (26 * 26 + 26)),
        'up3': (30_080, 0),
        'last': (256 + 3_757, 0),
    }
    own = {name: all_of_it - unused for name, (all_of_it, unused) in parts.items()}
    assert {name: count(part) for name, part in model.named_children()} == own
    assert [count(part) for part in model.sar] == [38_528, 230_144, 919_040]
    assert [count(part) for part in model.join] == [7_200, 472_368]
    assert sum(unused for _, unused in parts.values()) == 128_856 + 2_232 == 131_088
    assert sum(all_of_it for all_of_it, _ in parts.values()) == 3_685_931
    assert parameters == 3_554_843

    # Width, heads, window, and the number of windows in each block with attention
    stages = (
        (26, 2, 8, (16**2, 17**2)),
        (52, 4, 12, (6**2,) * 4),
        (104, 4, 16, (2**2, 3**2) * 3),
    )
    work = counter.get_flop_counts()['Global'][torch.ops.aten.convolution] / 2
    for width, heads, window, numbers in stages:
        work += 2 * width * window**4 * sum(numbers)
        # Their position biases are computed pair by pair
        work += len(numbers) * window**4 * attention.HIDDEN * (2 + heads)
    assert work == pytest.approx(17.58e9, abs=5e6)
    # Ours are not, but heads have zeros up to a multiple of eight
    assert counter.get_total_flops() / 2 == pytest.approx(17.07e9, abs=5e6)


@pytest.mark.parametrize(('reduction', 'narrow'), [(3, 2), (16, 1)])
def test_squeeze_excitation_scales_channels(reduction: int, narrow: int) -> None:
    torch.manual_seed(0)
    excitation = _excite(8, reduction)
    first, second = (parameter[:, :, 0, 0] for parameter in excitation.parameters())
    assert first.shape == (narrow, 8)
    x = torch.rand(2, 8, 5, 7)
    scale = ((x.mean((2, 3)) @ first.T).relu() @ second.T).sigmoid()
    expected = torch.einsum('bchw,bc->bchw', x, scale)
    torch.testing.assert_close(excitation(x), expected)


def reference(model: nn.Module, image: Tensor, sar: Tensor) -> Tensor:
    """The wiring of the parts once more, with the convolutions written out."""

    def reflected(x: Tensor, conv: nn.Conv2d, stride: int = 1) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), mode='reflect')
        return F.conv2d(padded, conv.weight, conv.bias, stride=stride)

    def pointwise(x: Tensor, conv: nn.Conv2d) -> Tensor:
        weight = conv.weight[:, :, 0, 0]
        return torch.einsum('oc,bchw->bohw', weight, x) + conv.bias[:, None, None]

    def halved(x: Tensor, conv: nn.Conv2d) -> Tensor:
        x = x.unfold(2, 2, 2).unfold(3, 2, 2)
        return (
            torch.einsum('bchwij,ocij->bohw', x, conv.weight)
            + (conv.bias[:, None, None])
        )

    fine = model.stage1(reflected(image, model.down1, stride=2))
    middle = model.stage2(halved(fine, model.down2))
    coarse = model.stage3(halved(middle, model.down3))
    for block, _ in model.sar:
        sar = F.avg_pool2d(block(sar), 2)
    excite, narrow = model.join
    x = narrow(excite(torch.cat([coarse, sar], 1)))
    up = F.pixel_shuffle(pointwise(x, model.up1[0]), 2)
    x = model.stage4(model.fuse1(up, pointwise(middle, model.skip1)) + up)
    up = F.pixel_shuffle(pointwise(x, model.up2[0]), 2)
    x = model.stage5(model.fuse2(up, pointwise(fine, model.skip2)) + up)
    x = F.leaky_relu(F.pixel_shuffle(reflected(x, model.up3[0]), 2), 0.01)
    x = model.last[1](x)
    last = model.last[2]
    x = F.conv2d(x, last.weight, last.bias, padding=1)
    return 1 / (1 + torch.exp(-(x + image)))


def test_wiring() -> None:
    model, images = small(), pair(2, 32, 40)
    with torch.no_grad():
        found = model(*images)['reconstruction']
        torch.testing.assert_close(found, reference(model, *images))


def test_smaller_images_are_continued_as_far_as_reflection_needs() -> None:
    assert get_model('hpncr').smallest == 104
    model = small()
    assert model.smallest == 32
    assert small(windows=(8, 4, 4, 32, 32)).smallest == 32
    assert small(attention_ratios=(0,) * 5).smallest == 24
    image, sar = pair(1, 9, 32)
    whole = (F.pad(x, (0, 0, 0, 23), mode='replicate') for x in (image, sar))
    with torch.no_grad():
        expected = model(*whole)['reconstruction'][..., :9, :]
        torch.testing.assert_close(model(image, sar)['reconstruction'], expected)


def test_position_biases_are_computed_once_for_all_windows_and_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed = []
    forward = attention.OffsetBias.forward

    def counted(self: attention.OffsetBias) -> Tensor:
        computed.append(self)
        return forward(self)

    monkeypatch.setattr(attention.OffsetBias, 'forward', counted)
    model = small()
    model(*pair(3, 64, 64))
    assert len(computed) == len(set(computed)) == 4


def test_every_parameter_learns() -> None:
    check_reconstruction_trains(small().train(), pair(2, 40, 36), nonzero=False)


def test_sar_matters_and_batch_samples_do_not_mix() -> None:
    check_sar_of_each_chip(small(), pair(), least=1e-5)


def test_output_is_a_sigmoid_of_the_correction_and_the_image() -> None:
    model = small()
    for parameter in model.last[-1].parameters():
        nn.init.zeros_(parameter)
    image, sar = pair()
    out = model(image, sar)['reconstruction']
    torch.testing.assert_close(out, image.sigmoid())


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = get_model('hpncr')
    for conv in (model.skip1, model.skip2, model.last[-1]):
        assert conv.weight.std().item() == pytest.approx(0.2, rel=0.1)
    # 32 blocks: (8 · 32)^-¼ is a quarter
    conv = model.stage3[0].spatial.project
    expected = 0.25 * (2 / 208) ** 0.5
    assert conv.weight.std().item() == pytest.approx(expected, rel=0.05)


def test_rate_falls_every_five_epochs() -> None:
    assert get_recipe('hpncr') is RECIPE
    expected = [1e-4 * 0.8 ** (epoch // 5) for epoch in range(15)]
    assert rates_by_epoch(RECIPE, 15) == pytest.approx(expected)


def test_overfits_two_chips_with_its_recipe() -> None:
    model = small().train()
    image, sar = pair()
    clear = F.avg_pool2d(image, 3, 1, 1).flip(0) * 0.6
    batch = {'image': image, 'image_sar': sar, 'image_clear': clear}
    optimizer = RECIPE.optimizer(model.parameters())
    optimizer.param_groups[0]['lr'] = 1e-2
    values = fit(model, RECIPE.losses, batch, optimizer, 20)
    terms = RECIPE.losses(model, batch)
    assert set(terms) == {'loss', 'loss_l1', 'loss_ssim', 'loss_sam'}
    assert values[-1] < 0.8 * values[0]
