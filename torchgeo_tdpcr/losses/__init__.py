# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What training minimises: the reconstruction loss and the joint loss."""

from .joint import JointLoss as JointLoss
from .reconstruction import ReconstructionLoss as ReconstructionLoss
from .uncertainty import laplace_likelihood as laplace_likelihood
