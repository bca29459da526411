# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The main job on synthetic data, in minutes."""
