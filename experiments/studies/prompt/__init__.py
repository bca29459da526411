# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the prompt knows of the clouds."""
