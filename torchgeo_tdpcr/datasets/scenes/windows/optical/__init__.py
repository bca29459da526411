# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of Sentinel-2: what its numbers are, and in which order its bands."""

from .reader import OpticalReader as OpticalReader
