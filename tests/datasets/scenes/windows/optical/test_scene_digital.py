# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of what numbers of Sentinel-2 are in: read right, or refused by name."""

import numpy as np
import pytest
import rasterio
from optical_files import BANDS, write
from spectra import ground

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader

LEVEL_2A = [band for band in BANDS if band != 'B10']


def read(path, **options):
    reader = OpticalReader(find_optical(path), **options)
    image, valid = reader.read(reader.grid.all)
    return reader, image.astype(np.float64) - reader.offset, valid


class TestScales:
    @pytest.mark.parametrize('bands', [BANDS, LEVEL_2A, ['B4', 'B3', 'B2'], ['B11']])
    @pytest.mark.parametrize('dtype', ['float32', 'float64'])
    def test_reflectance(self, tmp_path, bands, dtype):
        array = (ground(bands=bands) / 1e4).astype(dtype)
        path = write(tmp_path / 'a.tif', array, labels=bands)
        reader, image, valid = read(path)
        assert (reader.offset, set(reader.scales.values())) == (0, {1.0})
        order = [bands.index(band) for band in reader.bands]
        np.testing.assert_allclose(image, ground(bands=bands)[order], atol=0.01)
        assert valid.all()

    def test_reflectance_of_any_baseline(self, tmp_path):
        name = 'S2A_MSIL2A_20230604T100031_N0509_R122_T32TQM_20230604T121222.tif'
        array = (ground(bands=LEVEL_2A) / 1e4).astype(np.float32)
        assert read(write(tmp_path / name, array))[0].offset == 0

    def test_reflectance_that_still_has_the_offset(self, tmp_path):
        array = ((ground() + 1000.0) / 1e4).astype(np.float32)
        reader, image, _ = read(write(tmp_path / 'a.tif', array))
        assert reader.offset == 1000
        np.testing.assert_allclose(image, ground(), atol=0.01)

    @pytest.mark.parametrize('dtype', ['int16', 'uint16', 'int32', 'float32'])
    @pytest.mark.parametrize('offset', [0, 1000])
    def test_digital_numbers_of_any_type(self, tmp_path, dtype, offset):
        array = (ground() + offset).astype(dtype)
        reader, image, _ = read(write(tmp_path / 'a.tif', array))
        assert (reader.offset, reader.is_digital) == (offset, True)
        np.testing.assert_array_equal(image, ground())

    @pytest.mark.parametrize(
        ('factor', 'dtype', 'message'),
        [
            (1e-2, 'float32', 'percent'),
            (1e-2, 'uint16', 'percent'),
            (1 / 40, 'uint8', 'uint8: a picture'),
            (1 / 40, 'uint16', 'grey values of 8 bits'),
            (6.5535, 'uint16', 'Reflectance × 65535'),
            (0.1, 'uint16', 'Reflectance × 1000'),
            (1000.0, 'int32', 'no digital numbers'),
        ],
    )
    def test_other_units_are_refused_and_read_if_they_are_said(
        self, tmp_path, factor, dtype, message
    ):
        # Without clouds, which 8 bits would cut off
        array = np.minimum(ground(), 9000) * factor
        array = array.round() if np.dtype(dtype).kind in 'ui' else array
        path = write(tmp_path / 'a.tif', array.astype(dtype))
        with pytest.raises(SceneError, match=rf"a\.tif': .*{message}"):
            read(path)
        _, image, _ = read(path, scale=1e-4 / factor, offset=0)
        step = 1 / factor if np.dtype(dtype).kind in 'ui' else 0.01
        np.testing.assert_allclose(
            image, np.minimum(ground(), 9000), atol=max(step, 0.01)
        )

    def test_blue_that_is_darker_than_air(self, tmp_path):
        bands = ['B1', 'B2', 'B10']
        array = (ground(bands=bands) / 10).astype(np.uint16)
        path = write(tmp_path / 'a.tif', array, labels=bands)
        with pytest.raises(SceneError, match=r'less than air alone.*`scale`'):
            read(path)

    def test_grey_values_of_level_2a(self, tmp_path):
        array = (ground(bands=LEVEL_2A) / 40).astype(np.uint16)
        with pytest.raises(SceneError, match='grey values'):
            read(write(tmp_path / 'a.tif', array), offset=0)

    def test_level_2a_times_65535(self, tmp_path):
        array = (np.minimum(ground(bands=LEVEL_2A), 9000) * 6.5535).astype(np.uint16)
        with pytest.raises(SceneError, match='Reflectance × 65535'):
            read(write(tmp_path / 'a.tif', array), offset=0)

    @pytest.mark.parametrize('scale', [1 / 65535, 1e-5, 1 / 255])
    def test_tags_of_any_scale(self, tmp_path, scale):
        array = np.round(ground() * 1e-4 / scale)
        path = write(tmp_path / 'a.tif', array.astype(np.int32))
        with rasterio.open(path, 'r+') as file:
            file.scales, file.offsets = [scale] * 13, [-0.05] * 13
        reader, image, _ = read(path)
        assert reader.offset == 0
        np.testing.assert_allclose(
            image, ground() - 500.0, atol=max(0.6 * scale * 1e4, 0.1)
        )

    def test_tags_of_landsat(self, tmp_path):
        path = write(tmp_path / 'a.tif', ground())
        with rasterio.open(path, 'r+') as file:
            file.scales, file.offsets = [2.75e-5] * 13, [-0.2] * 13
        with pytest.raises(
            SceneError, match=r'scale 2\.75e-05, which is that of Landsat'
        ):
            find_optical(path)

    def test_dark_water_is_read(self, tmp_path):
        levels = [300, 280, 250, 200, 180, 170, 160, 150, 140, 130, 60, 40]
        generator = np.random.default_rng(0)
        array = np.array(levels)[:, None, None] + generator.integers(
            0, 30, (12, 72, 72)
        )
        _, image, _ = read(write(tmp_path / 'a.tif', array.astype(np.uint16)))
        np.testing.assert_array_equal(image, array)


