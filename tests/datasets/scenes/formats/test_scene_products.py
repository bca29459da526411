# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of finding the bands of Sentinel-2 products that are no SAFE."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from optical_files import (
    BANDS,
    numbers,
    write,
)

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.products import BandFile, find_optical
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader


class TestFind:
    def test_thirteen_bands_in_order(self, stack):
        product = find_optical(stack[0])
        assert list(product.bands) == BANDS
        assert product.bands['B8A'] == BandFile(str(stack[0]), 9)
        assert product.name == 'roi_20200604'
        assert product.date == datetime(2020, 6, 4, tzinfo=UTC)
        assert product.offset is None
        assert product.nodata == 0
        assert product.clouds is None

    def test_twelve_bands_lack_b10(self, tmp_path):
        product = find_optical(write(tmp_path / 'l2a.tif', numbers(12)))
        assert list(product.bands) == [band for band in BANDS if band != 'B10']
        assert product.bands['B11'].index == 11
        assert product.date is None

    def test_descriptions_win_over_the_order(self, tmp_path):
        labels = [
            band.replace('B', 'B0', 1) if len(band) == 2 else band for band in BANDS
        ]
        path = write(tmp_path / 'a.tif', numbers(), labels=labels[::-1])
        product = find_optical(path)
        assert list(product.bands) == BANDS
        assert product.bands['B1'].index == 13

    def test_descriptions_allow_any_number(self, tmp_path):
        labels = ('B4', 'NDVI', 'B08, central wavelength 842 nm')
        product = find_optical(write(tmp_path / 'a.tif', numbers(3), labels=labels))
        assert {band: file.index for band, file in product.bands.items()} == {
            'B4': 1,
            'B8': 3,
        }

    def test_other_numbers_need_descriptions(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers(4))
        with pytest.raises(SceneError, match=r"a\.tif': has 4 bands.*descriptions"):
            find_optical(path)

    def test_a_band_described_twice(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers(2), labels=('B02', 'B2'))
        with pytest.raises(SceneError, match='has a band twice'):
            find_optical(path)

    def test_offset_and_nodata_of_tags(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers(), nodata=65535)
        with rasterio.open(path, 'r+') as file:
            file.scales, file.offsets = [1e-4] * 13, [-0.1] * 13
        product = find_optical(path)
        assert (product.offset, product.nodata) == (1000, 65535)
        assert OpticalReader(product).offset == 1000

    def test_a_scale_without_offset_tells_that_there_is_none(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers())
        with rasterio.open(path, 'r+') as file:
            file.scales = [1e-4] * 13
        assert find_optical(path).offset == 0

    def test_other_scales(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers())
        with rasterio.open(path, 'r+') as file:
            file.scales = [2.75e-5] * 13
        with pytest.raises(SceneError, match=r'scale 2\.75e-05'):
            find_optical(path)
        with rasterio.open(path, 'r+') as file:
            file.scales, file.offsets = [2e-5] * 13, [-0.01] * 13
        reader = OpticalReader(find_optical(path))
        image = reader.read(reader.grid.all)[0]
        np.testing.assert_allclose(image, numbers() * 0.2 - 100, rtol=1e-5)
        assert reader.offset == 0
        with rasterio.open(path, 'r+') as file:
            file.scales, file.offsets = [1e-4] * 12 + [1], [0] * 13
        with pytest.raises(SceneError, match='tags of 12 of 13 bands only'):
            OpticalReader(find_optical(path))
        assert OpticalReader(find_optical(path), offset=0).offset == 0

    def test_folder_of_bands(self, tmp_path):
        folder = tmp_path / 'scene'
        for name in ('x_B01.tif', 'x_b2.TIF', 'x_B03_10m.jp2', 'x_B8a.tiff', 'B12.tif'):
            write(folder / name.replace('.TIF', '.tif'), numbers(1))
        write(folder / 'MSK_QUALIT_B04.jp2', numbers(1))
        write(folder / 'x_B05_20m_ndvi.tif', numbers(1))
        write(folder / 'x_SCL_20m.tif', numbers(1))
        product = find_optical(folder)
        assert list(product.bands) == ['B1', 'B2', 'B3', 'B8A', 'B12']
        assert product.name == 'scene'
        assert product.path == folder
        assert product.clouds is not None
        assert product.clouds.kind == 'scl'

    def test_the_finest_of_several_resolutions(self, tmp_path):
        write(tmp_path / 'x_B02_20m.tif', numbers(1, 36), 20)
        write(tmp_path / 'x_B02_10m.tif', numbers(1))
        write(tmp_path / 'x_B02_60m.tif', numbers(1, 12), 60)
        assert find_optical(tmp_path).bands['B2'].path.endswith('x_B02_10m.tif')

    def test_a_band_twice_with_one_resolution(self, tmp_path):
        write(tmp_path / 'x_B02.tif', numbers(1))
        write(tmp_path / 'y_B02.tif', numbers(1))
        with pytest.raises(SceneError, match=r'x_B02.*y_B02.*both hold B2'):
            find_optical(tmp_path)

    def test_list_of_bands(self, tmp_path):
        files = [
            write(tmp_path / f'T32_20200604T100031_{band}.tif', numbers(1), nodata=9)
            for band in ('B04', 'B03')
        ]
        product = find_optical(files)
        assert list(product.bands) == ['B3', 'B4']
        assert product.name == 'T32_20200604T100031'
        assert product.date == datetime(2020, 6, 4, 10, 0, 31, tzinfo=UTC)
        assert product.nodata == 9

    def test_files_that_contradict_each_other(self, tmp_path):
        write(tmp_path / 'x_B02.tif', numbers(1), nodata=1)
        write(tmp_path / 'x_B03.tif', numbers(1), nodata=2)
        with pytest.raises(SceneError, match='different nodata'):
            find_optical(tmp_path)

    def test_nothing_there(self, tmp_path):
        with pytest.raises(SceneError, match=r"no\.tif': does not exist"):
            find_optical(tmp_path / 'no.tif')
        with pytest.raises(SceneError, match='holds no rasters named after bands'):
            find_optical(tmp_path)
        with pytest.raises(ValueError, match='at least one'):
            find_optical([])

    def test_no_raster(self, tmp_path):
        path = tmp_path / 'a.tif'
        path.write_text('text')
        with pytest.raises(SceneError, match=r"a\.tif': cannot be read"):
            find_optical(path)

    def test_band_file_of_several_bands(self, tmp_path):
        path = write(tmp_path / 'x_B02.tif', numbers(3))
        with pytest.raises(SceneError, match=r"x_B02\.tif': has 3 bands; its name"):
            find_optical([path])


def test_level(tmp_path):
    product = find_optical(write(tmp_path / 's2.tif', numbers(13)))
    assert product.level == '1C'
    bands = {band: file for band, file in product.bands.items() if band != 'B10'}
    assert replace(product, bands=bands).level == '2A'
    assert replace(product, bands=bands, name='S2A_MSIL1C_x').level == '1C'
    assert replace(product, name='S2A_MSIL2A_x').level == '2A'
