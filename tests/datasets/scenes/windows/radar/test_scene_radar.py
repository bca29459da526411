# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of reading windows of Sentinel-1 on the grid of a scene."""

import multiprocessing
import pickle
import warnings

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from scene_files import (
    GRID,
    LEFT,
    SIZE,
    TOP,
    UTM33,
    around,
    decibels,
    interpolated,
    power,
    write,
)

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader


class TestSameGrid:
    def test_decibels_bit_for_bit(self, tmp_path):
        array = decibels()
        array[:, 3, 4] = 7.5, np.nan
        reader = RadarReader(write(tmp_path / 'a.tif', array), GRID)
        assert reader.scale == 'db'
        image = reader.read(PixelBox(2, 1, 40, 31))
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, array[:, 1:31, 2:40])

    def test_linear(self, tmp_path):
        array = power(decibels())
        array[0, 0, :4] = 0, -1, np.inf, np.nan
        array[1, 1, 1] = 0
        reader = RadarReader(write(tmp_path / 'a.tif', array), GRID)
        assert reader.scale == 'linear'
        image = reader.read(GRID.all)
        assert np.argwhere(np.isnan(image)).tolist() == [
            [0, 0, 0],
            [0, 0, 1],
            [0, 0, 2],
            [0, 0, 3],
            [1, 1, 1],
        ]
        there = ~np.isnan(image)
        np.testing.assert_allclose(image[there], decibels()[there], atol=1e-4)

    def test_nodata(self, tmp_path):
        array = decibels().astype(np.float64)
        array[0, 5, 6] = -9999.1
        path = write(tmp_path / 'a.tif', array, nodata=-9999.1)
        missing = np.isnan(RadarReader(path, GRID).read(GRID.all))
        assert np.argwhere(missing).tolist() == [[0, 5, 6]]

    @pytest.mark.parametrize('nodata', [None, np.nan, -9999, 0])
    @pytest.mark.parametrize('linear', [False, True])
    def test_zeros_of_borders_whatever_is_declared(self, tmp_path, nodata, linear):
        array = decibels()
        array[:, :40] = 0
        array[1, :, :3] = -0.0
        if linear:
            array[:, 40:] = power(array[:, 40:])
        elif nodata != 0:
            # 0 in one polarisation is 0 dB
            array[0, 50, 50] = 0
        reader = RadarReader(write(tmp_path / 'a.tif', array, nodata=nodata), GRID)
        assert reader.scale == ('linear' if linear else 'db')
        image = reader.read(GRID.all)
        assert np.isnan(image[:, :40]).all()
        assert not np.isnan(image[:, 40:, 3:]).any()
        assert reader.coverage() == pytest.approx(
            np.isfinite(image).all(axis=0).mean(), abs=0.01
        )

    def test_values_that_stand_for_missing_ones(self, tmp_path):
        array = decibels()
        array[:, :45] = -9999
        reader = RadarReader(write(tmp_path / 'a.tif', array), GRID)
        assert reader.scale == 'db'
        assert np.isnan(reader.read(GRID.all)).mean() == 0.75
        array[:, 45:] = power(array[:, 45:])
        reader = RadarReader(write(tmp_path / 'b.tif', array), GRID)
        assert reader.scale == 'linear'
        assert np.isnan(reader.read(GRID.all)).mean() == 0.75

    def test_the_scale_may_be_given(self, tmp_path):
        path = write(tmp_path / 'a.tif', power(decibels()))
        image = RadarReader(path, GRID, 'linear').read(GRID.all)
        np.testing.assert_allclose(image, decibels(), atol=1e-4)
        with pytest.raises(SceneError, match=r"a\.tif': is in power.*`sar_scale='db'`"):
            RadarReader(path, GRID, 'db')
        other = write(tmp_path / 'b.tif', decibels())
        np.testing.assert_array_equal(
            RadarReader(other, GRID, 'db').read(GRID.all), decibels()
        )
        with pytest.raises(
            SceneError, match=r"b\.tif': is in dB.*`sar_scale='linear'`"
        ):
            RadarReader(other, GRID, 'linear')
        with pytest.raises(ValueError, match="choose one of \\('auto', 'db'"):
            RadarReader(path, GRID, 'power')

    def test_bands_of_two_files(self, tmp_path):
        array = decibels()
        write(tmp_path / 's1_vv.tif', array[0])
        write(tmp_path / 's1_vh.tif', array[1])
        image = RadarReader(tmp_path, GRID).read(GRID.all)
        np.testing.assert_array_equal(image, array)


