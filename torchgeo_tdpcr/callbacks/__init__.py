# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Callbacks: figures, predictions as GeoTIFFs, and an average of the weights."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..figures.contact_sheet import contact_sheet as contact_sheet
from .averaging import WarmedEMA as WarmedEMA
from .figures import PredictionFigures as PredictionFigures
from .geotiff import ScenesFailed as ScenesFailed
from .geotiff import SceneSource as SceneSource
from .geotiff import SceneWriter as SceneWriter
from .perceptual import PerceptualSimilarity as PerceptualSimilarity
from .stopping import StopOnSigterm as StopOnSigterm

if TYPE_CHECKING:
    from .geotiff.deprecated import GeoTIFFWriter as GeoTIFFWriter


def __getattr__(name: str) -> Any:
    """Import the deprecated name when it is asked for."""
    if name != 'GeoTIFFWriter':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return import_module('.geotiff.deprecated', __name__).GeoTIFFWriter


def _torchgeo_has(name: str) -> bool:
    """Tell whether TorchGeo has a callback of a name."""
    home = 'torchgeo.callbacks'
    return find_spec(home) is not None and hasattr(import_module(home), name)


# Only an imported class has a short name on the command line
if not _torchgeo_has('GeoTIFFWriter'):
    import_module('.geotiff.deprecated', __name__)
