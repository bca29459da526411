# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A declared order of bands where names tell VV and VH: obeyed, or refused by name."""

import numpy as np
import pytest
from scene_files import GRID, decibels, write

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.polarisations import describe_radar
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader


@pytest.fixture
def files(tmp_path):
    return [
        write(tmp_path / f'a_{name}.tif', band)
        for name, band in zip(('VV', 'VH'), decibels(), strict=True)
    ]


@pytest.fixture
def unnamed(tmp_path):
    return [write(tmp_path / 'x' / f'{i}.tif', decibels()[i]) for i in (0, 1)]


def test_other_than_the_names(files, tmp_path):
    for source in (tmp_path, files[0], files[1], files):
        for declared in (('VH', 'VV'), ('VV', 'VH', 'other')):
            with pytest.raises(SceneError, match=r'Leave it out.*correct the names'):
                describe_radar(source, polarisations=declared)


def test_as_the_names(files, tmp_path):
    expected = [str(file) for file in files]
    for source in (tmp_path, *files, files, files[::-1]):
        radar = describe_radar(source, polarisations=('VV', 'VH'))
        assert [band.path for band in radar.bands] == expected
        assert radar.order == 'declared'
    # The order of the list says what the names say
    radar = describe_radar(files[::-1], polarisations=('VH', 'VV'))
    assert [band.path for band in radar.bands] == expected


@pytest.mark.parametrize('declared', [('VV', 'VH'), ('VH', 'VV')])
def test_order_of_a_list_without_names(unnamed, declared):
    given = unnamed if declared[0] == 'VV' else unnamed[::-1]
    radar = describe_radar(given, polarisations=declared)
    assert radar.order == 'declared'
    np.testing.assert_array_equal(RadarReader(radar, GRID).read(GRID.all), decibels())


def test_wrong_order_of_a_list_without_names(unnamed):
    with pytest.raises(SceneError, match='Only their order in the list tells'):
        RadarReader(unnamed[::-1], GRID)
