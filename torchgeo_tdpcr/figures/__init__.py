# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Figures: the comparisons of the paper on any data, and reports of mapped scenes."""

from .contact_sheet import contact_sheet as contact_sheet
from .land_cover import plot_land_cover as plot_land_cover
from .prompts import plot_prompts as plot_prompts
from .restoration import plot_restoration as plot_restoration
from .scenes import plot_scene as plot_scene
from .scenes import write_report as write_report
