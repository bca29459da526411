# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-1 as rasters: names, files, and what is wrong with them."""
