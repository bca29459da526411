# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which pixels of Sentinel-2 are missing, and which numbers are none of it."""

import numpy as np
import pytest
import rasterio
from optical_files import BANDS, SIZE, numbers, write, write_safe
from rasterio.enums import ColorInterp

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.formats.sampling import sample
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader

LAKE = np.s_[10:40, 20:50]


def reader_of(path, bands=None):
    return OpticalReader(find_optical(path), bands, offset=0)


def missing(reader):
    image, valid = reader.read(reader.grid.all)
    return image, ~valid


class TestZeros:
    @pytest.mark.parametrize('nodata', [None, 0, np.nan, 65535])
    @pytest.mark.parametrize('bands', [['B8'], BANDS[1:], ['B8', 'B8A', 'B11', 'B12']])
    def test_a_lake_is_there(self, tmp_path, nodata, bands):
        array = numbers().astype(np.float32 if nodata is np.nan else np.uint16)
        for band in bands:
            array[(BANDS.index(band), *LAKE)] = 0
        array[:, :5] = 0
        image, holes = missing(
            reader_of(write(tmp_path / 'a.tif', array, nodata=nodata))
        )
        np.testing.assert_array_equal(image, array)
        assert holes[:5].all()
        assert not holes[5:].any()

    def test_in_safe(self, tmp_path):
        root, stored = write_safe(tmp_path, '2A', None, name='x')
        file = next(root.rglob('*_B08_10m.jp2'))
        lake = stored['B8'].copy()
        lake[LAKE] = 0
        write(file, lake)
        image, holes = missing(reader_of(root, ['B4', 'B8', 'B11']))
        assert not holes.any()
        np.testing.assert_array_equal(image[1], lake)

    def test_a_declared_number_other_than_0_is_missing_in_any_band(self, tmp_path):
        array = numbers()
        array[3, 1, 1] = 65535
        path = write(tmp_path / 'a.tif', array, nodata=65535)
        assert np.argwhere(missing(reader_of(path))[1]).tolist() == [[1, 1]]

    def test_declared_in_one_file_alone(self, tmp_path):
        array = numbers(1)
        array[0, 1, 1] = 1234
        write(tmp_path / 'x_B02.tif', array, nodata=1234)
        other = numbers(1, seed=1)
        other[0, 2, 2] = 1234
        write(tmp_path / 'x_B03.tif', other)
        assert np.argwhere(missing(reader_of(tmp_path))[1]).tolist() == [[1, 1]]

    def test_masks(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers())
        mask = np.full((SIZE, SIZE), 255, np.uint8)
        mask[LAKE] = 0
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, 'r+') as f:
            f.write_mask(mask)
        reader = reader_of(path, ['B2', 'B3'])
        assert (missing(reader)[1] == (mask == 0)).all()
        part = reader.read(PixelBox(15, 5, 30, 20))[1]
        assert (part == (mask[5:20, 15:30] != 0)).all()

    def test_alpha(self, tmp_path):
        array = numbers(4)
        array[3] = 5000
        array[3][LAKE] = 0
        options = {'photometric': 'RGB', 'alpha': 'YES'}
        labels = ('B4', 'B3', 'B2', '')
        path = write(tmp_path / 'a.tif', array, labels=labels, **options)
        with rasterio.open(path) as file:
            assert file.colorinterp[3] == ColorInterp.alpha
        assert (missing(reader_of(path))[1] == (array[3] == 0)).all()
        # Many programs mark the fourth band so, whatever it is
        path = write(tmp_path / 'b.tif', array, labels=(*labels[:3], 'B8'), **options)
        assert not missing(reader_of(path))[1].any()


