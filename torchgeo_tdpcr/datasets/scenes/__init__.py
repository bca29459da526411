# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Scenes: whole products of any size, in the forms that people have them."""

from .common import SceneError
from .dataset import SceneDataset
from .pair_table import read_pairs
from .pairing import pair_scenes
from .pairs import ScenePair

__all__ = ('SceneDataset', 'SceneError', 'ScenePair', 'pair_scenes', 'read_pairs')
