# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""RestorationMetrics against formulas written out in numpy and against torchmetrics."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    spectral_angle_mapper,
    structural_similarity_index_measure,
)

from torchgeo_tdpcr.metrics import RestorationMetrics
from torchgeo_tdpcr.metrics.functional import (
    restoration_scores,
    spectral_angle,
    ssim_map,
)

Batch = tuple[Tensor, Tensor, Tensor]

#: Cloudy pixels of each image of the batch fixture, out of 400.
CLOUDY = (0, 80, 200, 399, 400)


@pytest.fixture
def batch() -> Batch:
    """Five images of 20×20 pixels with different errors and cloud covers."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(5, 4, 20, 20, generator=generator)
    noise = torch.randn(5, 4, 20, 20, generator=generator)
    spread = torch.linspace(0.02, 0.2, 5).view(-1, 1, 1, 1)
    order = torch.rand(5, 400, generator=generator).argsort(1).argsort(1)
    mask_cloud = (order < torch.tensor(CLOUDY)[:, None]).long().view(5, 20, 20)
    return target + spread * noise, target, mask_cloud


def reference_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """SSIM map of one band, window by window, in float64."""
    offset = np.arange(-5, 6)
    gauss = np.exp(-(offset**2) / (2 * 1.5**2))
    window = np.outer(gauss, gauss) / gauss.sum() ** 2
    pad_x, pad_y = (np.pad(image, 5, mode='reflect') for image in (x, y))
    result = np.empty_like(x)
    for i, j in np.ndindex(*x.shape):
        a, b = pad_x[i : i + 11, j : j + 11], pad_y[i : i + 11, j : j + 11]
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        var_a = (window * (a - mean_a) ** 2).sum()
        var_b = (window * (b - mean_b) ** 2).sum()
        cov = (window * (a - mean_a) * (b - mean_b)).sum()
        result[i, j] = (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
        result[i, j] /= (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
    return result


def reference(x: np.ndarray, y: np.ndarray, part: np.ndarray) -> dict[str, float]:
    """The four scores of one C×H×W image over the pixels of ``part``."""
    similarity = np.stack([reference_ssim(a, b) for a, b in zip(x, y, strict=True)])
    x, y = x[:, part], y[:, part]
    cosine = (x * y).sum(0) / np.sqrt((x**2).sum(0) * (y**2).sum(0))
    return {
        'psnr': -10 * np.log10(((x - y) ** 2).mean()),
        'ssim': similarity[:, part].mean(),
        'mae': np.abs(x - y).mean(),
        'sam': np.degrees(np.arccos(cosine)).mean(),
    }


def test_against_numpy(batch: Batch) -> None:
    prediction, target, mask_cloud = batch
    scores = restoration_scores(prediction, target, mask_cloud)
    cloudy = mask_cloud.numpy() == 1
    parts = {'': np.ones_like(cloudy), '_cloudy': cloudy, '_clear': ~cloudy}
    assert set(scores) == {m + p for m in ('psnr', 'ssim', 'mae', 'sam') for p in parts}
    for name, part in parts.items():
        for i in range(len(target)):
            if not part[i].any():
                assert all(scores[m + name][i].isnan() for m in ('psnr', 'sam'))
                continue
            x, y = prediction[i].double().numpy(), target[i].double().numpy()
            for measure, expected in reference(x, y, part[i]).items():
                value = scores[measure + name][i].item()
                assert value == pytest.approx(expected, rel=2e-5), (measure, name, i)


def test_against_torchmetrics(batch: Batch) -> None:
    prediction, target, _ = batch
    scores = restoration_scores(prediction, target)
    psnr = peak_signal_noise_ratio(
        prediction, target, data_range=1.0, reduction='none', dim=(1, 2, 3)
    )
    ssim = structural_similarity_index_measure(
        prediction, target, data_range=1.0, reduction='none'
    )
    sam = spectral_angle_mapper(prediction, target, reduction='none').mean((1, 2))
    torch.testing.assert_close(scores['psnr'], psnr)
    torch.testing.assert_close(scores['ssim'], ssim)
    torch.testing.assert_close(scores['sam'], sam.rad2deg())


def test_ssim_map_equals_torchmetrics(batch: Batch) -> None:
    prediction, target = (image.double() for image in batch[:2])
    _, expected = structural_similarity_index_measure(
        prediction, target, data_range=1.0, return_full_image=True
    )
    torch.testing.assert_close(ssim_map(prediction, target), expected)


def test_ssim_with_zeros_beyond_the_border(batch: Batch) -> None:
    """Against convolutions that pad with zeros, with the full window."""
    prediction, target = (image.double() for image in batch[:2])
    gauss = torch.exp(-(torch.arange(-5.0, 6).double() ** 2) / (2 * 1.5**2))
    window = torch.outer(gauss, gauss) / gauss.sum() ** 2

    def filtered(x: Tensor) -> Tensor:
        weight = window.expand(x.shape[1], 1, 11, 11)
        return F.conv2d(x, weight, padding=5, groups=x.shape[1])

    a, b = filtered(prediction), filtered(target)
    var_a = filtered(prediction**2) - a**2
    var_b = filtered(target**2) - b**2
    cov = filtered(prediction * target) - a * b
    expected = (2 * a * b + 1e-4) * (2 * cov + 9e-4)
    expected = expected / ((a**2 + b**2 + 1e-4) * (var_a + var_b + 9e-4))
    torch.testing.assert_close(ssim_map(prediction, target, border='zeros'), expected)

    scores = restoration_scores(prediction, target, ssim_border='zeros')['ssim']
    torch.testing.assert_close(scores, expected.mean((1, 2, 3)))
    metrics = RestorationMetrics(ssim_border='zeros')
    metrics.update(prediction, target)
    mean = expected.mean().float()
    torch.testing.assert_close(metrics.compute()['ssim'], mean, rtol=1e-5, atol=1e-5)
    assert mean > ssim_map(prediction, target).mean()


def test_unknown_border_of_ssim() -> None:
    with pytest.raises(ValueError, match="`ssim_border='wrap'`: choose"):
        RestorationMetrics(ssim_border='wrap')  # type: ignore[arg-type]


def test_data_range_scales(batch: Batch) -> None:
    prediction, target, mask_cloud = batch
    unit = restoration_scores(prediction, target, mask_cloud)
    scaled = restoration_scores(255 * prediction, 255 * target, mask_cloud, 255.0)
    for key, value in unit.items():
        factor = 255 if key.startswith('mae') else 1
        torch.testing.assert_close(
            scaled[key], factor * value, rtol=1e-4, atol=1e-4, equal_nan=True
        )


def test_means_over_images_and_cover(batch: Batch) -> None:
    prediction, target, mask_cloud = batch
    each = restoration_scores(prediction, target, mask_cloud)
    metrics = RestorationMetrics()
    metrics.update(prediction, target, mask_cloud)
    result = metrics.compute()
    # 0 %, 20 %, 50 %, 99.75 % and 100 % of cloud; none between 60 and 80
    covers = {'_0_20': [0], '_20_40': [1], '_40_60': [2], '_80_100': [3, 4]}
    for measure in ('psnr', 'ssim', 'mae', 'sam'):
        torch.testing.assert_close(result[measure], each[measure].mean())
        for part in ('_cloudy', '_clear'):
            expected = each[measure + part].nanmean()
            torch.testing.assert_close(result[measure + part], expected)
        for cover, images in covers.items():
            expected = each[measure][images].mean()
            torch.testing.assert_close(result[measure + cover], expected)
    assert len(result) == 4 * (3 + len(covers))


def test_keys_without_cloud_mask(batch: Batch) -> None:
    metrics = RestorationMetrics(prefix='val/')
    metrics.update(*batch[:2])
    assert list(metrics.compute()) == ['val/psnr', 'val/ssim', 'val/mae', 'val/sam']


@pytest.mark.filterwarnings('ignore:The ``compute`` method')
def test_empty_and_reset(batch: Batch) -> None:
    metrics = RestorationMetrics()
    assert metrics.compute() == {}
    metrics.update(*batch)
    metrics.reset()
    assert metrics.compute() == {}


def test_clear_images_have_no_cloudy_key(batch: Batch) -> None:
    prediction, target, mask_cloud = batch
    metrics = RestorationMetrics()
    metrics.update(prediction, target, torch.zeros_like(mask_cloud, dtype=torch.bool))
    result = metrics.compute()
    assert 'psnr_clear' in result
    assert not any('_cloudy' in key for key in result)


def test_identical_images(batch: Batch) -> None:
    _, target, mask_cloud = batch
    metrics = RestorationMetrics()
    metrics.update(target, target, mask_cloud)
    result = metrics.compute()
    for part in ('', '_cloudy', '_clear', '_80_100'):
        assert result[f'psnr{part}'].item() == pytest.approx(100)
        assert result[f'ssim{part}'].item() == pytest.approx(1)
        assert result[f'mae{part}'].item() == 0
        assert result[f'sam{part}'].item() < 0.03


def test_identical_black_images() -> None:
    black = torch.zeros(1, 3, 8, 8)
    scores = restoration_scores(black, black)
    assert scores['ssim'].item() == 1
    assert scores['sam'].item() == 0


def test_spectral_angle_of_black_pixels() -> None:
    prediction, target = torch.ones(1, 3, 1, 3), torch.ones(1, 3, 1, 3)
    prediction[..., 0] = 0
    target[..., 1] = 0
    prediction[..., 2] = target[..., 2] = 0
    assert spectral_angle(prediction, target).flatten().tolist() == [90, 90, 0]


def test_nan_shows_only_where_it_is(batch: Batch) -> None:
    prediction, target, mask_cloud = batch
    # an error of the far corner cannot reach a cloudy pixel through the SSIM window
    mask_cloud = torch.zeros_like(mask_cloud)
    mask_cloud[:, :4, :4] = 1
    prediction = prediction.clone()
    prediction[:, 0, -1, -1] = torch.nan
    metrics = RestorationMetrics()
    metrics.update(prediction, target, mask_cloud)
    result = metrics.compute()
    assert result['psnr'].isnan()
    assert result['ssim_clear'].isnan()
    assert not result['psnr_cloudy'].isnan()
    assert not result['ssim_cloudy'].isnan()


def test_parts_add_up(batch: Batch) -> None:
    """States of two processes, summed, equal one process that saw all."""
    prediction, target, mask_cloud = batch
    whole, first, second = (RestorationMetrics() for _ in range(3))
    whole.update(prediction, target, mask_cloud)
    first.update(prediction[:2], target[:2], mask_cloud[:2])
    second.update(prediction[2:], target[2:], mask_cloud[2:])
    for state, reduction in whole._reductions.items():
        assert getattr(reduction, '__name__', '') == 'dim_zero_sum'
        total = getattr(first, state) + getattr(second, state)
        torch.testing.assert_close(total, getattr(whole, state))
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute())


def test_forward_accumulates(batch: Batch) -> None:
    prediction, target, mask_cloud = batch
    metrics = RestorationMetrics()
    one = metrics(prediction[:2], target[:2], mask_cloud[:2])
    metrics(prediction[2:], target[2:])
    each = restoration_scores(prediction, target)['psnr']
    torch.testing.assert_close(one['psnr'], each[:2].mean())
    torch.testing.assert_close(metrics.compute()['psnr'], each.mean())


def test_in_a_collection(batch: Batch) -> None:
    collection = MetricCollection(
        {
            'output': RestorationMetrics(prefix='output/'),
            'input': RestorationMetrics(prefix='input/'),
        }
    )
    collection.update(*batch[:2])
    assert {'output/psnr', 'input/psnr'} <= set(collection.compute())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_scored_in_float32(batch: Batch, dtype: torch.dtype) -> None:
    prediction, target, mask_cloud = batch
    prediction = prediction.to(dtype)
    half = restoration_scores(prediction, target, mask_cloud)
    full = restoration_scores(prediction.float(), target, mask_cloud)
    for key, value in half.items():
        torch.testing.assert_close(value, full[key], equal_nan=True)
    angle = spectral_angle(prediction, target)
    assert angle.dtype == torch.float32


def test_autocast_changes_nothing(batch: Batch) -> None:
    expected = restoration_scores(*batch)
    with torch.autocast('cpu', torch.bfloat16):
        result = restoration_scores(*batch)
    torch.testing.assert_close(result, expected, equal_nan=True)


def test_channels_last(batch: Batch) -> None:
    prediction, target, mask_cloud = batch
    expected = restoration_scores(prediction, target, mask_cloud)
    layout = torch.channels_last
    result = restoration_scores(
        prediction.contiguous(memory_format=layout),
        target.contiguous(memory_format=layout),
        mask_cloud,
    )
    torch.testing.assert_close(result, expected, equal_nan=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda(batch: Batch) -> None:
    expected = RestorationMetrics()
    expected.update(*batch)
    metrics = RestorationMetrics().cuda()
    metrics.update(*(tensor.cuda() for tensor in batch))
    for key, value in metrics.compute().items():
        torch.testing.assert_close(
            value.cpu(), expected.compute()[key], rtol=1e-4, atol=1e-3
        )


IMAGE = torch.rand(2, 3, 8, 8)
CLOUD = torch.zeros(2, 8, 8, dtype=torch.long)


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        ((IMAGE.long(), IMAGE), TypeError, '`prediction` is .*, not floating point'),
        ((IMAGE, IMAGE.long()), TypeError, '`target` is .*, not floating point'),
        (
            (IMAGE[0], IMAGE[0]),
            ValueError,
            '`prediction` has shape .*, not a non-empty B×C×H×W',
        ),
        (
            (IMAGE[:0], IMAGE[:0]),
            ValueError,
            '`prediction` has shape .*, not a non-empty',
        ),
        ((IMAGE, IMAGE[:1]), ValueError, '`prediction` has shape .*, but `target`'),
        (
            (IMAGE[:, :1], IMAGE[:, :1]),
            ValueError,
            'one band, which has no spectral angle',
        ),
        ((IMAGE[..., :5], IMAGE[..., :5]), ValueError, '8×5 pixels are too small'),
        ((IMAGE, IMAGE, CLOUD[:, None]), ValueError, '`mask_cloud` has shape'),
        (
            (IMAGE, IMAGE, CLOUD + 2),
            ValueError,
            '`mask_cloud` holds values from 2 to 2',
        ),
        ((IMAGE, IMAGE, CLOUD - 1), ValueError, '`mask_cloud` holds values from -1'),
        (
            (IMAGE, IMAGE, CLOUD.float()),
            TypeError,
            '`mask_cloud` is .*, neither integer',
        ),
    ],
)
def test_bad_input(
    arguments: tuple[Tensor, ...], error: type[Exception], message: str
) -> None:
    metrics = RestorationMetrics()
    with pytest.raises(error, match=message):
        metrics.update(*arguments)
    assert not metrics.counts.any()


@pytest.mark.parametrize('data_range', [0.0, -1.0, float('nan'), float('inf')])
def test_bad_data_range(data_range: float) -> None:
    with pytest.raises(ValueError, match=r'`data_range=.*` must be a positive number'):
        RestorationMetrics(data_range)
