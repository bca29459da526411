# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Datasets of chips and of scenes, synthetic data, splits, verification."""

from .chips.dataset import ChipDataset
from .chips.layout import CorruptChipError
from .chips.locating import ChipQuery
from .chips.splits import component_split, overlap_area, roi_split
from .chips.union import ChipUnion
from .chips.verify import Fault, verify
from .m3mcr import M3MCR
from .osfcr import OSFCR, SplitBy, published_split
from .scenes import SceneDataset, SceneError, ScenePair
from .sen12mscr import SEN12MSCR
from .synthetic import SyntheticOSFCR
from .whu_opt_sar import WHUOPTSAR

__all__ = (
    'M3MCR',
    'OSFCR',
    'SEN12MSCR',
    'WHUOPTSAR',
    'ChipDataset',
    'ChipQuery',
    'ChipUnion',
    'CorruptChipError',
    'Fault',
    'SceneDataset',
    'SceneError',
    'ScenePair',
    'SplitBy',
    'SyntheticOSFCR',
    'component_split',
    'overlap_area',
    'published_split',
    'roi_split',
    'verify',
)
