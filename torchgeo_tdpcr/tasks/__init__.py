# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tasks: the training and evaluation protocols."""

from .phases import Phase as Phase
from .phases import Schedule as Schedule
from .phases import Training as Training
from .tdpcr import TDPCRTask as TDPCRTask
