# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Boundary IoU against cases worked out by hand and erosion in numpy."""

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from torchgeo_tdpcr.metrics import SegmentationMetrics
from torchgeo_tdpcr.metrics.functional import boundary_iou_scores


def halves(first: int, size: int = 12) -> Tensor:
    """A 1×H×W map with class 0 in the first columns and class 1 in the others."""
    mask = torch.ones(1, size, size, dtype=torch.long)
    mask[..., :first] = 0
    return mask


def reference(
    prediction: np.ndarray, mask: np.ndarray, width: int, ignore_index: int
) -> float:
    """The published definition: a mask less its erosion, class by class."""
    valid = mask != ignore_index

    def band(labels: np.ndarray, k: int) -> np.ndarray:
        inside = (labels == k) & valid
        # what is not known, and what lies beyond the edge, erodes nothing
        kept = inside | ~valid
        for _ in range(width):
            padded = np.pad(kept, 1, constant_values=True)
            kept = sliding_window_view(padded, (3, 3)).all((-2, -1))
        return inside & ~kept

    scores = []
    for k in set(np.unique(prediction)) | set(np.unique(mask)) - {ignore_index}:
        found, true = band(prediction, k), band(mask, k)
        if k != ignore_index and (found | true).any():
            scores.append((found & true).sum() / (found | true).sum())
    return float(np.mean(scores)) if scores else float('nan')


@pytest.mark.parametrize('ignore_index', [255, 2])
@pytest.mark.parametrize('width', [1, 2, 5])
def test_against_erosion(width: int, ignore_index: int) -> None:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randint(0, 4, (4, 3, 4), generator=generator)
    mask = coarse.repeat_interleave(6, 1).repeat_interleave(5, 2)
    prediction = mask.roll((1, 2), (1, 2))
    prediction[:, 3:5, 3:9] = 4
    mask[:, 8:11, 2:7] = ignore_index
    mask[3] = 1
    prediction[3] = 1
    scores = boundary_iou_scores(prediction, mask, 5, ignore_index, width)
    for i, score in enumerate(scores):
        arrays = prediction[i].numpy(), mask[i].numpy()
        expected = reference(*arrays, width, ignore_index)
        assert score.item() == pytest.approx(expected, nan_ok=True)
    assert scores[3].isnan()
    assert ((scores[:3] > 0) & (scores[:3] < 1)).all()


@pytest.mark.parametrize(
    ('shift', 'width', 'score'),
    [(0, 1, 1), (1, 1, 0), (1, 2, 1 / 3), (1, 3, 2 / 4), (2, 3, 1 / 5), (3, 3, 0)],
)
def test_shifted_contour(shift: int, width: int, score: float) -> None:
    result = boundary_iou_scores(halves(5 + shift), halves(5), 2, width=width)
    assert result.tolist() == pytest.approx([score])


def test_edge_of_the_image_is_no_contour() -> None:
    flat = torch.zeros(1, 6, 6, dtype=torch.long)
    assert boundary_iou_scores(flat, flat, 2, width=3).isnan().all()


def test_missing_contour_scores_zero() -> None:
    flat = torch.zeros(1, 12, 12, dtype=torch.long)
    assert boundary_iou_scores(flat, halves(5), 2).tolist() == [0]
    assert boundary_iou_scores(halves(5), flat, 2).tolist() == [0]


def test_ignored_pixels_are_in_no_band_and_make_none() -> None:
    mask = halves(3)
    mask[..., 7:] = 255
    # over the ignored pixels anything may be predicted, up to their very edge
    prediction = halves(3)
    prediction[..., 7:] = 0
    assert boundary_iou_scores(prediction, mask, 2, width=5).tolist() == [1]


def test_logits_equal_their_labels() -> None:
    prediction = halves(6)
    logits = torch.nn.functional.one_hot(prediction, 2).permute(0, 3, 1, 2).float()
    expected = boundary_iou_scores(prediction, halves(5), 2)
    torch.testing.assert_close(boundary_iou_scores(logits, halves(5), 2), expected)


def test_metric_averages_images_with_a_contour() -> None:
    flat = torch.zeros(1, 12, 12, dtype=torch.long)
    metrics, wide = SegmentationMetrics(2), SegmentationMetrics(2, boundary_width=3)
    for metric in (metrics, wide):
        metric.update(
            torch.cat((halves(5), halves(6), flat)), torch.cat((halves(5),) * 3)
        )
        metric.update(flat, flat)
    assert metrics.compute()['boundary_iou'].item() == pytest.approx((1 + 1 / 3) / 3)
    assert wide.compute()['boundary_iou'].item() == pytest.approx((1 + 1 / 2) / 3)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r'`width=.*` must be a number of pixels, 1'):
        boundary_iou_scores(halves(5), halves(5), 2, width=0)
    with pytest.raises(ValueError, match=r'`boundary_width=.*` must be a number'):
        SegmentationMetrics(2, boundary_width=0)
    with pytest.raises(ValueError, match='`prediction` has shape'):
        boundary_iou_scores(halves(5, 10), halves(5), 2)
    with pytest.raises(TypeError, match=r'`mask` is .*, not integer'):
        boundary_iou_scores(halves(5), halves(5).float(), 2)