class TestContradictions:
    @pytest.mark.parametrize('bands', [BANDS, LEVEL_2A])
    @pytest.mark.parametrize('offset', [0, -0.1])
    def test_reflectance_with_tags_of_digital_numbers(self, tmp_path, bands, offset):
        array = (ground(bands=bands) / 1e4).astype(np.float32)
        path = write(tmp_path / 'a.tif', array, labels=bands)
        with rasterio.open(path, 'r+') as file:
            file.scales, file.offsets = [1e-4] * len(bands), [offset] * len(bands)
        with pytest.raises(SceneError, match=r'tags that say digital.*`scale`'):
            read(path)
        _, image, _ = read(path, scale=1.0)
        np.testing.assert_allclose(image, ground(bands=bands), atol=0.01)

    @pytest.mark.parametrize('dtype', ['uint16', 'float32'])
    def test_thousands(self, tmp_path, dtype):
        # Without clouds, under which it is not told
        array = np.minimum(ground(bands=LEVEL_2A), 4000) / 10
        path = write(tmp_path / 'a.tif', array.astype(dtype), labels=LEVEL_2A)
        with pytest.raises(SceneError, match=r'Reflectance × 1000 looks so.*`scale`'):
            read(path, offset=0)
        _, image, _ = read(path, scale=0.001, offset=0)
        np.testing.assert_allclose(image, array.astype(dtype) * 10.0, rtol=1e-5)

    def test_reflectance_with_the_offset_left_in(self, tmp_path):
        array = ((ground(bands=LEVEL_2A) + 1000.0) / 1e4).astype(np.float32)
        path = write(tmp_path / 'a.tif', array)
        with pytest.raises(SceneError, match='Give `offset`'):
            read(path)
        _, image, _ = read(path, offset=1000)
        np.testing.assert_allclose(image, ground(bands=LEVEL_2A), atol=0.01)

    def test_numbers_of_any_band_by_band_stretch(self, tmp_path):
        image = ground().astype(np.float32)
        normal = (image - image.mean((1, 2), keepdims=True)) / 5000
        with pytest.raises(SceneError, match=r'normalised.*`scale`'):
            read(write(tmp_path / 'a.tif', normal - 0.1, labels=BANDS))

    def test_numbers_below_0_of_a_type_without(self, tmp_path):
        array = (ground(bands=LEVEL_2A).astype(int) - 1000).astype(np.uint16)
        path = write(tmp_path / 'a.tif', array, labels=LEVEL_2A)
        with pytest.raises(SceneError, match='numbers below 0 of a type that has none'):
            read(path, offset=0)

    def test_files_in_different_units(self, tmp_path):
        for i, band in enumerate(('B02', 'B03', 'B04')):
            array = ground()[i + 1]
            array = (array / 1e4).astype(np.float32) if i == 0 else array
            write(tmp_path / f'x_{band}.tif', array)
        with pytest.raises(SceneError, match='another unit than other bands'):
            read(tmp_path, offset=0)


