# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data modules."""

from .chips import ChipDataModule, OSFCRDataModule, SEN12MSCRDataModule
from .scenes import SceneDataModule
from .siblings import M3MCRDataModule, WHUOPTSARDataModule

__all__ = (
    'ChipDataModule',
    'M3MCRDataModule',
    'OSFCRDataModule',
    'SEN12MSCRDataModule',
    'SceneDataModule',
    'WHUOPTSARDataModule',
)