class TestOtherGrid:
    @pytest.mark.parametrize('linear', [False, True])
    @pytest.mark.parametrize(('crs', 'resolution'), [(UTM33, 10), ('EPSG:4326', 1e-4)])
    def test_bilinear(self, tmp_path, crs, resolution, linear):
        crs = CRS.from_user_input(crs)
        transform, size = around(crs, resolution)
        array = power(decibels(size)) if linear else decibels(size)
        reader = RadarReader(write(tmp_path / 'a.tif', array, transform, crs), GRID)
        assert reader.scale == ('linear' if linear else 'db')
        expected = interpolated(array.astype(np.float64), transform, crs)
        if linear:
            expected = 10 * np.log10(expected)
        image = reader.read(GRID.all)
        # A hundredth of a pixel at the slope of these values
        np.testing.assert_allclose(image, expected, atol=0.01)
        assert np.abs(image - expected).mean() < 0.001

    def test_windows_are_parts_of_the_whole(self, tmp_path):
        transform, size = around(UTM33, 10)
        array = decibels(size)
        # Speckle: a shift of a pixel would show
        array += np.random.default_rng(0).normal(0, 1, array.shape).astype(np.float32)
        reader = RadarReader(write(tmp_path / 'a.tif', array, transform, UTM33), GRID)
        whole = reader.read(GRID.all)
        for window in ((0, 0, 7, 60), (13, 9, 60, 17), (31, 31, 32, 32)):
            left, top, right, bottom = window
            part = reader.read(PixelBox(*window))
            np.testing.assert_allclose(
                part, whole[:, top:bottom, left:right], atol=0.05
            )

    @pytest.mark.parametrize('linear', [False, True])
    @pytest.mark.parametrize(('across', 'down'), [(0, 0), (7, -5), (-9, 12), (500, 0)])
    def test_whole_pixels_beside_as_if_warped(
        self, tmp_path, monkeypatch, linear, across, down
    ):
        """Read as they are, which is exact, and missing beyond the edges."""
        array = decibels(SIZE + 20)
        place = from_origin(LEFT - 100 + 10 * across, TOP + 100 - 10 * down, 10, 10)
        path = write(tmp_path / 'a.tif', power(array) if linear else array, place)
        reader = RadarReader(path, GRID)
        windows = GRID.all, PixelBox(3, 5, 40, 21), PixelBox(50, 44, 60, 60)
        found = [reader.read(window) for window in windows]
        monkeypatch.setattr(reader, '_shift', None)
        for image, window in zip(found, windows, strict=True):
            warped = reader.read(window)
            np.testing.assert_array_equal(np.isnan(image), np.isnan(warped))
            np.testing.assert_allclose(image, warped, atol=1e-4)
        if across == 500:
            assert np.isnan(found[0]).all()

    def test_shifted_by_whole_pixels(self, tmp_path):
        transform = from_origin(LEFT + 100, TOP - 200, 10, 10)
        array = decibels(30)
        image = RadarReader(write(tmp_path / 'a.tif', array, transform), GRID).read(
            GRID.all
        )
        np.testing.assert_allclose(image[:, 20:50, 10:40], array, atol=1e-5)
        image[:, 20:50, 10:40] = np.nan
        assert np.isnan(image).all()

    @pytest.mark.parametrize('linear', [False, True])
    def test_finer_pixels_are_averaged(self, tmp_path, linear):
        transform = from_origin(LEFT, TOP, 5, 5)
        array = np.random.default_rng(0).uniform(-20, -8, (2, 2 * SIZE, 2 * SIZE))
        array = array.astype(np.float32)
        stored = power(array) if linear else array
        reader = RadarReader(write(tmp_path / 'a.tif', stored, transform), GRID)
        expected = stored.reshape(2, SIZE, 2, SIZE, 2).mean((2, 4))
        if linear:
            expected = 10 * np.log10(expected)
        window = PixelBox(3, 4, 50, 60)
        image = reader.read(window)
        np.testing.assert_allclose(image, expected[:, 4:60, 3:50], atol=1e-3)

    def test_missing_pixels_do_not_spread_values(self, tmp_path):
        transform, size = around(UTM33, 10)
        array = power(np.full((2, size, size), [[[-10]], [[-16]]], np.float32))
        middle = size // 2
        array[:, :, middle:] = 0
        array[0, :middle] = np.nan
        path = write(tmp_path / 'a.tif', array, transform, UTM33, nodata=0)
        image = RadarReader(path, GRID, 'linear').read(GRID.all)
        missing = np.isnan(image)
        assert 0.2 < missing[1].mean() < 0.8
        assert missing[0].mean() > missing[1].mean() + 0.1
        for band, level in zip(image, (-10, -16), strict=True):
            np.testing.assert_allclose(band[np.isfinite(band)], level, atol=1e-4)

    def test_what_one_band_misses_leaves_the_other_as_it_is(self, tmp_path):
        transform, size = around(UTM33, 10)
        array = decibels(size)
        array[:, 40:50, 50:70] = np.nan
        path = write(tmp_path / 'a.tif', array, transform, UTM33)
        both = RadarReader(path, GRID).read(GRID.all)
        array[1] = decibels(size)[1]
        path = write(tmp_path / 'b.tif', array, transform, UTM33)
        one = RadarReader(path, GRID).read(GRID.all)
        np.testing.assert_array_equal(one[0], both[0])
        assert np.isnan(one[0]).any()
        assert not np.isnan(one[1]).any()

    def test_elsewhere(self, tmp_path):
        transform = from_origin(LEFT + 1e5, TOP, 10, 10)
        reader = RadarReader(write(tmp_path / 'a.tif', decibels(), transform), GRID)
        assert np.isnan(reader.read(PixelBox(0, 0, 5, 6))).all()
        assert reader.coverage() == 0

    def test_the_other_side_of_the_world(self, tmp_path):
        transform = from_origin(5e5, 8e6, 10, 10)
        path = write(tmp_path / 'a.tif', decibels(), transform, 'EPSG:32760')
        reader = RadarReader(path, GRID)
        assert reader.coverage() == 0
        assert np.isnan(reader.read(GRID.all)).all()


