# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Predictions as Cloud-Optimised GeoTIFFs."""

from .source import SceneSource
from .summary import ScenesFailed
from .writer import SceneWriter

__all__ = ('SceneSource', 'SceneWriter', 'ScenesFailed')
