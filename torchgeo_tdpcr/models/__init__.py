# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Models: TDP-CR and its building blocks, the baselines, the registry by name."""

from .cloudseg import CloudSeg
from .costs import Costs, count_costs
from .dsen2cr import DSen2CR
from .ecrformer import ECRformer, ecrformer_light
from .emrdm import EMRDM
from .fusion import ConcatFusion, PromptGuidedFusion
from .glfcr import GLFCR
from .hdrsanet import HDRSANet
from .heads import LiteralSegmentationDecoder, SegmentationDecoder
from .hpncr import HPNCR
from .nafblock import NAFBlock
from .prompt import BlindPrompt, PromptGenerator
from .recipes import Recipe
from .registry import get_model, get_recipe, list_models, register_model
from .segcr import SegCR
from .segformer import SegFormer
from .tdpcr import TDPCR, tdpcr_small
from .uncrtaints import UnCRtainTS

__all__ = (
    'EMRDM',
    'GLFCR',
    'HPNCR',
    'TDPCR',
    'BlindPrompt',
    'CloudSeg',
    'ConcatFusion',
    'Costs',
    'DSen2CR',
    'ECRformer',
    'HDRSANet',
    'LiteralSegmentationDecoder',
    'NAFBlock',
    'PromptGenerator',
    'PromptGuidedFusion',
    'Recipe',
    'SegCR',
    'SegFormer',
    'SegmentationDecoder',
    'UnCRtainTS',
    'count_costs',
    'ecrformer_light',
    'get_model',
    'get_recipe',
    'list_models',
    'register_model',
    'tdpcr_small',
)