class TestImplausible:
    @pytest.mark.parametrize(
        ('dtype', 'factor'),
        [
            ('float32', 1e8),
            ('float64', 1e300),
            ('float32', 100),
            ('int32', 1000),
            ('int16', -1),
        ],
    )
    def test_scaled(self, tmp_path, dtype, factor):
        array = (numbers().astype(np.float64) * factor).astype(dtype)
        with pytest.raises(SceneError, match=r"a\.tif': has .*no digital numbers"):
            reader_of(write(tmp_path / 'a.tif', array))

    def test_in_one_band_of_many(self, tmp_path):
        array = numbers().astype(np.float32)
        array[7] *= 1e8
        with pytest.raises(SceneError, match=r'a\.tif.* in B8, which are no digital'):
            reader_of(write(tmp_path / 'a.tif', array))

    def test_partly(self, tmp_path):
        array = numbers().astype(np.float32)
        array[:, :20] *= 1e8
        with pytest.raises(SceneError, match=r'numbers such as .*e'):
            reader_of(write(tmp_path / 'a.tif', array))

    @pytest.mark.parametrize('fill', [1e30, -9999, np.inf])
    def test_single_numbers_and_fills_are_missing(self, tmp_path, fill):
        array = numbers().astype(np.float32)
        array[:, :20] = fill
        array[5, 30, 30] = fill
        _, holes = missing(reader_of(write(tmp_path / 'a.tif', array)))
        assert holes[:20].all()
        assert np.argwhere(holes[20:]).tolist() == [[10, 30]]

    @pytest.mark.parametrize(
        ('low', 'high'), [(1, 900), (9_000, 19_000), (14_000, 22_000), (1, 28_000)]
    )
    def test_dark_and_bright_scenes_are_read(self, tmp_path, low, high):
        array = numbers(low=low, high=high)
        image, holes = missing(reader_of(write(tmp_path / 'a.tif', array)))
        np.testing.assert_array_equal(image, array)
        assert not holes.any()

    def test_negative_reflectance_of_level_2a(self, tmp_path):
        array = numbers(12, low=0, high=4000).astype(np.int16) - 400
        image, holes = missing(reader_of(write(tmp_path / 'a.tif', array)))
        np.testing.assert_array_equal(image, array)
        assert not holes.any()

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            ({'resolution': 1e-30}, r'has pixels of 1e-30×1e-30 m'),
            ({'resolution': 1e9}, r'has pixels of 1e\+09×1e\+09 m'),
            ({'crs': 'EPSG:4326', 'resolution': 1e-4}, r'no longitude and latitude'),
            ({'x': 1e30}, r'nowhere on the Earth'),
        ],
    )
    def test_places(self, tmp_path, options, message):
        path = write(tmp_path / 'a.tif', numbers(), **options)
        with pytest.raises(SceneError, match=rf"a\.tif': .*{message}"):
            reader_of(path)


class TestSample:
    @pytest.mark.parametrize(
        'options',
        [
            {},
            {'interleave': 'pixel'},
            {'tiled': True, 'blockxsize': 64, 'blockysize': 64},
            {'tiled': True, 'blockxsize': 1024, 'blockysize': 1024},
        ],
    )
    def test_few_of_many_pixels_from_all_over(self, tmp_path, options):
        rows, columns = np.mgrid[:1100, :1300].astype(np.uint16)
        path = write(tmp_path / 'a.tif', np.stack([rows, columns]), **options)
        with rasterio.open(path) as file:
            down, across = sample(file, [1, 2])
        assert down.min() < 100
        assert down.max() > 950
        assert across.min() < 100
        assert across.max() > 1000
        assert down.size < 300_000

    def test_what_no_block_meets_is_found(self, tmp_path):
        options = {'tiled': True, 'blockxsize': 64, 'blockysize': 64}
        array = np.zeros((13, 1300, 1300), np.uint16)
        array[:, 640:700, 640:700] = 3000
        array[BANDS.index('B10')] //= 200
        path = write(tmp_path / 'a.tif', array, compress='deflate', **options)
        assert OpticalReader(find_optical(path)).offset == 0
