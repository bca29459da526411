# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Synthetic data in the layout of LuojiaSET-OSFCR."""

from .dataset import SyntheticOSFCR as SyntheticOSFCR
