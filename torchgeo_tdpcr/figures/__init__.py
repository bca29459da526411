# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Figures: the comparisons of the paper on any data, and reports of mapped scenes."""

from .land_cover import plot_land_cover
from .prompts import plot_prompts
from .restoration import plot_restoration
from .scene_report import plot_scene, write_report

__all__ = (
    'plot_land_cover',
    'plot_prompts',
    'plot_restoration',
    'plot_scene',
    'write_report',
)
