# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Numbers for missing pixels that only their likeness in both bands tells."""

import numpy as np
import pytest
from scene_files import GRID, UTM33, around, decibels, power, write

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader


class TestConstants:
    @pytest.mark.parametrize('part', [3, 20, 57])
    @pytest.mark.parametrize(
        ('scale', 'fill'),
        [
            *(('db', fill) for fill in (-40, -50, -60, -80, -30, -1, 1e-10, 5, 9999)),
            *(('linear', fill) for fill in (9999, 1e-6, 1e-10, 0.5, 1, 255, -1)),
        ],
    )
    def test_are_missing(self, tmp_path, scale, fill, part):
        array = decibels() if scale == 'db' else power(decibels())
        array[:, :part] = fill
        reader = RadarReader(write(tmp_path / 'a.tif', array), GRID)
        assert reader.scale == scale
        expected = decibels()
        expected[:, :part] = np.nan
        np.testing.assert_allclose(reader.read(GRID.all), expected, atol=1e-4)
        assert reader.coverage() == pytest.approx(1 - part / 60, abs=0.01)

    def test_two(self, tmp_path):
        array = decibels()
        array[:, :25], array[:, 25:40] = -40, -1
        image = RadarReader(write(tmp_path / 'a.tif', array), GRID).read(GRID.all)
        assert np.isnan(image[:, :40]).all()
        np.testing.assert_array_equal(image[:, 40:], decibels()[:, 40:])

    def test_warped_without_a_halo(self, tmp_path):
        transform, size = around(UTM33, 10)
        array = decibels(size)
        array[:, 50:60, 50:90] = -40
        plain = array.copy()
        plain[array == -40] = np.nan
        images = [
            RadarReader(write(tmp_path / name, values, transform, UTM33), GRID).read(
                GRID.all
            )
            for name, values in (('a.tif', array), ('b.tif', plain))
        ]
        np.testing.assert_array_equal(*images)

    @pytest.mark.parametrize('scale', ['db', 'linear'])
    def test_in_one_band_too(self, tmp_path, scale):
        array = decibels() if scale == 'db' else power(decibels())
        array[1, :20] = 9999
        image = RadarReader(write(tmp_path / 'a.tif', array), GRID).read(GRID.all)
        assert np.isnan(image[1, :20]).all()
        np.testing.assert_allclose(image[:, 20:], decibels()[:, 20:], atol=1e-4)


class TestLikeData:
    def test_whole_dB_over_water(self, tmp_path):
        array = np.random.default_rng(0).normal(-24, 1.5, (2, 60, 60)).round()
        assert (array[0] == array[1]).mean() > 0.1
        path = write(tmp_path / 'a.tif', array.astype(np.float32))
        np.testing.assert_array_equal(RadarReader(path, GRID).read(GRID.all), array)

    @pytest.mark.parametrize('scale', ['db', 'linear'])
    def test_water_cut_off_at_a_level(self, tmp_path, scale):
        array = decibels()
        array[:, :30] -= np.linspace(16, 0, 30, dtype=np.float32)[:, None]
        array = np.maximum(array, -25)
        assert (array == -25).all(0).mean() > 0.05
        stored = array if scale == 'db' else power(array)
        image = RadarReader(write(tmp_path / 'a.tif', stored), GRID).read(GRID.all)
        np.testing.assert_allclose(image, array, atol=1e-4)


class TestOneBandOnly:
    @pytest.mark.parametrize('fill', [0, -9999, np.nan])
    @pytest.mark.parametrize('scale', ['db', 'linear'])
    def test_vh_without_values(self, tmp_path, scale, fill):
        array = decibels() if scale == 'db' else power(decibels())
        array[1] = fill
        path = write(tmp_path / 'a.tif', array)
        with pytest.raises(SceneError, match='no values in what is taken for VH'):
            RadarReader(path, GRID)

    @pytest.mark.parametrize('scale', ['db', 'whole', 'linear', 'dark'])
    @pytest.mark.parametrize('fill', [None, -9999, -40])
    def test_written_twice(self, tmp_path, scale, fill):
        array = {
            'db': decibels(),
            'whole': decibels().round(),
            'linear': power(decibels()),
            'dark': power(decibels() - 8),
        }[scale]
        array[1] = array[0]
        if fill:
            array[:, :40] = fill
        with pytest.raises(SceneError, match='one band was written twice'):
            RadarReader(write(tmp_path / 'a.tif', array), GRID)
