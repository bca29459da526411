# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""TDP-CR, and what may be added to it."""
