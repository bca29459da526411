# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Figures: the comparisons of the paper on any data, and reports of mapped scenes."""

from .contact_sheet import contact_sheet
from .land_cover import plot_land_cover
from .prompts import plot_prompts
from .restoration import plot_restoration
from .scenes import plot_scene, write_report

__all__ = (
    'contact_sheet',
    'plot_land_cover',
    'plot_prompts',
    'plot_restoration',
    'plot_scene',
    'write_report',
)
