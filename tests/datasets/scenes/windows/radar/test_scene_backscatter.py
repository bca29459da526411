# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which unit radar is in: one message for each cause, and the dB that come out."""

import numpy as np
import pytest
import rasterio
from optical_files import numbers
from scene_files import GRID, UTM33, around, decibels, power, write

from torchgeo_tdpcr.datasets.scenes import ScenePair, pair_scenes
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.dataset import SceneDataset
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader


def tagged(path, scale, offset=0.0):
    with rasterio.open(path, 'r+') as file:
        file.scales = [scale] * file.count
        file.offsets = [offset] * file.count
    return path


class TestTags:
    def test_integers_with_a_scale(self, tmp_path):
        array = np.round(decibels() * 100).astype(np.int16)
        array[:, 3, 4] = -32768
        array[:, 5] = 0
        path = write(tmp_path / 'a.tif', array, nodata=-32768)
        reader = RadarReader(tagged(path, 0.01), GRID)
        image = reader.read(GRID.all)
        assert reader.scale == 'db'
        assert np.isnan(image[:, 3, 4]).all()
        assert np.isnan(image[:, 5]).all()
        there = np.isfinite(image)
        assert there.mean() > 0.98
        np.testing.assert_allclose(image[there], decibels()[there], atol=0.006)

    def test_scale_and_offset(self, tmp_path):
        array = np.round((decibels() + 50) / 0.2).astype(np.uint8)
        path = tagged(write(tmp_path / 'a.tif', array), 0.2, -50)
        np.testing.assert_allclose(
            RadarReader(path, GRID).read(GRID.all), decibels(), atol=0.11
        )

    @pytest.mark.parametrize('nodata', [None, 0])
    @pytest.mark.parametrize(
        ('dtype', 'factor', 'lowest'),
        [('uint16', 1000, -60), ('uint8', 5, -50), ('float32', 2, -40)],
    )
    def test_0_as_stored_is_missing(self, tmp_path, dtype, factor, lowest, nodata):
        array = np.round((decibels() - lowest) * factor).astype(dtype)
        array[:, :20] = 0
        path = write(tmp_path / 'a.tif', array, nodata=nodata)
        reader = RadarReader(tagged(path, 1 / factor, lowest), GRID)
        expected = decibels()
        expected[:, :20] = np.nan
        np.testing.assert_allclose(
            reader.read(GRID.all), expected, atol=0.51 / factor + 1e-4
        )
        assert reader.coverage() == pytest.approx(2 / 3, abs=0.01)
        # Of two files as well
        pair = [
            tagged(write(tmp_path / f'b_{name}.tif', band), 1 / factor, lowest)
            for name, band in zip(('vv', 'vh'), array, strict=True)
        ]
        np.testing.assert_array_equal(
            RadarReader(pair, GRID).read(GRID.all), reader.read(GRID.all)
        )

    @pytest.mark.parametrize('crs', [None, UTM33])
    def test_power_with_a_scale(self, tmp_path, crs):
        transform, size = around(crs, 10) if crs else (GRID.transform, GRID.width)
        array = power(decibels(size))
        stored = np.round(array * 1e5).astype(np.uint16)
        plain = write(tmp_path / 'a.tif', array, transform, crs or GRID.crs)
        path = write(tmp_path / 'b.tif', stored, transform, crs or GRID.crs)
        reader = RadarReader(tagged(path, 1e-5), GRID)
        assert reader.scale == 'linear'
        np.testing.assert_allclose(
            reader.read(GRID.all), RadarReader(plain, GRID).read(GRID.all), atol=0.02
        )

    def test_tags_that_the_numbers_contradict(self, tmp_path):
        path = tagged(write(tmp_path / 'a.tif', decibels()), 0.01)
        with pytest.raises(
            SceneError, match=r"a\.tif': has medians of .*scaled otherwise"
        ):
            RadarReader(path, GRID)


