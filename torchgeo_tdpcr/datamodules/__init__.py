# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data modules."""

from .chips import ChipDataModule
from .m3mcr import M3MCRDataModule
from .osfcr import OSFCRDataModule
from .scenes import SceneDataModule
from .sen12mscr import SEN12MSCRDataModule
from .whu_opt_sar import WHUOPTSARDataModule

__all__ = (
    'ChipDataModule',
    'M3MCRDataModule',
    'OSFCRDataModule',
    'SEN12MSCRDataModule',
    'SceneDataModule',
    'WHUOPTSARDataModule',
)
