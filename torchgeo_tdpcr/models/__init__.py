# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Models: TDP-CR and its building blocks, the baselines, the registry by name."""

from .baselines.cloudseg.model import CloudSeg as CloudSeg
from .baselines.cloudseg.model import cloudseg_teacher as cloudseg_teacher
from .baselines.diffcr.model import DiffCR as DiffCR
from .baselines.dsen2cr import DSen2CR as DSen2CR
from .baselines.ecrformer.model import ECRformer as ECRformer
from .baselines.ecrformer.model import ecrformer_light as ecrformer_light
from .baselines.emrdm.model import EMRDM as EMRDM
from .baselines.glfcr.model import GLFCR as GLFCR
from .baselines.hdrsanet import HDRSANet as HDRSANet
from .baselines.hpncr.model import HPNCR as HPNCR
from .baselines.segcr import SegCR as SegCR
from .baselines.segformer import SegFormer as SegFormer
from .baselines.uncrtaints import UnCRtainTS as UnCRtainTS
from .clear_matching import match_clear as match_clear
from .costs import Costs as Costs
from .costs import count_costs as count_costs
from .inputs import OpticalSARModel as OpticalSARModel
from .nafblock import NAFBlock as NAFBlock
from .recipes import Recipe as Recipe
from .registry import get_model as get_model
from .registry import get_recipe as get_recipe
from .registry import list_models as list_models
from .registry import register_model as register_model
from .tdpcr.blend import PromptBlend as PromptBlend
from .tdpcr.clear_gate import ClearGate as ClearGate
from .tdpcr.fusion import ConcatFusion as ConcatFusion
from .tdpcr.fusion import PromptGuidedFusion as PromptGuidedFusion
from .tdpcr.heads import ContextSegmentationDecoder as ContextSegmentationDecoder
from .tdpcr.heads import LiteralSegmentationDecoder as LiteralSegmentationDecoder
from .tdpcr.heads import SegmentationDecoder as SegmentationDecoder
from .tdpcr.model import TDPCR as TDPCR
from .tdpcr.prompt import BlindPrompt as BlindPrompt
from .tdpcr.prompt import PromptGenerator as PromptGenerator
from .tdpcr.uncertainty import UncertaintyHead as UncertaintyHead
from .weights import TDPCR_Weights as TDPCR_Weights
from .weights import tdpcr as tdpcr
from .weights import tdpcr_small as tdpcr_small
