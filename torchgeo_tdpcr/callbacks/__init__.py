# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Callbacks: figures of what a model does, and its predictions as GeoTIFFs."""

from ..figures.contact_sheet import contact_sheet as contact_sheet
from .figures import PredictionFigures as PredictionFigures
from .geotiff import GeoTIFFWriter as GeoTIFFWriter
from .geotiff import ScenesFailed as ScenesFailed
