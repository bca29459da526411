# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Callbacks: figures."""

from .figures import PredictionFigures

__all__ = ('PredictionFigures',)
