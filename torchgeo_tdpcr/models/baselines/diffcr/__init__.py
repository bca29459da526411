# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""DiffCR: its diffusion and sampler, its network, the model."""
