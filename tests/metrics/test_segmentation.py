# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SegmentationMetrics against counting in numpy and against torchmetrics."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_jaccard_index,
)

from torchgeo_tdpcr.metrics import SegmentationMetrics
from torchgeo_tdpcr.metrics.functional import class_iou, confusion_matrices

CLASSES = 5
Batch = tuple[Tensor, Tensor, Tensor]


@pytest.fixture
def batch() -> Batch:
    """Patchy maps of four of the five classes, with ignored pixels and clouds."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 4, (3, 4, 4), generator=generator)
    mask = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    wrong = torch.rand(mask.shape, generator=generator) < 0.3
    noise = torch.randint(0, 4, mask.shape, generator=generator)
    prediction = torch.where(wrong, noise, mask)
    mask[torch.rand(mask.shape, generator=generator) < 0.1] = 255
    cloud = (torch.rand(mask.shape, generator=generator) < 0.4).long()
    return prediction, mask, cloud


def count(prediction: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Scores over flat arrays, class by class, without a confusion matrix."""
    keep = mask != 255
    prediction, mask = prediction[keep], mask[keep]
    iou = {}
    for k in range(CLASSES):
        union = ((prediction == k) | (mask == k)).sum()
        if union:
            iou[k] = ((prediction == k) & (mask == k)).sum() / union
    return {
        'pa': (prediction == mask).mean(),
        'miou': sum(iou.values()) / len(iou),
        'miou_published': sum(iou.values()) / CLASSES,
        **{f'iou_{k}': value for k, value in iou.items()},
    }


def test_against_numpy(batch: Batch) -> None:
    metrics = SegmentationMetrics(CLASSES)
    metrics.update(*batch)
    result = metrics.compute()
    prediction, mask, cloud = (tensor.numpy() for tensor in batch)
    for part, keep in (
        ('', cloud > -1),
        ('_cloudy', cloud == 1),
        ('_clear', cloud < 1),
    ):
        for key, expected in count(prediction[keep], mask[keep]).items():
            if part == '' or not key.startswith('iou'):
                assert result[key + part].item() == pytest.approx(expected), key + part
    assert 'iou_4' not in result


def test_against_torchmetrics(batch: Batch) -> None:
    prediction, mask, _ = batch
    metrics = SegmentationMetrics(CLASSES)
    metrics.update(prediction, mask)
    result = metrics.compute()
    pa = multiclass_accuracy(
        prediction, mask, CLASSES, average='micro', ignore_index=255
    )
    miou = multiclass_jaccard_index(prediction, mask, CLASSES, ignore_index=255)
    torch.testing.assert_close(result['pa'], pa)
    torch.testing.assert_close(result['miou'], miou)
    each = multiclass_jaccard_index(
        prediction, mask, CLASSES, average='none', ignore_index=255
    )
    iou = class_iou(confusion_matrices(prediction, mask, CLASSES)[0])
    torch.testing.assert_close(iou.nan_to_num(), each)
    torch.testing.assert_close(result['miou_published'], each.mean())


def test_logits_equal_their_labels(batch: Batch) -> None:
    prediction, mask, cloud = batch
    logits = torch.nn.functional.one_hot(prediction, CLASSES).permute(0, 3, 1, 2)
    labels, from_logits = SegmentationMetrics(CLASSES), SegmentationMetrics(CLASSES)
    labels.update(prediction.to(torch.uint8), mask.to(torch.uint8), cloud.bool())
    from_logits.update(
        logits.bfloat16().contiguous(memory_format=torch.channels_last), mask, cloud
    )
    torch.testing.assert_close(from_logits.compute(), labels.compute())


def test_majority_is_what_a_constant_map_scores(batch: Batch) -> None:
    _, mask, _ = batch
    commonest = mask[mask != 255].mode().values
    metrics = SegmentationMetrics(CLASSES)
    metrics.update(torch.full_like(mask, int(commonest)), mask)
    result = metrics.compute()
    torch.testing.assert_close(result['pa_majority'], result['pa'])
    torch.testing.assert_close(result['miou_majority'], result['miou'])
    assert 0 < result['miou_majority'] < result['pa_majority'] < 1


def test_ignored_pixels_do_not_count(batch: Batch) -> None:
    prediction, mask, cloud = batch
    metrics, changed = SegmentationMetrics(CLASSES), SegmentationMetrics(CLASSES)
    metrics.update(prediction, mask, cloud)
    changed.update(torch.where(mask == 255, 4, prediction), mask, cloud)
    torch.testing.assert_close(changed.compute(), metrics.compute())


def test_ignore_index_among_the_classes() -> None:
    mask = torch.tensor([[[0, 0, 1, 1, 2, 2]]])
    prediction = torch.tensor([[[1, 0, 1, 1, 0, 2]]])
    metrics = SegmentationMetrics(3, ignore_index=0)
    metrics.update(prediction, mask)
    result = metrics.compute()
    assert result['pa'].item() == pytest.approx(3 / 4)
    assert 'iou_0' not in result
    assert result['iou_2'].item() == 0.5
    assert result['miou'].item() == pytest.approx(0.75)
    expected = multiclass_jaccard_index(prediction, mask, 3, ignore_index=0)
    torch.testing.assert_close(result['miou'], expected)


