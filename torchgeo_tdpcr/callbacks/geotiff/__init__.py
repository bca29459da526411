# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Predictions as Cloud-Optimised GeoTIFFs."""

from .source import SceneSource as SceneSource
from .summary import ScenesFailed as ScenesFailed
from .writer import SceneWriter as SceneWriter
