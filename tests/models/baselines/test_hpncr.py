# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import numpy as np
import pytest
import torch
from model_checks import (
    check_autocast,
    check_compiles,
    check_exports,
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
from numpy.lib.stride_tricks import sliding_window_view
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from torchgeo_tdpcr.metrics.functional import spectral_angle
from torchgeo_tdpcr.models.baselines.hpncr.blocks import (
    RescaleNorm,
    SARBlock,
    SelectiveFusion,
    SpatialMixing,
    SqueezeExcitation,
    decloud_stage,
)
from torchgeo_tdpcr.models.baselines.hpncr.loss import (
    SCALES,
    HPNCRLoss,
    multiscale_ssim,
    spectral_angle_loss,
)
from torchgeo_tdpcr.models.baselines.hpncr.model import HPNCR, RECIPE
from torchgeo_tdpcr.models.registry import get_model, get_recipe

SMALL = {
    'dims': (4, 8, 8, 8, 4),
    'depths': (2, 2, 2, 1, 1),
    'attention_ratios': (0.5, 0.5, 1, 0, 0),
    'heads': (2, 2, 2, 2, 2),
    'windows': (4, 4, 3, 4, 4),
    'sar_dims': (4, 8, 8),
}


def small() -> HPNCR:
    torch.manual_seed(0)
    return HPNCR(**SMALL).eval()  # type: ignore[arg-type]


def test_size_is_that_of_the_paper() -> None:
    _, parameters, counter = on_meta(lambda: get_model('hpncr'))
    assert parameters == 3_691_188
    assert parameters == pytest.approx(3.686e6, rel=0.005)
    # between what was measured and what the paper says
    assert 17.6e9 <= counter.get_total_flops() / 2 <= 19.6e9
    convolutions = counter.get_flop_counts()['Global'][torch.ops.aten.convolution]
    assert convolutions / 2 == pytest.approx(17.6e9, rel=0.01)


@pytest.mark.parametrize(('batch', 'height', 'width'), [(2, 45, 70), (1, 1, 3)])
def test_any_size(batch: int, height: int, width: int) -> None:
    out = small()(*pair(batch, height, width))
    check_outputs(out, batch, height, width, reconstruction=13)
    assert out['reconstruction'].min() > 0
    assert out['reconstruction'].max() < 1


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
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]['lr'] == 1e-4
    optimizer.param_groups[0]['lr'] = 1e-2
    values = fit(model, recipe.losses, batch, optimizer, 40)
    terms = recipe.losses(model, batch)
    assert set(terms) == {'loss', 'loss_l1', 'loss_ssim', 'loss_sam'}
    assert values[-1] < 0.7 * values[0]


def gaussian_mean(image: np.ndarray) -> np.ndarray:
    """Means under the window of SSIM, where it lies within the image."""
    weights = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    patches = sliding_window_view(image, (11, 11), axis=(-2, -1))
    return np.einsum('...ij,i,j->...', patches, weights, weights)


def test_loss_in_numpy() -> None:
    """With one scale, which is that of images below 22 pixels."""
    rng = np.random.default_rng(0)
    target = rng.random((2, 3, 20, 17))
    prediction = np.clip(target + rng.normal(0, 0.1, target.shape), 0, 1)

    error = (0.5 * (prediction - target) ** 2).mean()
    # torchmetrics takes the mean of SSIM with mirrored borders
    edges = ((0, 0), (0, 0), (5, 5), (5, 5))
    x, y = (np.pad(image, edges, mode='reflect') for image in (prediction, target))
    mean_x, mean_y = gaussian_mean(x), gaussian_mean(y)
    variance_x = gaussian_mean(x * x) - mean_x**2
    variance_y = gaussian_mean(y * y) - mean_y**2
    covariance = gaussian_mean(x * y) - mean_x * mean_y
    ssim = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
    ssim /= (mean_x**2 + mean_y**2 + 1e-4) * (variance_x + variance_y + 9e-4)
    # a single scale has the exponent of all five together
    similarity = (ssim.mean((1, 2, 3)) ** sum(SCALES)).mean()
    cosine = (prediction * target).sum(1) / (
        np.linalg.norm(prediction, axis=1) * np.linalg.norm(target, axis=1)
    )
    angle = np.degrees(np.arccos(cosine)).mean()
    expected = 0.2 * error + 0.8 * (1 - similarity) + 0.005 * angle

    terms = HPNCRLoss().terms(torch.from_numpy(prediction), torch.from_numpy(target))
    assert terms['loss_l1'].item() == pytest.approx(error, rel=1e-6)
    assert terms['loss_ssim'].item() == pytest.approx(1 - similarity, rel=1e-4)
    assert terms['loss_sam'].item() == pytest.approx(angle, rel=1e-6)
    assert terms['loss'].item() == pytest.approx(expected, rel=1e-4)


