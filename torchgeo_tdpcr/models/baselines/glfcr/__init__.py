# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""GLF-CR."""
