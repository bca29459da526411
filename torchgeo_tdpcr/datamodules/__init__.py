# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data modules."""

from .chips import ChipDataModule as ChipDataModule
from .chips import OSFCRDataModule as OSFCRDataModule
from .chips import SEN12MSCRDataModule as SEN12MSCRDataModule
from .scenes import SceneDataModule as SceneDataModule
from .siblings import M3MCRDataModule as M3MCRDataModule
from .siblings import WHUOPTSARDataModule as WHUOPTSARDataModule
