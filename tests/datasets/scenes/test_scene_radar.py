# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of reading Sentinel-1 and cloud masks onto the grid of a scene."""

import multiprocessing
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from torchgeo_tdpcr.datasets.grids import Grid, PixelBox
from torchgeo_tdpcr.datasets.scenes.clouds import CloudReader
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.polarisations import find_radar
from torchgeo_tdpcr.datasets.scenes.products import BandFile, CloudMask
from torchgeo_tdpcr.datasets.scenes.radar import RadarReader

SIZE = 60
LEFT, TOP = 6e5, 5e6
UTM32, UTM33 = CRS.from_epsg(32632), CRS.from_epsg(32633)
GRID = Grid(UTM32, from_origin(LEFT, TOP, 10, 10), SIZE, SIZE)


def write(path, array, transform=GRID.transform, crs=UTM32, labels=(), **options):
    array = array if array.ndim == 3 else array[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        count=len(array),
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype,
        crs=crs,
        transform=transform,
        **options,
    ) as file:
        file.write(array)
        if labels:
            file.descriptions = labels
    return path


def decibels(size=SIZE, seed=0):
    """VV and VH that change smoothly, so that interpolation can be compared."""
    rows, columns = np.mgrid[:size, :size] / size
    vv = -12 + 4 * np.sin(6 * rows + seed) * np.cos(5 * columns)
    return np.stack([vv, vv - 6 + rows]).astype(np.float32)


def power(array):
    return (10 ** (array / 10)).astype(np.float32)


def around(crs, resolution, margin=300):
    """Transform and size of a raster of another CRS that covers the scene."""
    left, bottom, right, top = transform_bounds(GRID.crs, crs, *GRID.bounds)
    margin *= resolution / 10
    transform = from_origin(left - margin, top + margin, resolution, resolution)
    size = max(right - left, top - bottom) + 2 * margin
    return transform, int(np.ceil(size / resolution))


