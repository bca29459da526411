# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of reading windows of cloud masks on the grid of a scene."""

import pickle
import zipfile

import numpy as np
import pytest
from rasterio.transform import from_origin
from scene_files import (
    GRID,
    LEFT,
    SIZE,
    TOP,
    UTM33,
    around,
    write,
)

from torchgeo_tdpcr.datasets.grids import Grid, PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.products import BandFile, CloudMask
from torchgeo_tdpcr.datasets.scenes.windows.clouds import CloudReader

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
        array = np.random.default_rng(0).integers(0, 2, (SIZE, SIZE)).astype(dtype)
        path = write(tmp_path / 'a.tif', array)
        for source in (path, str(path), BandFile(str(path)), CloudMask(str(path))):
            reader = CloudReader(source, GRID)
            assert reader.source == CloudMask(str(path), 'binary')
            mask = reader.read(PixelBox(3, 4, 20, 31))
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
        with pytest.raises(SceneError, match=r"b\.tif': does not exist"):
            CloudReader(tmp_path / 'b.tif', GRID)
        with pytest.raises(SceneError, match=r"b\.gml': does not exist"):
            CloudReader(tmp_path / 'b.gml', GRID)
        path = tmp_path / 'c.gml'
        path.write_text(GML.format(outer='1 x', inner=''))
        with pytest.raises(SceneError, match=r"c\.gml': has a corner that is none"):
            CloudReader(path, GRID)
        source = CloudMask(f'/vsizip/{{{tmp_path}/a.tif}}/x.gml', 'gml')
        with pytest.raises(SceneError, match='cannot be read'):
            CloudReader(source, GRID)
