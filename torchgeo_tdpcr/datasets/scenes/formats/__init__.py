# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The forms in which people have scenes: which file holds what."""
