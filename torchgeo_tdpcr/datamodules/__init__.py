# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data modules."""

from .chips import ChipDataModule, OSFCRDataModule, SEN12MSCRDataModule
from .scenes import SceneDataModule

__all__ = (
    'ChipDataModule',
    'OSFCRDataModule',
    'SEN12MSCRDataModule',
    'SceneDataModule',
)
