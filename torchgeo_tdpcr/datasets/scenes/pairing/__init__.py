# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which Sentinel-1 goes with which Sentinel-2."""
