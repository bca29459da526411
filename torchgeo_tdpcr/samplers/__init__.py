# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Samplers: one query a chip."""

from .chips import ChipSampler
from .windows import WindowSampler

__all__ = ('ChipSampler', 'WindowSampler')
