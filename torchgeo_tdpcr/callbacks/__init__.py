# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Callbacks: figures of what a model does."""

from .contact_sheet import contact_sheet
from .figures import PredictionFigures

__all__ = ('PredictionFigures', 'contact_sheet')