@pytest.mark.filterwarnings('ignore:The ``compute`` method')
def test_nothing_to_count(batch: Batch) -> None:
    prediction, mask, cloud = batch
    metrics = SegmentationMetrics(CLASSES)
    assert metrics.compute() == {}
    metrics.update(prediction, torch.full_like(mask, 255), cloud)
    assert metrics.compute() == {}


def test_clear_images_have_no_cloudy_key(batch: Batch) -> None:
    prediction, mask, cloud = batch
    metrics = SegmentationMetrics(CLASSES)
    metrics.update(prediction, mask, torch.zeros_like(cloud))
    result = metrics.compute()
    assert not any('cloudy' in key for key in result)
    torch.testing.assert_close(result['miou_clear'], result['miou'])


def test_parts_add_up(batch: Batch) -> None:
    """States of two processes, summed, equal one process that saw all."""
    whole, first, second = (SegmentationMetrics(CLASSES) for _ in range(3))
    whole.update(*batch)
    first.update(*(tensor[:1] for tensor in batch))
    second.update(*(tensor[1:] for tensor in batch))
    for state, reduction in whole._reductions.items():
        assert getattr(reduction, '__name__', '') == 'dim_zero_sum'
        total = getattr(first, state) + getattr(second, state)
        torch.testing.assert_close(total, getattr(whole, state))
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute())


def test_keys() -> None:
    labels = ('class 0', 'Built-up / roads', 'Übriges')
    metrics = SegmentationMetrics(3, labels=labels, prefix='test/')
    mask = torch.tensor([[[0, 1, 2]]])
    metrics.update(mask, mask)
    result = metrics.compute()
    assert all(key.startswith('test/') for key in result)
    keys = {'test/iou_class_0', 'test/iou_built_up_roads', 'test/iou_übriges'}
    assert keys <= set(result)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda(batch: Batch) -> None:
    expected, metrics = (
        SegmentationMetrics(CLASSES),
        SegmentationMetrics(CLASSES).cuda(),
    )
    expected.update(*batch)
    metrics.update(*(tensor.cuda() for tensor in batch))
    for key, value in metrics.compute().items():
        torch.testing.assert_close(value.cpu(), expected.compute()[key])


MASK = torch.zeros(2, 4, 4, dtype=torch.long)
LOGITS = torch.zeros(2, CLASSES, 4, 4)


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        ((MASK, MASK.float()), TypeError, '`mask` is .*, not integer class indices'),
        ((MASK, MASK.bool()), TypeError, '`mask` is .*, not integer class indices'),
        ((MASK, MASK[0]), ValueError, '`mask` has shape .* not a non-empty B×H×W'),
        ((MASK, MASK[:0]), ValueError, '`mask` has shape .* not a non-empty B×H×W'),
        (
            (MASK, MASK + 7),
            ValueError,
            '`mask` holds the label 7, not just 0 to 4 or 255',
        ),
        ((MASK, MASK - 1), ValueError, '`mask` holds the label -1'),
        ((MASK + 255, MASK), ValueError, '`prediction` holds the label 255'),
        (
            (MASK.float(), MASK),
            TypeError,
            '`prediction` is .*, not integer class indices',
        ),
        (
            (LOGITS.long(), MASK),
            TypeError,
            '`prediction` is .*, but logits are floating point',
        ),
        ((LOGITS[:, :3], MASK), ValueError, r'`prediction` has shape \(2, 3, 4, 4\)'),
        ((MASK[:1], MASK), ValueError, r'`prediction` has shape \(1, 4, 4\), but'),
        ((MASK, MASK, MASK[:1]), ValueError, '`mask_cloud` has shape'),
        ((MASK, MASK, MASK + 3), ValueError, '`mask_cloud` holds values from 3 to 3'),
    ],
)
def test_bad_input(
    arguments: tuple[Tensor, ...], error: type[Exception], message: str
) -> None:
    metrics = SegmentationMetrics(CLASSES)
    with pytest.raises(error, match=message):
        metrics.update(*arguments)
    assert not metrics.confusion.any()


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match='`num_classes=1` must be at least two'):
        SegmentationMetrics(1)
    with pytest.raises(ValueError, match=r'`boundary_tolerance=.*` must be'):
        SegmentationMetrics(2, boundary_tolerance=-1)
    with pytest.raises(ValueError, match=r'`labels=.*` must be 3 names'):
        SegmentationMetrics(3, labels=('a', 'b'))
    with pytest.raises(ValueError, match=r'`labels=.*` must be 2 names that differ'):
        SegmentationMetrics(2, labels=('bare soil', 'Bare-soil'))
