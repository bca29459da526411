# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of Sentinel-1: what its numbers are in, and which band is which."""

from .reader import RadarReader as RadarReader