class TestCoverage:
    def test_all_half_and_by_values(self, tmp_path):
        array = decibels()
        assert RadarReader(write(tmp_path / 'a.tif', array), GRID).coverage() == 1
        array[1, :, :15] = np.nan
        path = write(tmp_path / 'b.tif', array)
        assert RadarReader(path, GRID).coverage() == pytest.approx(0.75)
        half = from_origin(LEFT + SIZE * 5, TOP, 10, 10)
        path = write(tmp_path / 'c.tif', decibels(), half)
        for size in (256, 10):
            assert RadarReader(path, GRID).coverage(size) == pytest.approx(0.5)

    def test_another_zone(self, tmp_path):
        transform, size = around(UTM33, 10)
        path = write(tmp_path / 'a.tif', decibels(size), transform, UTM33)
        reader = RadarReader(path, GRID)
        assert reader.coverage() == 1
        cut = write(tmp_path / 'b.tif', decibels(size // 2), transform, UTM33)
        reader = RadarReader(cut, GRID)
        there = ~np.isnan(reader.read(GRID.all)).any(axis=0)
        assert reader.coverage() == pytest.approx(there.mean(), abs=0.02)


class TestRadarErrors:
    def test_digital_numbers(self, tmp_path):
        for dtype in (np.uint16, np.complex64):
            path = write(tmp_path / 'a.tif', np.full((2, 60, 60), 180, dtype))
            with pytest.raises(SceneError, match=r"a\.tif': holds .*Calibrate"):
                RadarReader(path, GRID)
        path = write(tmp_path / 'b.tif', np.full((2, 60, 60), 180, np.float32))
        with pytest.raises(SceneError, match=r'median of 180.*Calibrate'):
            RadarReader(path, GRID)

    def test_ground_control_points(self, tmp_path):
        path = tmp_path / 'a.tif'
        points = [GroundControlPoint(r, c, c, -r) for r in (0, 9) for c in (0, 9)]
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            with rasterio.open(
                path, 'w', driver='GTiff', width=9, height=9, count=2, dtype='float32'
            ) as file:
                file.write(decibels(9))
                file.gcps = points, CRS.from_epsg(4326)
        with pytest.raises(SceneError, match=r'ground control points only\. Terrain'):
            RadarReader(path, GRID)

    def test_no_place(self, tmp_path):
        path = write(tmp_path / 'a.tif', decibels(), crs=None)
        with pytest.raises(SceneError, match='no coordinate reference system'):
            RadarReader(path, GRID)

    def test_empty(self, tmp_path):
        path = write(tmp_path / 'a.tif', decibels() * np.float32(np.nan))
        with pytest.raises(SceneError, match='holds no values'):
            RadarReader(path, GRID)

    def test_files_apart(self, tmp_path):
        write(tmp_path / 'a_vv.tif', decibels()[0])
        write(tmp_path / 'a_vh.tif', decibels()[1], from_origin(LEFT, TOP, 9, 9))
        with pytest.raises(
            SceneError, match=r"a_vh\.tif': does not have the pixels of"
        ):
            RadarReader(tmp_path, GRID)

    def test_damaged(self, tmp_path):
        path = write(tmp_path / 'a.tif', decibels(), compress='deflate')
        reader = RadarReader(path, GRID)
        path.write_bytes(path.read_bytes()[:4000])
        with pytest.raises(SceneError, match=r"a\.tif': cannot be read"):
            reader.read(GRID.all)

    def test_windows_beyond_the_scene(self, tmp_path):
        reader = RadarReader(write(tmp_path / 'a.tif', decibels()), GRID)
        with pytest.raises(ValueError, match='reaches beyond'):
            reader.read(PixelBox(0, 0, SIZE, SIZE + 1))


def _read_in_child(reader, queue):
    queue.put(reader.read(GRID.all))


class TestProcesses:
    @pytest.mark.parametrize('method', ['pickle', 'fork'])
    def test_other_processes(self, tmp_path, method):
        transform, size = around(UTM33, 10)
        options = {'tiled': True, 'blockxsize': 16, 'blockysize': 16}
        path = write(tmp_path / 'a.tif', decibels(size), transform, UTM33, **options)
        reader = RadarReader(path, GRID)
        image = reader.read(GRID.all)
        if method == 'pickle':
            copy = pickle.loads(pickle.dumps(reader))
            np.testing.assert_array_equal(copy.read(GRID.all), image)
            return
        context = multiprocessing.get_context('fork')
        queue = context.Queue()
        child = context.Process(target=_read_in_child, args=(reader, queue))
        child.start()
        try:
            np.testing.assert_array_equal(queue.get(timeout=20), image)
        finally:
            child.kill()
            child.join()
