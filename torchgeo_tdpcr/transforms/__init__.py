# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Transforms: the Sentinel bands, their normalisation, augmentation, simulated clouds."""

from .augment import random_crop_flip_rotate
from .bands import SENTINEL1_BANDS, SENTINEL2_BANDS, check_bands
from .clouds import SimulateClouds, simulate_clouds
from .normalize import (
    Sentinel1Denormalize,
    Sentinel1Normalize,
    Sentinel2Denormalize,
    Sentinel2Normalize,
)

__all__ = (
    'SENTINEL1_BANDS',
    'SENTINEL2_BANDS',
    'Sentinel1Denormalize',
    'Sentinel1Normalize',
    'Sentinel2Denormalize',
    'Sentinel2Normalize',
    'SimulateClouds',
    'check_bands',
    'random_crop_flip_rotate',
    'simulate_clouds',
)
