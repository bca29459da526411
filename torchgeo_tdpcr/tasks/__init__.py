# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tasks: the training and evaluation protocols."""

from .phases import Phase, Schedule, Training
from .tdpcr import TDPCRTask

__all__ = ('Phase', 'Schedule', 'TDPCRTask', 'Training')
