# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Training, measuring and packing the weights that come with the package."""
