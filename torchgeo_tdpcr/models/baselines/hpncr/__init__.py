# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""HPN-CR."""

from .model import HPNCR

__all__ = ('HPNCR',)