def test_multiscale_ssim_is_the_usual_one_for_large_images() -> None:
    torch.manual_seed(0)
    target = torch.rand(2, 2, 176, 180)
    prediction = target + 0.3 * torch.rand_like(target)
    expected = multiscale_structural_similarity_index_measure(
        prediction, target, data_range=1.0, reduction='none'
    )
    torch.testing.assert_close(multiscale_ssim(prediction, target), expected)


@pytest.mark.parametrize('side', [11, 21, 22, 43, 44, 98, 99, 128])
def test_multiscale_ssim_of_small_crops(side: int) -> None:
    torch.manual_seed(0)
    target = torch.rand(1, 2, side, side)
    prediction = (target + 0.2 * torch.rand_like(target)).requires_grad_()
    value = multiscale_ssim(prediction, target)
    value.sum().backward()
    assert 0.5 < value.item() < 1
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()
    torch.testing.assert_close(multiscale_ssim(target, target), torch.ones(1))


def test_spectral_angle_is_that_of_the_metric() -> None:
    torch.manual_seed(0)
    prediction, target = torch.rand(2, 2, 13, 9, 9)
    torch.testing.assert_close(
        spectral_angle_loss(prediction, target),
        spectral_angle(prediction, target).mean(),
    )


def test_loss_has_finite_gradients_where_formulas_have_none() -> None:
    target = torch.rand(1, 3, 32, 32)
    # the same and the opposite spectrum, an anticorrelated image, and no spectrum
    for prediction in (target.clone(), -target, 1 - target, torch.zeros_like(target)):
        for truth in (target, torch.zeros_like(target)):
            prediction = prediction.detach().requires_grad_()
            loss = HPNCRLoss()(prediction, truth)
            loss.backward()
            assert loss.isfinite()
            assert prediction.grad is not None
            assert prediction.grad.isfinite().all()


def test_loss_is_in_full_precision_under_autocast() -> None:
    torch.manual_seed(0)
    prediction, target = torch.rand(2, 1, 13, 32, 32)
    exact = HPNCRLoss()(prediction, target)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(HPNCRLoss()(prediction, target), exact)


def test_wrong_losses() -> None:
    image = torch.rand(1, 3, 10, 12)
    with pytest.raises(ValueError, match='at least 11'):
        HPNCRLoss()(image, image)
    with pytest.raises(ValueError, match='at least two bands'):
        spectral_angle_loss(image[:, :1], image[:, :1])
    with pytest.raises(ValueError, match='lambda_sam'):
        HPNCRLoss(lambda_sam=-1)
    assert repr(HPNCRLoss()) == (
        'HPNCRLoss(lambda_l1=0.2, lambda_ssim=0.8, lambda_sam=0.005)'
    )


def test_autocast_and_channels_last() -> None:
    model = small()
    check_memory_formats(model, pair())
    check_autocast(model, pair(), 0.02)


def test_compiles_without_graph_breaks() -> None:
    check_compiles(small(), pair(1, 30, 44))


def test_exports_with_dynamic_batch() -> None:
    others = (pair(batch, 30, 44) for batch in (1, 3))
    check_exports(small(), pair(2, 30, 44), others)


@wrong_inputs()
def test_wrong_inputs(image: tuple, sar: tuple, named: str) -> None:
    check_refuses(small(), image, sar, named)


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'num_classes': 7}, 'does not segment'),
        ({'depths': (1, 1, 1)}, 'depths'),
        ({'sar_dims': (4, 8)}, 'sar_dims'),
        ({'dims': (4, 8, 8, 4, 4)}, 'dims'),
        ({'attention_ratios': (2, 0, 0, 0, 0)}, 'attention_ratios'),
        ({'heads': (3, 2, 2, 2, 2)}, 'heads'),
        ({'kernel_size': 4}, 'kernel_size'),
    ],
)
def test_wrong_arguments(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        HPNCR(**{**SMALL, **arguments})


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
