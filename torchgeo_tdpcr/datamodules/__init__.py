# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data modules."""

from .chips import ChipDataModule as ChipDataModule
from .m3mcr import M3MCRDataModule as M3MCRDataModule
from .osfcr import OSFCRDataModule as OSFCRDataModule
from .scenes import SceneDataModule as SceneDataModule
from .sen12mscr import SEN12MSCRDataModule as SEN12MSCRDataModule
from .whu_opt_sar import WHUOPTSARDataModule as WHUOPTSARDataModule
