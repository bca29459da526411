# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Datasets: LuojiaSET-OSFCR, its synthetic twin and its siblings; splits; verification."""

from .chips import ChipDataset
from .layout import CorruptChipError
from .m3mcr import M3MCR
from .osfcr import OSFCR
from .queries import ChipQuery
from .scenes import SceneDataset, SceneError, ScenePair
from .sen12mscr import SEN12MSCR
from .splits import (
    SplitBy,
    component_split,
    overlap_area,
    published_split,
    roi_split,
)
from .synthetic import SyntheticOSFCR
from .union import ChipUnion
from .verify import Fault, verify
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
