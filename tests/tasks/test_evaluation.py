# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which metrics a test logs."""

import pytest
import torch

from torchgeo_tdpcr.metrics import SegmentationMetrics
from torchgeo_tdpcr.tasks.evaluation import _says_nothing


@pytest.mark.parametrize(('classes', 'dropped'), [(2, True), (3, False)])
def test_published_miou_only_where_a_class_is_absent(
    classes: int, dropped: bool
) -> None:
    metrics = SegmentationMetrics(classes)
    mask = torch.tensor([[[0, 0, 1, 1], [0, 1, 1, 1]]])
    metrics.update(mask, mask, torch.tensor([[[1, 1, 0, 0], [1, 0, 0, 0]]]))
    values = metrics.compute()
    found = {name for name in values if _says_nothing(name, values)}
    assert found == ({'miou_published'} if dropped else set())
