# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The metrics as pure functions of tensors."""

from .boundary import boundary_f1_scores as boundary_f1_scores
from .boundary import boundary_iou_scores as boundary_iou_scores
from .restoration import restoration_scores as restoration_scores
from .restoration import spectral_angle as spectral_angle
from .segmentation import class_iou as class_iou
from .segmentation import confusion_matrices as confusion_matrices
from .segmentation import majority_scores as majority_scores
from .segmentation import segmentation_scores as segmentation_scores
from .ssim import Border as Border
from .ssim import ssim_map as ssim_map
