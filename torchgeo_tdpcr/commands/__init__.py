# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The commands of ``torchgeo-tdpcr``, one a module."""
