# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How near the synthetic data set is to real samples."""
