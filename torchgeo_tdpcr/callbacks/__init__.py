# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Callbacks: figures of what a model does, and its predictions as GeoTIFFs."""

from ..figures.contact_sheet import contact_sheet
from .figures import PredictionFigures
from .geotiff import GeoTIFFWriter, ScenesFailed

__all__ = ('GeoTIFFWriter', 'PredictionFigures', 'ScenesFailed', 'contact_sheet')
