# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""EMRDM."""

from .model import EMRDM

__all__ = ('EMRDM',)
