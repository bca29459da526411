# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Scenes: whole products of any size, in the forms that people have them."""

from .common import SceneError
from .dataset import SceneDataset
from .pairing import ScenePair, pair_scenes, read_pairs

__all__ = ('SceneDataset', 'SceneError', 'ScenePair', 'pair_scenes', 'read_pairs')
