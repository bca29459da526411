# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""ECRformer."""

from .model import ECRformer, ecrformer_light

__all__ = ('ECRformer', 'ecrformer_light')
