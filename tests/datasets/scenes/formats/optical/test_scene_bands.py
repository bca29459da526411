# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of the names of bands, in descriptions and in names of files."""

import zipfile

import numpy as np
import pytest
from optical_files import BANDS, numbers, write

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.declared import declare
from torchgeo_tdpcr.datasets.scenes.formats.listing import optical_in
from torchgeo_tdpcr.datasets.scenes.formats.optical.bands import (
    band_of_file,
    is_landsat,
    read_bands,
    strip_band,
)
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader

#: Names that a platform gives, as one would find them in a raster, and what they mean.
PLATFORMS = {
    'Earth Engine': (
        ['B1', 'B8A', 'B12', 'AOT', 'WVP', 'SCL', 'TCI_R', 'MSK_CLDPRB', 'QA60'],
        ['B1', 'B8A', 'B12', 'AOT', 'WVP', 'SCL', 'TCI', 'CLD', 'QA'],
    ),
    'Earth Engine, images stacked': (
        ['20200604T100031_20200604T100024_T32TQM_B2', '0_B3', '20200604_B8A'],
        ['B2', 'B3', 'B8A'],
    ),
    'composites': (['B2_median', 'B4_p25', 'mean_B11'], ['B2', 'B4', 'B11']),
    'Sentinel Hub and openEO': (['B02', 'B8A', 'dataMask'], ['B2', 'B8A', 'MASK']),
    'GDAL': (['B08, central wavelength 842 nm', 'B1'], ['B8', 'B1']),
    'prefixes': (['S2_B2', 'S2A-B03', 'Sentinel-2 B8A'], ['B2', 'B3', 'B8A']),
    'bands with numbers': (['Band 2', 'band_08', 'BAND8A'], ['B2', 'B8', 'B8A']),
    'Earth Search': (
        ['coastal', 'blue', 'rededge1', 'rededge3', 'nir', 'nir08', 'nir09', 'cirrus'],
        ['B1', 'B2', 'B5', 'B7', 'B8', 'B8A', 'B9', 'B10'],
    ),
    'Earth Search, short waves': (['swir16', 'swir22'], ['B11', 'B12']),
    'STAC common names': (['rededge071', 'rededge075'], ['B5', 'B6']),
    'Digital Earth Australia': (
        ['nbart_coastal_aerosol', 'nbart_red_edge_1', 'nbart_nir_1', 'nbart_nir_2'],
        ['B1', 'B5', 'B8', 'B8A'],
    ),
    'Digital Earth Australia, short waves': (
        ['nbart_swir_2', 'nbart_swir_3'],
        ['B11', 'B12'],
    ),
    'FORCE': (
        ['BLUE', 'RED EDGE 1', 'REDEDGE2', 'BROADNIR', 'NIR', 'SWIR1', 'SWIR2'],
        ['B2', 'B5', 'B6', 'B8', 'B8A', 'B11', 'B12'],
    ),
    'wavelengths': (
        ['492.4 nm', '665nm', '842 nm', '865 nm'],
        ['B2', 'B4', 'B8', 'B8A'],
    ),
    'letters': (['R', 'G', 'B', 'NIR'], ['B4', 'B3', 'B2', 'B8']),
    'indices': (['B4', 'NDVI'], ['B4', 'INDEX']),
}


@pytest.mark.parametrize(('names', 'bands'), PLATFORMS.values(), ids=PLATFORMS)
def test_names_of_platforms(names, bands):
    assert read_bands(names) == bands


@pytest.mark.parametrize(
    'name', ['foo', 'B13', 'B4_stdDev', 'B8-B4', 'rededge', 'swir', 'B2 and B3', 'L2A']
)
def test_what_is_not_understood(name):
    assert read_bands([name]) == [None]


def test_short_waves_that_two_systems_count_differently():
    assert read_bands(['swir2']) == [None]
    assert read_bands(['swir1', 'swir2', 'swir3']) == [None, None, None]


@pytest.mark.parametrize(
    ('labels', 'bands'),
    [
        (['blue', 'green', 'red', 'nir'], ['B2', 'B3', 'B4', 'B8']),
        (['nir', 'SCL', 'blue'], ['B2', 'B8']),
        (['B8A', 'B2', 'other'], ['B2', 'B8A']),
    ],
)
def test_descriptions_tell_which_band_is_which(tmp_path, labels, bands):
    array = numbers(len(labels))
    product = find_optical(write(tmp_path / 'a.tif', array, labels=labels))
    assert list(product.bands) == bands
    reader = OpticalReader(product, offset=0)
    places = [read_bands(labels).index(band) for band in bands]
    np.testing.assert_array_equal(reader.read(reader.grid.all)[0], array[places])


