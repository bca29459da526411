# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Metrics of cloud removal and land-cover mapping, as torchmetrics classes."""

from .restoration import RestorationMetrics as RestorationMetrics
from .segmentation import SegmentationMetrics as SegmentationMetrics
