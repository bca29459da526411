# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""CloudSeg: its fusion, losses, teacher and network."""
