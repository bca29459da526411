# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The metrics as pure functions of tensors."""

from .boundary import boundary_f1_scores, boundary_iou_scores
from .restoration import restoration_scores, spectral_angle
from .segmentation import (
    class_iou,
    confusion_matrices,
    majority_scores,
    segmentation_scores,
)
from .ssim import ssim_map

__all__ = (
    'boundary_f1_scores',
    'boundary_iou_scores',
    'class_iou',
    'confusion_matrices',
    'majority_scores',
    'restoration_scores',
    'segmentation_scores',
    'spectral_angle',
    'ssim_map',
)