def test_descriptions_that_are_not_understood(tmp_path):
    path = write(tmp_path / 'a.tif', numbers(3), labels=('B2', 'something', 'B4'))
    message = (
        r"a\.tif': .*not understood: 'B2' → B2, 'something' → \?, 'B4' → B4.*`all_b"
    )
    with pytest.raises(SceneError, match=message):
        find_optical(path)
    assert list(find_optical(path, ['B2', 'B3', 'B4']).bands) == ['B2', 'B3', 'B4']
    with pytest.raises(SceneError, match=r'has 3 bands; `all_bands` names 2'):
        find_optical(path, ['B2', 'B3'])


def test_a_band_twice(tmp_path):
    path = write(tmp_path / 'a.tif', numbers(2), labels=('B2', 'blue'))
    with pytest.raises(SceneError, match=r"has a band twice.*'blue' → B2"):
        find_optical(path)


def test_names_that_only_count_say_nothing(tmp_path):
    words = (13, 'Band {}'), (13, 'B{}'), (12, 'band_{}'), (12, 'B{}'), (12, 'lyr.{}')
    for count, word in words:
        labels = [word.format(i) for i in range(1, count + 1)]
        product = find_optical(write(tmp_path / 'a.tif', numbers(count), labels=labels))
        assert product.assumed
        assert list(product.bands) == [b for b in BANDS if count == 13 or b != 'B10']
    for word in ('Band {}', 'B{}', 'b{}'):
        labels = [word.format(i) for i in range(1, 5)]
        path = write(tmp_path / 'a.tif', numbers(4), labels=labels)
        with pytest.raises(SceneError, match='has 4 bands, which could be any'):
            find_optical(path)


@pytest.mark.parametrize(
    ('name', 'band', 'rest'),
    [
        ('T32TQM_20200604T100031_B02_10m.jp2', 'B2', 'T32TQM_20200604T100031'),
        ('2020-06-04_Sentinel-2_L2A_B8A_(Raw).tiff', 'B8A', None),
        ('B02_crop.tif', 'B2', 'crop'),
        ('blue.tif', 'B2', ''),
        ('swir16.tif', 'B11', ''),
        ('SENTINEL2A_20200604-103000-123_L2A_T32TQM_C_V2-2_FRE_B8A.tif', 'B8A', None),
        ('HLS.S30.T32TQM.2020156T100031.v2.0.B02.tif', 'B2', None),
        ('T32TQM_AOT_10m.jp2', None, None),
        ('MSK_DETFOO_B02.jp2', None, None),
        ('T32TQM_20200604T100031_TCI.jp2', None, None),
        ('HLS.S30.T32TQM.2020156T100031.v2.0.Fmask.tif', None, None),
        ('B02_B03.tif', None, None),
    ],
)
def test_names_of_files(name, band, rest):
    found = band_of_file(name)
    assert (found and found[0]) == band
    if rest is not None:
        assert strip_band(name) == rest


FOLDERS = {
    'Copernicus Browser': '2020-06-04_Sentinel-2_L2A_{}_(Raw).tiff',
    'codes first': '{}_crop.tif',
    'codes last': 'T32TQM_20200604_{}_10m.tif',
}
ASSETS = {'B2': 'blue', 'B3': 'green', 'B4': 'red', 'B8': 'nir', 'B8A': 'nir08'}


@pytest.mark.parametrize(
    'pattern', [*FOLDERS.values(), 'assets'], ids=[*FOLDERS, 'assets']
)
@pytest.mark.parametrize('packed', [False, True])
def test_folders_and_zips_of_band_files(tmp_path, pattern, packed):
    folder = tmp_path / 'product'
    array = numbers(len(ASSETS))
    for band, image in zip(ASSETS, array, strict=True):
        code = f'B{band[1:]:0>{3 if band == "B8A" else 2}}'.replace('B08A', 'B8A')
        name = f'{ASSETS[band]}.tif' if pattern == 'assets' else pattern.format(code)
        write(folder / name, image)
    write(folder / 'visual.tif', numbers(3))
    path = folder
    if packed:
        path = tmp_path / 'product.zip'
        with zipfile.ZipFile(path, 'w') as archive:
            for file in folder.iterdir():
                archive.write(file, f'inside/{file.name}')
    else:
        assert optical_in(folder) == [folder]
    reader = OpticalReader(find_optical(path), offset=0)
    assert reader.bands == tuple(ASSETS)
    np.testing.assert_array_equal(reader.read(reader.grid.all)[0], array)


