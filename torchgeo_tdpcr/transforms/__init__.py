# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Transforms: the Sentinel bands, their normalisation, augmentation, simulated clouds."""

from .augment import Augment as Augment
from .augment import random_crop_flip_rotate as random_crop_flip_rotate
from .bands import SENTINEL1_BANDS as SENTINEL1_BANDS
from .bands import SENTINEL2_BANDS as SENTINEL2_BANDS
from .bands import check_bands as check_bands
from .clouds import SimulateClouds as SimulateClouds
from .clouds import simulate_clouds as simulate_clouds
from .normalize import Sentinel1Denormalize as Sentinel1Denormalize
from .normalize import Sentinel1Normalize as Sentinel1Normalize
from .normalize import Sentinel2Denormalize as Sentinel2Denormalize
from .normalize import Sentinel2Normalize as Sentinel2Normalize
