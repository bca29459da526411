# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of the order of bands that nothing names, on made and on real images."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from optical_files import BANDS, write
from spectra import ground

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader
from torchgeo_tdpcr.datasets.scenes.windows.optical.band_order import order_fault

NUMBERED = [band for band in BANDS if band != 'B8A']
COARSE = ['B5', 'B6', 'B7', 'B8A', 'B11', 'B12', 'B1', 'B9', 'B10']
REST = ['B1', 'B9', 'B10']
PLAIN = ['B1', 'B10', 'B11', 'B12', *BANDS[1:8]]
OTHERS = {
    'B8A last': [*NUMBERED, 'B8A'],
    'by resolution': ['B2', 'B3', 'B4', 'B8', *COARSE],
    'red first, by resolution': ['B4', 'B3', 'B2', 'B8', *COARSE],
    'from 20 m': ['B5', 'B6', 'B7', 'B8A', 'B11', 'B12', 'B2', 'B3', 'B4', 'B8', *REST],
    'from 60 m': [*REST, 'B2', 'B3', 'B4', 'B8', *COARSE[:6]],
    '60 m last': [*BANDS[1:9], 'B11', 'B12', *REST],
    'names without zeros': [*PLAIN, 'B8A', 'B9'],
    'names without zeros, B8A last': [*PLAIN, 'B9', 'B8A'],
    'reversed': BANDS[::-1],
}
#: Red before blue is told by most images only.
VISIBLE_FIRST = ['B4', 'B3', 'B2', 'B1', *BANDS[4:]]

DATA = Path(os.environ.get('TDPCR_SAMPLES', 'none'))
REAL = sorted(
    [
        *DATA.glob('sen12mscr_pairs/*_s2*.tif'),
        *DATA.glob('sen12mscr/*_s2*/*/*.tif'),
        *DATA.glob('sen1floods11/*_S2Hand.tif'),
        *DATA.glob('terramind/S2L1C/*.tif'),
        *DATA.glob('osfcr_sample/*/*/s2/*_s2_p*.tif'),
    ]
)


def in_order(image, order, bands=BANDS):
    """An image whose bands are those of *bands*, with them in another order."""
    return image[[bands.index(band) for band in order if band in bands]]


class TestMade:
    @pytest.mark.parametrize('offset', [0, 1000])
    @pytest.mark.parametrize('bands', [BANDS, [b for b in BANDS if b != 'B10']])
    @pytest.mark.parametrize('order', OTHERS.values(), ids=OTHERS)
    def test_other_orders_are_refused(self, tmp_path, order, bands, offset):
        array = in_order(ground(bands=bands) + np.uint16(offset), order, bands)
        path = write(tmp_path / 'a.tif', array)
        with pytest.raises(SceneError, match=r'not in the usual order.*`all_bands`'):
            OpticalReader(find_optical(path), offset=offset)
        names = [band for band in order if band in bands]
        reader = OpticalReader(find_optical(path, names), offset=offset)
        image, _ = reader.read(reader.grid.all)
        np.testing.assert_array_equal(image - np.uint16(offset), ground(bands=bands))

    @pytest.mark.parametrize('offset', [0, 1000])
    @pytest.mark.parametrize('bands', [BANDS, [b for b in BANDS if b != 'B10']])
    def test_the_usual_order_is_read(self, tmp_path, bands, offset):
        array = ground(bands=bands) + np.uint16(offset)
        reader = OpticalReader(
            find_optical(write(tmp_path / 'a.tif', array)), None, offset
        )
        np.testing.assert_array_equal(reader.read(reader.grid.all)[0], array)

    def test_reflectance(self, tmp_path):
        array = (in_order(ground(), OTHERS['B8A last']) / 1e4).astype(np.float32)
        with pytest.raises(SceneError, match='darkest band is number 10'):
            OpticalReader(find_optical(write(tmp_path / 'a.tif', array)))

    @pytest.mark.parametrize('codes', [(0, 3, 4, 5, 8, 9), (0, 1), (1,), (0, 255)])
    def test_classes_and_masks_at_the_end(self, tmp_path, codes):
        array = ground(bands=[band for band in BANDS if band != 'B10'])
        array[-1] = np.random.default_rng(0).choice(codes, array.shape[1:])
        path = write(tmp_path / 'a.tif', array)
        with pytest.raises(SceneError, match=r'band 12 holds nothing but .*classes'):
            OpticalReader(find_optical(path), offset=0)
        names = [band for band in BANDS if band not in ('B10', 'B12')]
        product = find_optical(path, [*names, 'SCL'])
        assert OpticalReader(product, offset=0).bands == tuple(names)
        assert product.clouds is not None

    @pytest.mark.parametrize('value', [0, 65535])
    def test_a_band_that_holds_nothing(self, tmp_path, value):
        array = ground(bands=[band for band in BANDS if band != 'B10'])
        array = np.concatenate([array, np.full_like(array[:1], value)])
        path = write(tmp_path / 'a.tif', array)
        with pytest.raises(SceneError, match='band 13 holds nothing but'):
            OpticalReader(find_optical(path), offset=0)

    def test_level_1c_without_another_band(self, tmp_path):
        array = ground(bands=[band for band in BANDS if band != 'B8A'])
        with pytest.raises(SceneError, match='as B10 of level 1C'):
            OpticalReader(find_optical(write(tmp_path / 'a.tif', array)), offset=0)

    def test_water_without_contrast_is_read(self):
        levels = [1300, 1089, 700, 408, 350, 300, 280, 207, 200, 90, 12, 43, 20]
        image = np.array(levels)[:, None] + np.arange(500) % 5
        assert order_fault(image) == ''


@pytest.mark.skipif(not REAL, reason='TDPCR_SAMPLES names none')
class TestReal:
    @pytest.mark.parametrize('path', REAL, ids=lambda path: path.stem)
    def test_orders(self, path):
        with rasterio.open(path) as file:
            if file.count != 13:
                pytest.skip('is a misplaced file of another layer')
            image = file.read()[:, ::4, ::4].reshape(13, -1)
        image = image[:, image.all(axis=0)]
        for bands in (BANDS, [band for band in BANDS if band != 'B10']):
            part = in_order(image, bands)
            assert order_fault(part) == ''
            for name, order in OTHERS.items():
                assert order_fault(in_order(part, order, bands)), (name, len(bands))

    def test_visible_bands_first(self):
        told = 0
        for path in REAL:
            with rasterio.open(path) as file:
                if file.count == 13:
                    image = file.read()[:, ::4, ::4].reshape(13, -1)
                    told += bool(order_fault(in_order(image, VISIBLE_FIRST)))
        assert told > len(REAL) / 2
