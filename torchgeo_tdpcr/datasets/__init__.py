# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Datasets of chips and of scenes, synthetic data, splits, verification."""

from .chips.dataset import ChipDataset as ChipDataset
from .chips.layout import CorruptChipError as CorruptChipError
from .chips.locating import ChipQuery as ChipQuery
from .chips.splits import component_split as component_split
from .chips.splits import overlap_area as overlap_area
from .chips.splits import roi_split as roi_split
from .chips.union import ChipUnion as ChipUnion
from .chips.verify import Fault as Fault
from .chips.verify import verify as verify
from .m3mcr import M3MCR as M3MCR
from .osfcr import OSFCR as OSFCR
from .osfcr import SplitBy as SplitBy
from .osfcr import published_split as published_split
from .scenes import SceneDataset as SceneDataset
from .scenes import SceneError as SceneError
from .scenes import ScenePair as ScenePair
from .sen12mscr import SEN12MSCR as SEN12MSCR
from .synthetic import SyntheticOSFCR as SyntheticOSFCR
from .whu_opt_sar import WHUOPTSAR as WHUOPTSAR