class TestFills:
    @pytest.mark.parametrize(
        ('dtype', 'fill'), [('int16', -1000), ('float32', -1000), ('uint16', 32767)]
    )
    def test_of_all_bands_alike(self, tmp_path, dtype, fill):
        array = ground().astype(dtype)
        array[:, :30] = fill
        _, _, valid = read(write(tmp_path / 'a.tif', array))
        assert not valid[:30].any()
        assert valid[30:].all()

    @pytest.mark.parametrize('dtype', ['uint32', 'int32', 'int64', 'uint64'])
    def test_types_of_any_width(self, tmp_path, dtype):
        _, image, valid = read(write(tmp_path / 'a.tif', ground().astype(dtype)))
        assert valid.all()
        np.testing.assert_array_equal(image, ground())

    @pytest.mark.parametrize('fill', [-10000, -9999, -32768, 65535])
    @pytest.mark.parametrize('dtype', ['int16', 'uint16', 'int32', 'float32', 'unit'])
    @pytest.mark.parametrize('offset', [0, 1000])
    def test_what_stands_for_missing_pixels(self, tmp_path, fill, dtype, offset):
        unit = dtype == 'unit'
        kind = np.dtype('float32' if unit else dtype)
        if (unit and offset) or (
            kind.kind in 'ui' and not (np.iinfo(kind).min <= fill <= np.iinfo(kind).max)
        ):
            pytest.skip('the type cannot hold it, or reflectance has no offset')
        array = (ground() + float(offset)) / (1e4 if unit else 1)
        array[:, :30] = fill
        # Undeclared, and of most of the image
        reader, image, valid = read(write(tmp_path / 'a.tif', array.astype(kind)))
        assert reader.offset == offset
        assert not valid[:30].any()
        assert valid[30:].all()
        np.testing.assert_allclose(image[:, 30:], ground()[:, 30:], atol=0.01)

    @pytest.mark.parametrize('fill', [np.nan, np.inf, 3.4e38, -3.4e38, 1e20])
    def test_of_floats(self, tmp_path, fill):
        array = (ground() / 1e4).astype(np.float32)
        array[:, :50] = fill
        _, image, valid = read(write(tmp_path / 'a.tif', array))
        assert not valid[:50].any()
        assert valid[50:].all()
        np.testing.assert_allclose(image[:, 50:], ground()[:, 50:], atol=0.01)

    def test_a_saturated_band_is_none(self, tmp_path):
        array = ground()
        array[3, 20, 20] = 65535
        _, image, valid = read(write(tmp_path / 'a.tif', array))
        assert valid.all()
        assert image[3, 20, 20] == 65535


class TestOffset:
    def test_cirrus_does_not_pass_for_an_offset(self, tmp_path):
        array = ground()
        array[BANDS.index('B10')] += 950
        reader, image, _ = read(write(tmp_path / 'a.tif', array))
        assert reader.offset == 0
        np.testing.assert_array_equal(image, array)

    def test_cirrus_over_bright_ground_is_asked(self, tmp_path):
        array = ground() + np.uint16(1100)
        array[BANDS.index('B10')] -= 150
        path = write(tmp_path / 'a.tif', array)
        with pytest.raises(SceneError, match=r'cirrus lifts B10.*96\d.*`offset`'):
            read(path)
        assert read(path, offset=0)[0].offset == 0

    def test_low_numbers_of_level_2a_suffice(self, tmp_path):
        array = np.maximum(ground(bands=LEVEL_2A).astype(int) - 700, 1)
        reader, _, _ = read(write(tmp_path / 'a.tif', array.astype(np.uint16)))
        assert reader.offset == 0
