# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""WHU-OPT-SAR: the dataset, and the scenes that its chips are windows of."""

from .dataset import WHUOPTSAR

__all__ = ('WHUOPTSAR',)
