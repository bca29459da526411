# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Scenes: whole products of any size, in the forms that people have them."""

from .common import SceneError as SceneError
from .common import SceneWarning as SceneWarning
from .dataset import SceneDataset as SceneDataset
from .pairing.pairs import ScenePair as ScenePair
from .pairing.search import pair_scenes as pair_scenes
from .pairing.table import read_pairs as read_pairs
