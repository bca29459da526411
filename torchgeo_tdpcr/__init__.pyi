# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

# The public names, for type checkers and, read by __init__.py, for Python itself.

from .callbacks import PerceptualSimilarity as PerceptualSimilarity
from .callbacks import PredictionFigures as PredictionFigures
from .callbacks import SceneWriter as SceneWriter
from .callbacks import WarmedEMA as WarmedEMA

# Deprecated
from .callbacks.geotiff.deprecated import GeoTIFFWriter as GeoTIFFWriter
from .datamodules import M3MCRDataModule as M3MCRDataModule
from .datamodules import OSFCRDataModule as OSFCRDataModule
from .datamodules import SceneDataModule as SceneDataModule
from .datamodules import SEN12MSCRDataModule as SEN12MSCRDataModule
from .datamodules import WHUOPTSARDataModule as WHUOPTSARDataModule
from .datasets import M3MCR as M3MCR
from .datasets import OSFCR as OSFCR
from .datasets import SEN12MSCR as SEN12MSCR
from .datasets import WHUOPTSAR as WHUOPTSAR
from .datasets import SceneDataset as SceneDataset
from .datasets import SyntheticOSFCR as SyntheticOSFCR
from .losses import JointLoss as JointLoss
from .losses import ReconstructionLoss as ReconstructionLoss
from .metrics import RestorationMetrics as RestorationMetrics
from .metrics import SegmentationMetrics as SegmentationMetrics
from .models import TDPCR as TDPCR
from .models import NAFBlock as NAFBlock
from .models import PromptGenerator as PromptGenerator
from .models import PromptGuidedFusion as PromptGuidedFusion
from .models import TDPCR_Weights as TDPCR_Weights
from .samplers import ChipSampler as ChipSampler
from .samplers import WindowSampler as WindowSampler
from .tasks import TDPCRTask as TDPCRTask
from .transforms import Sentinel1Denormalize as Sentinel1Denormalize
from .transforms import Sentinel1Normalize as Sentinel1Normalize
from .transforms import Sentinel2Denormalize as Sentinel2Denormalize
from .transforms import Sentinel2Normalize as Sentinel2Normalize

__version__: str