def interpolated(array, transform, crs):
    """The scene's pixels, interpolated bilinearly by hand with exact coordinates."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    x, y = GRID.transform.c + 10 * columns, GRID.transform.f - 10 * rows
    x, y = Transformer.from_crs(GRID.crs, crs, always_xy=True).transform(x, y)
    column = (x - transform.c) / transform.a - 0.5
    row = (y - transform.f) / transform.e - 0.5
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    across, down = column - left, row - top
    return (
        array[:, top, left] * (1 - across) * (1 - down)
        + array[:, top, left + 1] * across * (1 - down)
        + array[:, top + 1, left] * (1 - across) * down
        + array[:, top + 1, left + 1] * across * down
    )


class TestFindRadar:
    def test_two_bands(self, tmp_path):
        path = write(tmp_path / 'a.tif', decibels())
        assert find_radar(path) == (BandFile(str(path), 1), BandFile(str(path), 2))

    def test_descriptions(self, tmp_path):
        array = np.concatenate([decibels(), decibels()[:1]])
        labels = ('Sigma0_VH_db', 'angle', 'Sigma0_VV_db')
        path = write(tmp_path / 'a.tif', array, labels=labels)
        assert [band.index for band in find_radar(path)] == [3, 1]
        path = write(tmp_path / 'b.tif', array, labels=('VH', 'VV', 'VV_smooth'))
        assert [band.index for band in find_radar(path)] == [2, 1]

    @pytest.mark.parametrize(
        'labels', [(), ('VV', 'VV', 'VH'), ('HH', 'HV', ''), ('VV', 'x', 'y')]
    )
    def test_unclear_descriptions(self, tmp_path, labels):
        path = write(
            tmp_path / 'a.tif', np.tile(decibels()[:1], (3, 1, 1)), labels=labels
        )
        with pytest.raises(SceneError, match=r'a\.tif: has 3 bands.*one must be VV'):
            find_radar(path)

    def test_other_polarisations(self, tmp_path):
        path = write(tmp_path / 'a.tif', decibels(), labels=('HH', 'HV'))
        with pytest.raises(SceneError, match=r"\['HH', 'HV'\]"):
            find_radar(path)

    def test_pairs_of_files(self, tmp_path):
        vv = write(tmp_path / 'a_VV.tif', decibels()[0])
        vh = write(tmp_path / 'a_VH.tif', decibels()[1])
        expected = BandFile(str(vv)), BandFile(str(vh))
        for path in ([vv, vh], [vh, vv], tmp_path, vv, vh):
            assert find_radar(path) == expected
        with pytest.raises(ValueError, match='has 1 files'):
            find_radar([vv])

    def test_incomplete(self, tmp_path):
        vv = write(tmp_path / 'a_vv.tif', decibels()[0])
        with pytest.raises(SceneError, match='has one band; give VV and VH'):
            find_radar(vv)
        with pytest.raises(SceneError, match='1 rasters of VV and 0 of VH'):
            find_radar(tmp_path)
        with pytest.raises(SceneError, match='has one band'):
            find_radar(write(tmp_path / 'b.tif', decibels()[0]))
        with pytest.raises(SceneError, match='does not exist'):
            find_radar(tmp_path / 'c.tif')

    def test_products_as_delivered(self, tmp_path):
        (tmp_path / 'S1A.SAFE').mkdir()
        (tmp_path / 'S1A.zip').write_bytes(b'')
        for name in ('S1A.SAFE', 'S1A.zip'):
            with pytest.raises(SceneError, match='terrain-correct'):
                find_radar(tmp_path / name)


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
        array[:, 7, 8] = 0
        path = write(tmp_path / 'a.tif', array, nodata=-9999.1)
        missing = np.isnan(RadarReader(path, GRID).read(GRID.all))
        # Where a value is declared, 0 dB is 0 dB
        assert np.argwhere(missing).tolist() == [[0, 5, 6]]

    def test_zeros_of_undeclared_borders(self, tmp_path):
        array = decibels()
        array[:, :40] = 0
        array[0, 50, 50] = 0
        reader = RadarReader(write(tmp_path / 'a.tif', array), GRID)
        assert reader.scale == 'db'
        missing = np.isnan(reader.read(GRID.all))
        assert missing[:, :40].all()
        assert not missing[:, 40:].any()

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
        image = RadarReader(path, GRID, 'db').read(GRID.all)
        np.testing.assert_array_equal(image, power(decibels()))
        with pytest.raises(ValueError, match="choose 'auto'"):
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
        array = power(np.full((2, size, size), -10, np.float32))
        middle = size // 2
        array[:, :, middle:] = 0
        array[0, :middle] = -5
        path = write(tmp_path / 'a.tif', array, transform, UTM33, nodata=0)
        image = RadarReader(path, GRID, 'linear').read(GRID.all)
        missing = np.isnan(image)
        assert 0.2 < missing[1].mean() < 0.8
        assert missing[0].mean() > missing[1].mean() + 0.1
        np.testing.assert_allclose(image[~missing], -10, atol=1e-4)

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
            path = write(tmp_path / 'a.tif', np.ones((2, 60, 60), dtype))
            with pytest.raises(SceneError, match=r'a\.tif: holds .*Calibrate'):
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
        with pytest.raises(SceneError, match=r'a_vh\.tif: does not have the pixels of'):
            RadarReader(tmp_path, GRID)

    def test_damaged(self, tmp_path):
        path = write(tmp_path / 'a.tif', decibels(), compress='deflate')
        reader = RadarReader(path, GRID)
        path.write_bytes(path.read_bytes()[:4000])
        with pytest.raises(SceneError, match=r'a\.tif: cannot be read'):
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


GML = """<?xml version="1.0" encoding="UTF-8"?>
<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0"
          xmlns:gml="http://www.opengis.net/gml/3.2">
  <gml:boundedBy><gml:Envelope srsName="urn:ogc:def:crs:EPSG:8.7.1:32632"/></gml:boundedBy>
  <eop:maskMembers><eop:MaskFeature><eop:extentOf><gml:Polygon>
    <gml:exterior><gml:LinearRing>
      <gml:posList srsDimension="2">{outer}</gml:posList>
    </gml:LinearRing></gml:exterior>
    <gml:interior><gml:LinearRing>
      <gml:posList srsDimension="2">{inner}</gml:posList>
    </gml:LinearRing></gml:interior>
  </gml:Polygon></eop:extentOf></eop:MaskFeature></eop:maskMembers>
