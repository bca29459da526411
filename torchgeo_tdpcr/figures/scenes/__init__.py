# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A mapped scene at a glance: what is in its files, in numbers and in pictures."""

from .report import plot_scene, write_report

__all__ = ('plot_scene', 'write_report')