class TestCauses:
    @pytest.mark.parametrize('sar_scale', ['auto', 'db', 'linear'])
    @pytest.mark.parametrize('dtype', ['int16', 'int32', 'float32'])
    def test_hundredths_of_dB(self, tmp_path, dtype, sar_scale):
        array = (decibels() * 100).astype(dtype)
        path = write(tmp_path / 'a.tif', array, nodata=-9999)
        with pytest.raises(SceneError, match=r'dB (×|times) 100.*scales = \(0\.01'):
            RadarReader(path, GRID, sar_scale)

    @pytest.mark.parametrize('factor', [1e-9, 200, 1e4])
    def test_power_that_is_none(self, tmp_path, factor):
        array = power(decibels()) * np.float32(factor)
        path = write(tmp_path / 'a.tif', array)
        for scale in ('auto', 'linear'):
            with pytest.raises(SceneError, match=r'no backscatter.*Calibrate'):
                RadarReader(path, GRID, scale)

    @pytest.mark.parametrize('fill', [-9999, 1e9, 3.4e38])
    def test_nothing_but_fills(self, tmp_path, fill):
        array = np.full_like(decibels(), fill)
        with pytest.raises(SceneError, match=r"a\.tif': holds no values"):
            RadarReader(write(tmp_path / 'a.tif', array), GRID)

    def test_fills_and_logarithms_of_0_are_missing(self, tmp_path):
        array = decibels()
        array[:, :20] = 3.4e38
        array[:, 20:30] = -np.inf
        array[1, 30:32] = -np.inf
        array[0, 40, 40] = 1e9
        image = RadarReader(write(tmp_path / 'a.tif', array), GRID).read(GRID.all)
        expected = decibels()
        expected[:, :30] = expected[1, 30:32] = expected[0, 40, 40] = np.nan
        np.testing.assert_array_equal(image, expected)

    @pytest.mark.parametrize('crs', [None, UTM33])
    def test_masks(self, tmp_path, crs):
        transform, size = around(crs, 10) if crs else (GRID.transform, GRID.width)
        array = decibels(size)
        there = np.ones((size, size), bool)
        there[:, : size // 2] = False
        path = write(tmp_path / 'a.tif', array, transform, crs or GRID.crs)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, 'r+') as f:
            f.write_mask(there)
        array[:, ~there] = np.nan
        plain = write(tmp_path / 'b.tif', array, transform, crs or GRID.crs)
        image, expected = (RadarReader(p, GRID).read(GRID.all) for p in (path, plain))
        np.testing.assert_array_equal(image, expected)
        assert 0.2 < np.isnan(image).mean() < 0.8

    @pytest.mark.parametrize('level', [-25, -10, 0])
    def test_calm_water_and_cities_are_read(self, tmp_path, level):
        array = decibels() + np.float32(12 + level)
        path = write(tmp_path / 'a.tif', array)
        np.testing.assert_array_equal(
            RadarReader(path, GRID, 'db').read(GRID.all), array
        )
        path = write(tmp_path / 'b.tif', power(array))
        np.testing.assert_allclose(
            RadarReader(path, GRID, 'linear').read(GRID.all), array, atol=1e-3
        )


class TestScene:
    @pytest.fixture
    def s2(self, tmp_path):
        return write(tmp_path / 's2.tif', numbers(size=GRID.width))

    def test_missing_in_the_scene_is_not_another_place(self, tmp_path, s2):
        transform, size = around(GRID.crs, 10, margin=400)
        array = decibels(size)
        array[:, 30:-30, 30:-30] = np.nan
        s1 = write(tmp_path / 's1.tif', array, transform)
        pair = ScenePair('a', s2, s1)
        with pytest.raises(
            SceneError, match=r"s1\.tif': holds no values in .*s2\.tif'"
        ):
            SceneDataset([pair])
        with pytest.raises(SceneError, match=r'all pixels of .*there are missing'):
            pair_scenes(s2, s1)

    def test_the_unit_is_named_not_the_place(self, tmp_path, s2):
        s1 = write(tmp_path / 's1.tif', decibels())
        with pytest.raises(SceneError, match=r'is in dB'):
            SceneDataset([ScenePair('a', s2, s1)], sar_scale='linear')

    def test_a_border_of_0_dB_covers_nothing(self, tmp_path, s2):
        array = decibels()
        array[:, :30] = 0
        s1 = write(tmp_path / 's1.tif', array, nodata=np.nan)
        with pytest.raises(SceneError, match=r'covers 50%'):
            SceneDataset([ScenePair('a', s2, s1)])