</eop:Mask>"""


def ring(left, top, right, bottom):
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return ' '.join(f'{LEFT + 10 * x} {TOP - 10 * y}' for x, y in corners)


class TestClouds:
    @pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.float32])
    def test_nonzero_is_cloud(self, tmp_path, dtype):
        array = np.random.default_rng(0).integers(0, 3, (SIZE, SIZE)).astype(dtype)
        path = write(tmp_path / 'a.tif', array)
        for source in (path, str(path), BandFile(str(path)), CloudMask(str(path))):
            mask = CloudReader(source, GRID).read(PixelBox(3, 4, 20, 31))
            assert mask.dtype == np.bool_
            np.testing.assert_array_equal(mask, array[4:31, 3:20] != 0)

    def test_missing_is_cloud(self, tmp_path):
        array = np.zeros((SIZE, SIZE), np.float32)
        array[0, 0], array[1, 1] = -1, np.nan
        path = write(tmp_path / 'a.tif', array, nodata=-1)
        mask = CloudReader(path, GRID).read(GRID.all)
        assert np.argwhere(mask).tolist() == [[0, 0], [1, 1]]

    def test_nodata_of_zero_is_clear(self, tmp_path):
        array = np.zeros((SIZE, SIZE), np.uint8)
        array[2, 3] = 1
        path = write(tmp_path / 'a.tif', array, nodata=0)
        assert CloudReader(path, GRID).read(GRID.all).sum() == 1

    def test_another_band(self, tmp_path):
        array = np.zeros((2, SIZE, SIZE), np.uint8)
        array[1] = 1
        path = str(write(tmp_path / 'a.tif', array))
        assert CloudReader(BandFile(path, 2), GRID).read(GRID.all).all()
        with pytest.raises(SceneError, match='has 2 bands; band 3'):
            CloudReader(BandFile(path, 3), GRID)

    def test_coarse_and_beyond(self, tmp_path):
        array = np.random.default_rng(0).integers(0, 2, (10, 10), np.uint8)
        transform = from_origin(LEFT - 60, TOP + 60, 60, 60)
        path = write(tmp_path / 'a.tif', array[:6, :6], transform)
        whole = np.ones((SIZE, SIZE), bool)
        whole[:30, :30] = np.kron(array[1:6, 1:6], np.ones((6, 6)))
        reader = CloudReader(path, GRID)
        for window in (GRID.all, PixelBox(5, 7, 29, 45), PixelBox(40, 40, 50, 50)):
            left, top, right, bottom = window
            np.testing.assert_array_equal(
                reader.read(window), whole[top:bottom, left:right]
            )

    def test_another_zone(self, tmp_path):
        transform, size = around(UTM33, 20)
        array = np.zeros((size, size), np.uint8)
        array[: size // 2] = 1
        path = write(tmp_path / 'a.tif', array, transform, UTM33)
        mask = CloudReader(path, GRID).read(GRID.all)
        # The zones are turned by a few degrees against each other
        assert mask[:20].all()
        assert not mask[40:].any()

    def test_elsewhere_is_cloud(self, tmp_path):
        transform = from_origin(LEFT + 1e5, TOP, 10, 10)
        path = write(tmp_path / 'a.tif', np.zeros((9, 9), np.uint8), transform)
        assert CloudReader(path, GRID).read(GRID.all).all()

    def test_scene_classification(self, tmp_path):
        array = np.arange(12, dtype=np.uint8).repeat(900 // 12).reshape(30, 30)
        transform = from_origin(LEFT, TOP, 20, 20)
        path = write(tmp_path / 'T32_SCL_20m.tif', array, transform)
        expected = np.kron(np.isin(array, [0, 3, 8, 9, 10]), np.ones((2, 2), bool))
        for source in (path, CloudMask(str(path), 'scl')):
            np.testing.assert_array_equal(
                CloudReader(source, GRID).read(GRID.all), expected
            )

    def test_opaque_and_cirrus_but_not_snow(self, tmp_path):
        array = np.zeros((3, 10, 10), np.uint8)
        array[0, 1], array[1, 3], array[2, 5] = 1, 1, 1
        transform = from_origin(LEFT, TOP, 60, 60)
        path = write(tmp_path / 'MSK_CLASSI_B00.tif', array, transform)
        mask = CloudReader(path, GRID).read(GRID.all)
        assert mask[6:12].all()
        assert mask[18:24].all()
        assert mask.sum() == 12 * SIZE

    @pytest.mark.parametrize('packed', [False, True])
    def test_polygons(self, tmp_path, packed):
        text = GML.format(outer=ring(10, 5, 40, 25), inner=ring(20, 10, 30, 20))
        path = tmp_path / 'MSK_CLOUDS_B00.gml'
        path.write_text(text)
        source = CloudMask(str(path), 'gml')
        if packed:
            with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as file:
                file.write(path, 'QI_DATA/clouds.gml')
            source = CloudMask(
                f'/vsizip/{{{tmp_path}/a.zip}}/QI_DATA/clouds.gml', 'gml'
            )
        expected = np.zeros((SIZE, SIZE), bool)
        expected[5:25, 10:40] = True
        expected[10:20, 20:30] = False
        reader = pickle.loads(pickle.dumps(CloudReader(source, GRID)))
        np.testing.assert_array_equal(reader.read(GRID.all), expected)
        np.testing.assert_array_equal(
            reader.read(PixelBox(15, 12, 60, 18)), expected[12:18, 15:60]
        )
        transform, size = around(UTM33, 10)
        turned = CloudReader(source, Grid(UTM33, transform, size, size))
        cells = turned.read(turned.grid.all).sum()
        assert cells == pytest.approx(expected.sum(), rel=0.02)

    def test_no_polygons(self, tmp_path):
        path = tmp_path / 'MSK_CLOUDS_B00.gml'
        path.write_text('<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0"/>')
        assert not CloudReader(path, GRID).read(GRID.all).any()

    def test_errors(self, tmp_path):
        path = write(tmp_path / 'a.tif', np.zeros((9, 9), np.uint8), crs=None)
        with pytest.raises(SceneError, match='no coordinate reference system'):
            CloudReader(path, GRID)
        with pytest.raises(SceneError, match=r'b\.tif: cannot be read'):
            CloudReader(tmp_path / 'b.tif', GRID)
        with pytest.raises(SceneError, match=r'b\.gml: cannot be read'):
            CloudReader(tmp_path / 'b.gml', GRID)
        path = tmp_path / 'c.gml'
        path.write_text(GML.format(outer='1 x', inner=''))
        with pytest.raises(SceneError, match=r'c\.gml: has a corner that is none'):
            CloudReader(path, GRID)
        source = CloudMask(f'/vsizip/{{{tmp_path}/a.tif}}/x.gml', 'gml')
        with pytest.raises(SceneError, match='cannot be read'):
            CloudReader(source, GRID)
