# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-2 as rasters: names of bands, files of bands, SAFE."""
