# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Names of pairs of rasters in which VV and VH stand close to other words."""

import numpy as np
import pytest
from scene_files import GRID, decibels, power, write

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.naming import polarisation_of
from torchgeo_tdpcr.datasets.scenes.formats.polarisations import describe_radar
from torchgeo_tdpcr.datasets.scenes.formats.radar.names import scale_of_label
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader


@pytest.mark.parametrize(
    'name',
    [
        'S1_{}20200604.tif',
        's1{}.tif',
        'S1A{}.tif',
        's1b{}_20200604.tif',
        '{}power.tif',
        '{}Linear.tif',
        '{}20200604.tif',
        '{}pow.tif',
    ],
)
@pytest.mark.parametrize('case', [str.upper, str.lower])
def test_pairs(tmp_path, name, case):
    files = [
        write(tmp_path / name.format(case(polarisation)), band)
        for polarisation, band in zip(('VV', 'VH'), power(decibels()), strict=True)
    ]
    for source in (tmp_path, *files, files[::-1]):
        image = RadarReader(source, GRID).read(GRID.all)
        np.testing.assert_allclose(image, decibels(), atol=1e-4)


@pytest.mark.parametrize(
    'name', ['xs1VV', 'S1EVV', 'VV1', 'VV2020', 'VVpowerful', 'SVV']
)
def test_no_words(name):
    assert polarisation_of(name) is None


@pytest.mark.parametrize(
    ('label', 'scale'),
    [('VVpower', 'linear'), ('VH_pow', 'linear'), ('VVdecibel', 'db')],
)
def test_scale_behind_the_polarisation(label, scale):
    assert polarisation_of(label)
    assert scale_of_label(label).scale == scale


def test_pictures_beside_raw_numbers(tmp_path):
    start = '2020-06-04-00_00_2020-06-04-23_59_Sentinel-1_IW_VV+VH_'
    for polarisation, band in zip(('VV', 'VH'), power(decibels()), strict=True):
        write(tmp_path / f'{start}{polarisation}_(Raw).tiff', band)
    picture = np.full((3, 60, 60), 120, np.uint8)
    write(tmp_path / f'{start}VV_-_decibel_gamma0.tiff', picture)
    image = RadarReader(tmp_path, GRID).read(GRID.all)
    np.testing.assert_allclose(image, decibels(), atol=1e-4)
    write(tmp_path / f'{start}VH_-_decibel_gamma0.tiff', picture)
    image = RadarReader(tmp_path, GRID).read(GRID.all)
    np.testing.assert_allclose(image, decibels(), atol=1e-4)
    # Of two dates none is chosen
    write(tmp_path / f'2021{start[4:]}VV_(Raw).tiff', power(decibels())[0])
    with pytest.raises(SceneError, match='3 rasters of VV and 2 of VH'):
        describe_radar(tmp_path)
