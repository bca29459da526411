# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Boundary F1 against cases worked out by hand and a pixel-by-pixel reference."""

import numpy as np
import pytest
import torch
from torch import Tensor

from torchgeo_tdpcr.metrics import SegmentationMetrics
from torchgeo_tdpcr.metrics.functional import boundary_f1_scores


def halves(first: int, size: int = 12) -> Tensor:
    """A 1×H×W map with class 0 in the first columns and class 1 in the others."""
    mask = torch.ones(1, size, size, dtype=torch.long)
    mask[..., :first] = 0
    return mask


def reference(prediction: np.ndarray, mask: np.ndarray, tolerance: int) -> float:
    """The definition, one pixel after the other."""

    def boundary(labels: np.ndarray) -> dict[int, list[tuple[int, int]]]:
        found: dict[int, list[tuple[int, int]]] = {}
        for i, j in np.argwhere(mask != 255):
            around = (slice(max(i - 1, 0), i + 2), slice(max(j - 1, 0), j + 2))
            near = labels[around][mask[around] != 255]
            if (near != labels[i, j]).any():
                found.setdefault(int(labels[i, j]), []).append((i, j))
        return found

    def share(of: list[tuple[int, int]], near: list[tuple[int, int]]) -> float:
        hits = [
            any(max(abs(i - k), abs(j - m)) <= tolerance for k, m in near)
            for i, j in of
        ]
        return sum(hits) / len(hits) if hits else 0.0

    found, true = boundary(prediction), boundary(mask)
    scores = []
    for k in set(found) | set(true):
        precision = share(found.get(k, []), true.get(k, []))
        recall = share(true.get(k, []), found.get(k, []))
        both = precision + recall
        scores.append(2 * precision * recall / both if both else 0.0)
    return float(np.mean(scores))


@pytest.mark.parametrize('tolerance', [0, 1, 3])
def test_against_the_definition(tolerance: int) -> None:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randint(0, 4, (3, 3, 4), generator=generator)
    mask = coarse.repeat_interleave(6, 1).repeat_interleave(5, 2)
    prediction = mask.roll((1, 2), (1, 2))
    prediction[:, 3:5, 3:9] = 4
    mask[:, 8:11, 2:7] = 255
    scores = boundary_f1_scores(prediction, mask, 5, tolerance=tolerance)
    for i, score in enumerate(scores):
        expected = reference(prediction[i].numpy(), mask[i].numpy(), tolerance)
        assert score.item() == pytest.approx(expected)


@pytest.mark.parametrize(('shift', 'score'), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_tolerance(shift: int, score: float) -> None:
    result = boundary_f1_scores(halves(5 + shift), halves(5), 2, tolerance=2)
    assert result.tolist() == [score]


def test_edge_of_the_image_is_no_boundary() -> None:
    flat = torch.zeros(1, 6, 6, dtype=torch.long)
    assert boundary_f1_scores(flat, flat, 2).isnan().all()


def test_missing_boundary_scores_zero() -> None:
    flat = torch.zeros(1, 12, 12, dtype=torch.long)
    assert boundary_f1_scores(flat, halves(5), 2).tolist() == [0]
    assert boundary_f1_scores(halves(5), flat, 2).tolist() == [0]


def test_ignored_pixels_make_no_boundary() -> None:
    mask = torch.zeros(1, 12, 12, dtype=torch.long)
    mask[..., 5:] = 255
    assert boundary_f1_scores(torch.zeros_like(mask), mask, 2).isnan().all()


def test_predicted_boundary_over_ignored_pixels_is_no_error() -> None:
    mask = halves(3)
    mask[..., 7:] = 255
    prediction = halves(3)
    prediction[..., 8:] = 0
    assert boundary_f1_scores(prediction, mask, 2, tolerance=0).tolist() == [1]


def test_ignored_class_is_left_out() -> None:
    mask = halves(6) + 1
    mask[:, :3] = 0
    # a wrong patch far from any boundary: the ignored class itself gets no score
    prediction = mask.clone()
    prediction[:, 8:10, 9:11] = 0
    score = boundary_f1_scores(prediction, mask, 3, ignore_index=0, tolerance=0)
    assert 0 < score.item() < 1
    perfect = boundary_f1_scores(mask, mask, 3, ignore_index=0, tolerance=0)
    assert perfect.tolist() == [1]


def test_metric_averages_images_with_a_boundary() -> None:
    flat = torch.zeros(1, 12, 12, dtype=torch.long)
    metrics = SegmentationMetrics(2)
    metrics.update(torch.cat((halves(5), halves(9), flat)), torch.cat((halves(5),) * 3))
    metrics.update(flat, flat)
    assert metrics.compute()['boundary_f1'].item() == pytest.approx(1 / 3)


@pytest.mark.filterwarnings('ignore:The ``compute`` method')
def test_metric_without_any_boundary() -> None:
    flat = torch.zeros(1, 12, 12, dtype=torch.long)
    metrics = SegmentationMetrics(2)
    metrics.update(flat, flat)
    assert not {'boundary_f1', 'boundary_iou'} & set(metrics.compute())


def test_bad_input() -> None:
    with pytest.raises(ValueError, match='`prediction` has shape'):
        boundary_f1_scores(halves(5, 10), halves(5), 2)
    with pytest.raises(ValueError, match='`mask` holds the label 1'):
        boundary_f1_scores(halves(5), halves(5), 1)
