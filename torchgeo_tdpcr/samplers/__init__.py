# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Samplers: one query a chip."""

from .chips import ChipSampler as ChipSampler
from .windows import WindowSampler as WindowSampler
