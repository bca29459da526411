# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Predictions as Cloud-Optimised GeoTIFFs."""

from .summary import ScenesFailed as ScenesFailed
from .writer import GeoTIFFWriter as GeoTIFFWriter
