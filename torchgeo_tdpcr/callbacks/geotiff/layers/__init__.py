# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What can be written of a prediction."""
