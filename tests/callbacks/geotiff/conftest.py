# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A scene pair for tests of the writer; makes the helpers of this folder importable."""

import pytest

from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair

SIZE = (150, 204)


@pytest.fixture(scope='session')
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """A scene with a missing corner, larger than a window and no multiple of one."""
    root = tmp_path_factory.mktemp('scene')
    return write_scene_pair(root, size=SIZE, seed=3, nodata_corner=True, sar_margin=24)


@pytest.fixture(scope='session')
def other(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """Another scene at the same place, as one file a band, radar in another zone."""
    root = tmp_path_factory.mktemp('other')
    return write_scene_pair(
        root, 'other', size=96, seed=4, kind='bands', sar_epsg=32633, sar_scale='linear'
    )
