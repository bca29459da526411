# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Joint cloud removal and land-cover mapping from Sentinel-1 and Sentinel-2 (TDP-CR).

A TorchGeo plugin. The public names below are resolved when first used, so importing the
package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .callbacks import GeoTIFFWriter as GeoTIFFWriter
    from .callbacks import PredictionFigures, SceneWriter
    from .datamodules import (
        M3MCRDataModule,
        OSFCRDataModule,
        SceneDataModule,
        SEN12MSCRDataModule,
        WHUOPTSARDataModule,
    )
    from .datasets import (
        M3MCR,
        OSFCR,
        SEN12MSCR,
        WHUOPTSAR,
        SceneDataset,
        SyntheticOSFCR,
    )
    from .losses import JointLoss, ReconstructionLoss
    from .metrics import RestorationMetrics, SegmentationMetrics
    from .models import TDPCR, NAFBlock, PromptGenerator, PromptGuidedFusion
    from .samplers import ChipSampler, WindowSampler
    from .tasks import TDPCRTask
    from .transforms import (
        Sentinel1Denormalize,
        Sentinel1Normalize,
        Sentinel2Denormalize,
        Sentinel2Normalize,
    )

__version__ = '0.1.0.dev0'

_HOMES = {
    'callbacks': ('PredictionFigures', 'SceneWriter'),
    'datamodules': (
        'M3MCRDataModule',
        'OSFCRDataModule',
        'SEN12MSCRDataModule',
        'SceneDataModule',
        'WHUOPTSARDataModule',
    ),
    'datasets': (
        'M3MCR',
        'OSFCR',
        'SEN12MSCR',
        'WHUOPTSAR',
        'SceneDataset',
        'SyntheticOSFCR',
    ),
    'losses': ('JointLoss', 'ReconstructionLoss'),
    'metrics': ('RestorationMetrics', 'SegmentationMetrics'),
    'models': ('TDPCR', 'NAFBlock', 'PromptGenerator', 'PromptGuidedFusion'),
    'samplers': ('ChipSampler', 'WindowSampler'),
    'tasks': ('TDPCRTask',),
    'transforms': (
        'Sentinel1Denormalize',
        'Sentinel1Normalize',
        'Sentinel2Denormalize',
        'Sentinel2Normalize',
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
# Deprecated, so in no list
_HOME['GeoTIFFWriter'] = 'callbacks'

__all__ = (
    'M3MCR',
    'OSFCR',
    'SEN12MSCR',
    'TDPCR',
    'WHUOPTSAR',
    'ChipSampler',
    'JointLoss',
    'M3MCRDataModule',
    'NAFBlock',
    'OSFCRDataModule',
    'PredictionFigures',
    'PromptGenerator',
    'PromptGuidedFusion',
    'ReconstructionLoss',
    'RestorationMetrics',
    'SEN12MSCRDataModule',
    'SceneDataModule',
    'SceneDataset',
    'SceneWriter',
    'SegmentationMetrics',
    'Sentinel1Denormalize',
    'Sentinel1Normalize',
    'Sentinel2Denormalize',
    'Sentinel2Normalize',
    'SyntheticOSFCR',
    'TDPCRTask',
    'WHUOPTSARDataModule',
    'WindowSampler',
)


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(import_module(f'.{_HOME[name]}', __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *__all__})
