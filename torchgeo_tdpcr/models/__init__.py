# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Models: TDP-CR and its building blocks, the baselines, the registry by name."""

from .baselines.cloudseg import CloudSeg
from .baselines.dsen2cr import DSen2CR
from .baselines.ecrformer.model import ECRformer, ecrformer_light
from .baselines.emrdm.model import EMRDM
from .baselines.glfcr import GLFCR
from .baselines.hdrsanet import HDRSANet
from .baselines.hpncr.model import HPNCR
from .baselines.segcr import SegCR
from .baselines.segformer import SegFormer
from .baselines.uncrtaints import UnCRtainTS
from .costs import Costs, count_costs
from .fusion import ConcatFusion, PromptGuidedFusion
from .heads import LiteralSegmentationDecoder, SegmentationDecoder
from .nafblock import NAFBlock
from .prompt import BlindPrompt, PromptGenerator
from .recipes import Recipe
from .registry import get_model, get_recipe, list_models, register_model
from .tdpcr import TDPCR, tdpcr_small

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
