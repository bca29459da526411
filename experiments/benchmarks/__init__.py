# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Speed and memory of the package."""