def test_files_of_several_products(tmp_path):
    for name, other in (
        ('x_20200604_B02.tif', 'x_20210704_B04.tif'),
        ('T32TQM_B02.tif', 'T32TPM_B04.tif'),
        ('S2A_B02.tif', 'S2B_B04.tif'),
    ):
        folder = tmp_path / name
        write(folder / name, numbers(1))
        write(folder / other, numbers(1))
        with pytest.raises(SceneError, match='files of several'):
            find_optical(folder)


def test_both_corrections_of_maja(tmp_path):
    array = numbers(4)
    for i, band in enumerate(('B2', 'B8A')):
        for j, kind in enumerate(('FRE', 'SRE')):
            name = f'SENTINEL2A_20200604-103000-123_L2A_T32TQM_C_V2-2_{kind}_{band}.tif'
            write(tmp_path / name, array[2 * i + j])
    product = find_optical(tmp_path)
    assert all('_FRE_' in band.path for band in product.bands.values())


@pytest.mark.parametrize(
    ('name', 'band'),
    [
        ('S2_clear_B02.tif', 'B2'),
        ('Clear_Lake_20200604_B8A.tif', 'B8A'),
        ('x_B02_fill.tif', 'B2'),
        ('B02_cloud_mask.tif', None),
        ('B02_mask.tif', None),
    ],
)
def test_places_and_scenes_that_are_called_clear(name, band):
    found = band_of_file(name)
    assert (found and found[0]) == band


@pytest.mark.parametrize(
    ('name', 'band'),
    [
        ('Narrow Near Infrared', 'B8A'),
        ('B8_A', 'B8A'),
        ('B8A narrow NIR', 'B8A'),
        ('B8 NIR', 'B8'),
        ('B2 (red)', None),
        ('B05 red edge 1', 'B5'),
        ('B10 SWIR - Cirrus', 'B10'),
        ('B12 SWIR 2', 'B12'),
    ],
)
def test_codes_beside_colours(name, band):
    assert read_bands([name]) == [band]


def test_one_raster_in_a_zip(tmp_path):
    array = numbers()
    write(tmp_path / 'a.tif', array)
    with zipfile.ZipFile(tmp_path / 'product.zip', 'w') as archive:
        archive.write(tmp_path / 'a.tif', 'inside/a.tif')
    product = find_optical(tmp_path / 'product.zip')
    assert product.name == 'product'
    reader = OpticalReader(product, offset=0)
    np.testing.assert_array_equal(reader.read(reader.grid.all)[0], array)


def test_products_with_colours_in_their_names_are_no_bands(tmp_path):
    for name in ('red_lake', 'green_valley', 'blue_hills'):
        write(tmp_path / f'{name}.tif', numbers())
    assert len(optical_in(tmp_path)) == 3


def test_landsat(tmp_path):
    assert is_landsat(['LC08_L2SP_193027_20200604_20200824_02_T1_SR_B2.TIF'])
    assert is_landsat(['HLS.L30.T32TQM.2020156T100031.v2.0.B02.tif'])
    assert not is_landsat(['L2A_T32TQM_20200604_B02_10m.jp2', 'LCB_B02.tif'])
    for band in ('B2', 'B3'):
        write(tmp_path / f'LC08_L2SP_193027_20200604_T1_SR_{band}.TIF', numbers(1))
    with pytest.raises(SceneError, match='is Landsat by its name'):
        find_optical(tmp_path)
    path = write(tmp_path / 'a.tif', numbers(2), labels=('SR_B2', 'SR_B3'))
    with pytest.raises(SceneError, match='is Landsat by its name'):
        find_optical(path)


@pytest.mark.parametrize(
    ('said', 'message'),
    [
        ({'all_bands': ['B2', 'B2']}, 'a band is given twice'),
        ({'all_bands': ['B2', 'foo']}, "unknown: 'foo'|unknown: \\['foo'\\]"),
        ({'all_bands': ['SCL']}, 'empty'),
        ({'polarisations': ['VV']}, 'one of them VV and one VH'),
        ({'scale': 0}, r'`scale=0`'),
        ({'scale': 10000.0}, r'`scale=10000\.0`'),
        ({'sar_scale': 'dB'}, "`sar_scale='dB'`"),
        ({'cloud_mask_kind': 'x'}, "`cloud_mask_kind='x'`"),
        ({'offset': 10}, '`offset=10`'),
    ],
)
def test_what_cannot_be_said(said, message):
    with pytest.raises(ValueError, match=message):
        declare(**said)
