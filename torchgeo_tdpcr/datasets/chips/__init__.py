# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What all data sets of stored chips share."""
