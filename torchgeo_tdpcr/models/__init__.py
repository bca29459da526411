# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Models: the building blocks, TDP-CR, and the registry of models by name."""

from .fusion import ConcatFusion, PromptGuidedFusion
from .heads import LiteralSegmentationDecoder, SegmentationDecoder
from .nafblock import NAFBlock
from .prompt import PromptGenerator
from .registry import get_model, list_models, register_model
from .tdpcr import TDPCR, tdpcr_small

__all__ = (
    'TDPCR',
    'ConcatFusion',
    'LiteralSegmentationDecoder',
    'NAFBlock',
    'PromptGenerator',
    'PromptGuidedFusion',
    'SegmentationDecoder',
    'get_model',
    'list_models',
    'register_model',
    'tdpcr_small',
)
