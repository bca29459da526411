# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import json
import shutil

import numpy as np
import pytest
import rasterio
from optical_files import SIZE, full_size, numbers, write
from scene_files import GRID, decibels, power
from scene_files import write as write_radar

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.described.stac import is_item
from torchgeo_tdpcr.datasets.scenes.formats.listing import optical_in, radar_in
from torchgeo_tdpcr.datasets.scenes.formats.optical import safe
from torchgeo_tdpcr.datasets.scenes.formats.polarisations import describe_radar
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.inspection import inspect
from torchgeo_tdpcr.datasets.scenes.windows.clouds import CloudReader
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader
from torchgeo_tdpcr.datasets.sources import trusting

ALL = PixelBox(0, 0, SIZE, SIZE)

#: Key of each asset of Earth Search, and its common name, which several share.
EARTH_SEARCH = {
    'coastal': ('B1', 60, 'coastal'),
    'blue': ('B2', 10, 'blue'),
    'green': ('B3', 10, 'green'),
    'red': ('B4', 10, 'red'),
    'rededge1': ('B5', 20, 'rededge'),
    'rededge2': ('B6', 20, 'rededge'),
    'rededge3': ('B7', 20, 'rededge'),
    'nir': ('B8', 10, 'nir'),
    'nir08': ('B8A', 20, 'nir08'),
    'nir09': ('B9', 60, 'nir09'),
    'swir16': ('B11', 20, 'swir16'),
    'swir22': ('B12', 20, 'swir22'),
}

#: Common names of Planetary Computer; that of B8A says nothing.
PLANETARY = {
    'B01': ('B1', 60, 'coastal'),
    'B02': ('B2', 10, 'blue'),
    'B03': ('B3', 10, 'green'),
    'B8A': ('B8A', 20, 'rededge'),
    'B11': ('B11', 20, 'swir16'),
}


def item(assets, **properties):
    properties = {'datetime': '2022-06-04T10:00:31.024Z'} | properties
    return {
        'type': 'Feature',
        'stac_version': '1.0.0',
        'id': 'S2A_32TQM_20220604_0_L2A',
        'properties': {'platform': 'sentinel-2a', **properties},
        'assets': assets,
    }


def save(folder, document, name='item.json'):
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def write_bands(folder, keys, low=1200, ending='tif'):
    """A raster a band; returns what each holds."""
    stored = {}
    for i, (key, (band, resolution, _)) in enumerate(keys.items()):
        stored[band] = numbers(1, SIZE * 10 // resolution, low, seed=i)[0]
        write(folder / f'{key}.{ending}', stored[band], resolution)
    return stored


def earth_search(folder, offset=-0.1, applied=None, low=1200, **properties):
    stored = write_bands(folder, EARTH_SEARCH, low)
    raster = {'nodata': 0, 'scale': 0.0001, 'offset': offset, 'data_type': 'uint16'}
    assets = {
        key: {
            'href': f'https://example.com/cogs/{key}.tif',
            'roles': ['data', 'reflectance'],
            'eo:bands': [{'name': key, 'common_name': common}],
            'raster:bands': [raster],
        }
        for key, (_, _, common) in EARTH_SEARCH.items()
    }
    assets['visual'] = {
        'href': 'https://example.com/cogs/TCI.tif',
        'roles': ['visual'],
        'eo:bands': [{'name': name} for name in ('red', 'green', 'blue')],
    }
    assets['red-jp2'] = {'href': 's3://sentinel-s2-l2a/B04.jp2', 'roles': ['data']}
    assets['granule_metadata'] = {
        'href': 'https://example.com/metadata.xml',
        'roles': ['metadata'],
    }
    if applied is not None:
        properties['earthsearch:boa_offset_applied'] = applied
    return save(folder, item(assets, **properties)), stored


def planetary(folder, baseline, low=1200):
    stored = write_bands(folder, PLANETARY, low)
    assets = {
        key: {
            'href': f'https://example.com/{key}.tif?sig=a%2Fb',
            'roles': ['data'],
            'eo:bands': [{'name': key, 'common_name': common}],
        }
        for key, (_, _, common) in PLANETARY.items()
    }
    assets['preview'] = {'href': 'https://example.com/p.tif', 'roles': ['overview']}
    properties = {'s2:processing_baseline': baseline}
    return save(folder, item(assets, **properties)), stored


def check_values(reader, stored, resolutions):
    image, valid = reader.read(ALL)
    assert valid.all()
    for band, array in zip(reader.bands, image, strict=True):
        expected = full_size(stored[band], resolutions[band])
        np.testing.assert_array_equal(array, expected[:SIZE, :SIZE])


RESOLUTIONS = {band: resolution for band, resolution, _ in EARTH_SEARCH.values()}


def test_earth_search_beside_its_item(tmp_path):
    path, stored = earth_search(tmp_path, **{'s2:processing_baseline': '05.09'})
    product = find_optical(path)
    assert product.form == 'stac'
    assert product.name == 'item'
    assert list(product.bands) == list(RESOLUTIONS)
    assert product.date.isoformat() == '2022-06-04T10:00:31.024000+00:00'
    assert product.headers[product.bands['B4'].path].scales == ((1e-4, -0.1),)
    reader = OpticalReader(product)
    assert reader.offset == 1000
    check_values(reader, stored, RESOLUTIONS)


@pytest.mark.parametrize('collection', ['', 'sentinel-2-l2a'])
def test_offset_that_was_taken_out_outweighs_raster_bands(tmp_path, collection):
    path, stored = earth_search(
        tmp_path, applied=True, low=10, **{'s2:processing_baseline': '04.00'}
    )
    document = json.loads(path.read_text()) | {'collection': collection}
    product = find_optical(save(tmp_path, document))
    reader = OpticalReader(product)
    assert reader.offset == 0
    assert product.headers[product.bands['B2'].path].scales == ((1e-4, 0.0),)
    check_values(reader, stored, RESOLUTIONS)


def doubtful(folder, low):
    path, stored = earth_search(
        folder, applied=False, low=low, **{'s2:processing_baseline': '05.11'}
    )
    return json.loads(path.read_text()) | {'collection': 'sentinel-2-l2a'}, stored


def test_false_of_the_older_collection_is_not_believed(tmp_path):
    # Its numbers reach down to where with an offset nothing is
    document, _ = doubtful(tmp_path, 0)
    for band in EARTH_SEARCH:
        dark = numbers(1, SIZE * 10 // EARTH_SEARCH[band][1], 0, 900)[0]
        write(tmp_path / f'{band}.tif', dark, EARTH_SEARCH[band][1])
    assert OpticalReader(find_optical(save(tmp_path, document))).offset == 0


def test_false_of_the_older_collection_is_asked_about(tmp_path):
    document, _ = doubtful(tmp_path, 1200)
    product = find_optical(save(tmp_path, document))
    with pytest.raises(SceneError, match='Give `offset`'):
        OpticalReader(product)
    assert OpticalReader(product, offset=1000).offset == 1000
    # Of its successor it holds
    document['collection'] = 'sentinel-2-c1-l2a'
    assert OpticalReader(find_optical(save(tmp_path, document))).offset == 1000


@pytest.mark.parametrize(('baseline', 'offset'), [('05.10', 1000), ('03.00', 0)])
def test_baseline_decides_on_planetary_computer(tmp_path, baseline, offset):
    path, stored = planetary(tmp_path, baseline)
    product = find_optical(path)
    assert list(product.bands) == ['B1', 'B2', 'B3', 'B8A', 'B11']
    reader = OpticalReader(product)
    assert reader.offset == offset
    check_values(reader, stored, {band: res for band, res, _ in PLANETARY.values()})


def test_numbers_that_contradict_the_baseline(tmp_path):
    path, _ = planetary(tmp_path, '05.10')
    write(tmp_path / 'B03.tif', numbers(1, low=50, high=900)[0])
    with pytest.raises(SceneError, match=r'05\.10.*item\.json.*B3.*Give `offset`'):
        OpticalReader(find_optical(path))


def test_baseline_that_contradicts_raster_bands(tmp_path):
    path, _ = earth_search(tmp_path, **{'s2:processing_baseline': '02.09'})
    with pytest.raises(SceneError, match=r'contradicts.*item\.json.*Give `offset`'):
        OpticalReader(find_optical(path))


def test_tags_of_files_that_contradict_the_item(tmp_path):
    path, _ = earth_search(tmp_path, applied=True)
    for key, (_, resolution, _) in EARTH_SEARCH.items():
        array = numbers(1, SIZE * 10 // resolution, 1200)[0]
        file = write(tmp_path / f'{key}.tif', array, resolution)
        with rasterio.open(file, 'r+') as raster:
            raster.scales, raster.offsets = (1e-4,), (-0.1,)
    with pytest.raises(SceneError, match=r'boa_offset_applied.*tags.*Give `offset`'):
        OpticalReader(find_optical(path))


def test_stac_11_of_copernicus(tmp_path):
    """Bands in several resolutions, fields of STAC 1.1, JPEG 2000, local addresses."""
    assets, stored = {}, {}
    for band, resolution in (('B02', 10), ('B02', 20), ('B8A', 60), ('B8A', 20)):
        array = numbers(1, SIZE * 10 // resolution, 1200, seed=resolution)[0]
        write(tmp_path / 'IMG' / f'T32_{band}_{resolution}m.jp2', array, resolution)
        stored.setdefault(band, {})[resolution] = array
        assets[f'{band}_{resolution}m'] = {
            'href': f'./IMG/T32_{band}_{resolution}m.jp2',
            'roles': ['data', 'reflectance'],
            'nodata': 0,
            'raster:scale': 0.0001,
            'raster:offset': -0.1,
            'bands': [{'name': band, 'eo:common_name': 'rededge'}],
        }
    classes = np.full((SIZE // 2, SIZE // 2), 4, np.uint8)
    classes[:10] = 9
    write(tmp_path / 'IMG' / 'T32_SCL_20m.jp2', classes, 20)
    assets['SCL_20m'] = {'href': './IMG/T32_SCL_20m.jp2', 'roles': ['data']}
    assets['AOT_10m'] = {'href': './IMG/T32_AOT_10m.jp2', 'roles': ['data']}
    document = item(assets, **{'processing:version': '05.11'})
    product = find_optical(save(tmp_path, document | {'stac_version': '1.1.0'}))
    reader = OpticalReader(product)
    assert reader.offset == 1000
    assert reader.bands == ('B2', 'B8A')
    image, _ = reader.read(ALL)
    np.testing.assert_array_equal(image[0], stored['B02'][10])
    np.testing.assert_array_equal(image[1], full_size(stored['B8A'][20], 20))
    assert product.clouds.kind == 'scl'
    cloudy = CloudReader(product.clouds, reader.grid).read(ALL)
    assert cloudy[:20].all()
    assert not cloudy[20:].any()


def test_classes_that_are_not_there(tmp_path):
    write(tmp_path / 'r.tif', numbers(1)[0])
    for href in ('gone.tif', 'https://example.com/scl.tif'):
        assets = {'red': {'href': 'r.tif'}, 'scl': {'href': href}}
        assert find_optical(save(tmp_path, item(assets))).clouds is None


def test_one_asset_of_many_bands(tmp_path):
    image = numbers(3, low=1200)
    write(tmp_path / 'all.tif', image)
    bands = [{'name': 'green'}, {'name': 'ndvi'}, {'common_name': 'blue'}]
    assets = {'data': {'href': 'all.tif', 'eo:bands': bands}}
    path = save(tmp_path, item(assets, **{'s2:processing_baseline': '05.00'}))
    reader = OpticalReader(find_optical(path))
    assert reader.bands == ('B2', 'B3')
    np.testing.assert_array_equal(reader.read(ALL)[0], image[[2, 0]])


def test_geotiff_before_jpeg_2000(tmp_path):
    cog, jp2 = numbers(2, low=1200)
    write(tmp_path / 'red.tif', cog)
    write(tmp_path / 'B04.jp2', jp2)
    assets = {'red-jp2': {'href': 'B04.jp2'}, 'red': {'href': 'red.tif'}}
    path = save(tmp_path, item(assets, **{'s2:processing_baseline': '05.00'}))
    image, _ = OpticalReader(find_optical(path)).read(ALL)
    np.testing.assert_array_equal(image[0], cog)


def test_nodata_of_the_item(tmp_path):
    array = numbers(1, low=1200)[0].astype(np.int16)
    array[:5] = -9999
    write(tmp_path / 'red.tif', array)
    raster = [{'nodata': -9999, 'scale': 1e-4, 'offset': -0.1}]
    assets = {'red': {'href': 'red.tif', 'raster:bands': raster}}
    product = find_optical(save(tmp_path, item(assets)))
    assert product.nodata == -9999
    _, valid = OpticalReader(product).read(ALL)
    assert not valid[:5].any()
    assert valid[5:].all()


def test_reflectance_whatever_the_baseline(tmp_path):
    path, stored = planetary(tmp_path, '05.10', low=100)
    for key, (band, resolution, _) in PLANETARY.items():
        reflectance = (stored[band] / 10_000).astype(np.float32)
        write(tmp_path / f'{key}.tif', reflectance, resolution)
    reader = OpticalReader(find_optical(path))
    assert reader.offset == 0
    image, _ = reader.read(ALL)
    np.testing.assert_allclose(image[1], stored['B2'], rtol=1e-6)


@pytest.mark.parametrize(
    'href', ['http://[', '../' * 3000 + 'red.tif', 'red\ud800.tif', 'a\0b.tif']
)
def test_addresses_that_are_none(tmp_path, href):
    path = save(tmp_path, item({'red': {'href': href}}))
    with pytest.raises(SceneError, match=r'does not exist|which is none'):
        find_optical(path)


@pytest.mark.parametrize('platform', ['S2B', 'Sentinel-2C', 'sentinel_2a'])
def test_platforms_of_sentinel_2(tmp_path, platform):
    write(tmp_path / 'r.tif', numbers(1)[0])
    path = save(tmp_path, item({'red': {'href': 'r.tif'}}, platform=platform))
    assert list(find_optical(path).bands) == ['B4']


@pytest.mark.parametrize('href', ['https://example.com/red.tif', 's3://bucket/red.tif'])
def test_elsewhere_only_if_trusted(tmp_path, href):
    path = save(tmp_path, item({'red': {'href': href}}))
    with pytest.raises(SceneError, match=r'elsewhere.*red\.tif.*`trusted`'):
        find_optical(path)
    address = {'https': '/vsicurl/https://example.com', 's3': '/vsis3/bucket'}
    seen = address[href.partition(':')[0]]
    # There is no network
    with trusting(), pytest.raises(SceneError, match=f"^'{seen}/red.tif'"):
        find_optical(path)


def test_virtual_files_only_if_trusted(tmp_path):
    for href in ('/vsicurl/https://example.com/red.tif', '/vsis3/bucket/red.tif'):
        path = save(tmp_path, item({'red': {'href': href}}))
        with pytest.raises(SceneError, match='`trusted`'):
            find_optical(path)


def test_file_address_and_escaped_name(tmp_path):
    array = numbers(1, low=1200)[0]
    write(tmp_path / 'a folder' / 'red.tif', array)
    for href in (f'file://{tmp_path}/a%20folder/red.tif', 'a%20folder/red.tif'):
        path = save(tmp_path, item({'red': {'href': href}}))
        assert list(find_optical(path).bands) == ['B4']


@pytest.mark.parametrize(
    ('change', 'fault'),
    [
        ({'type': 'Collection'}, "type 'Collection', but no STAC item"),
        ({'stac_version': None}, 'has no assets that are bands'),
        ({'assets': {}}, 'has no assets'),
        ({'assets': []}, "'assets' that is no object, but list"),
        ({'properties': None}, "'properties' that is no object"),
        ({'assets': {'red': []}}, "'red' that is no object"),
        ({'assets': {'red': {'href': 3}}}, "an asset 'red' without an address"),
        ({'assets': {'red': {'href': 'gone.tif'}}}, "'gone.tif' for 'red', which does"),
        ({'assets': {'red': {'href': 'r.tif', 'eo:bands': 3}}}, 'no list of objects'),
        ({'assets': {'red': {'href': 'r.tif', 'roles': 'data'}}}, 'are no list'),
        ({'properties': {'datetime': 'today'}}, "the date 'today'"),
        ({'properties': {'datetime': '1999-01-01T00:00:00Z'}}, 'no Sentinel was in'),
        ({'properties': {'platform': 'landsat-8'}}, "of 'landsat-8' by its platform"),
        (
            {'properties': {'earthsearch:boa_offset_applied': 'yes'}},
            "boa_offset_applied 'yes'",
        ),
    ],
)
def test_malformed_items(tmp_path, change, fault):
    write(tmp_path / 'r.tif', numbers(1)[0])
    document = item({'visual': {'href': 'r.tif'}}) | change
    if 'assets' not in change and 'stac_version' not in change:
        document['assets'] = {'red': {'href': 'r.tif'}}
    with pytest.raises(SceneError, match=fault):
        find_optical(save(tmp_path, document))


@pytest.mark.parametrize(
    ('raster', 'fault'),
    [
        ({'scale': 'x'}, "the scale 'x'"),
        ({'scale': True}, 'the scale True'),
        ({'scale': 0}, 'the scale 0'),
        ({'offset': 'inf'}, 'the offset inf, which is not finite'),
        ({'offset': [1]}, r'the offset \[1\]'),
        ({'offset': 10**400}, 'no number'),
        ({'scale': -1e-4}, 'the scale -0.0001'),
    ],
)
def test_malformed_numbers(tmp_path, raster, fault):
    write(tmp_path / 'r.tif', numbers(1)[0])
    assets = {'red': {'href': 'r.tif', 'raster:bands': [raster]}}
    with pytest.raises(SceneError, match=fault):
        find_optical(save(tmp_path, item(assets)))


@pytest.mark.parametrize(
    'text', ['', '{', '[]', '{"a": NaN}', '{"a": Infinity}', '[' * 100_000, '\xff']
)
def test_what_is_no_json(tmp_path, text):
    path = tmp_path / 'item.json'
    path.write_bytes(text.encode('latin-1'))
    with pytest.raises(SceneError, match='JSON'):
        find_optical(path)


def test_largest_json(tmp_path, monkeypatch):
    monkeypatch.setattr(safe, '_LARGEST_XML', 100)
    with pytest.raises(SceneError, match='is larger than'):
        find_optical(save(tmp_path, item({'red': {'href': 'r.tif' * 50}})))


def test_names_that_contradict_each_other(tmp_path):
    write(tmp_path / 'r.tif', numbers(1)[0])
    assets = {'red': {'href': 'r.tif', 'eo:bands': [{'name': 'B03'}]}}
    with pytest.raises(SceneError, match=r"'red' that is called.*B3 and B4"):
        find_optical(save(tmp_path, item(assets)))


def test_bands_that_the_file_lacks(tmp_path):
    write(tmp_path / 'r.tif', numbers(2)[:2])
    bands = [{'name': name} for name in ('B02', 'B03', 'B04')]
    assets = {'data': {'href': 'r.tif', 'eo:bands': bands}}
    with pytest.raises(SceneError, match=r"fewer bands than '.*item\.json' tells: 3"):
        find_optical(save(tmp_path, item(assets)))


def radar_item(folder, keys=('vv', 'vh'), **properties):
    for i, key in enumerate(keys):
        write_radar(folder / f'iw_{key}.rtc.tiff', power(decibels())[i])
    assets = {
        key: {'href': f'https://example.com/iw_{key}.rtc.tiff?sig=1', 'roles': ['data']}
        for key in keys
    }
    assets['tilejson'] = {'href': 'https://example.com/vv.json', 'roles': ['tiles']}
    properties = {'platform': 'SENTINEL-1A'} | properties
    return save(folder, item(assets, **properties))


def test_radar_of_planetary_computer(tmp_path):
    path = radar_item(tmp_path, keys=('vv', 'vh'))
    radar = describe_radar(path)
    assert radar.form == 'stac'
    assert radar.date.year == 2022
    reader = RadarReader(path, GRID)
    assert reader.scale == 'linear'
    np.testing.assert_allclose(reader.read(GRID.all), decibels(), atol=1e-4)


@pytest.mark.parametrize('unit', ['amplitude', 'Amplitude', 'dB', 'power', None])
@pytest.mark.parametrize('key', ['raster:bands', 'bands'])
def test_radar_with_unit_of_the_item(tmp_path, unit, key):
    path = radar_item(tmp_path)
    document = json.loads(path.read_text())
    scale = {'dB': 'db', 'power': 'linear', None: 'linear'}.get(unit, 'amplitude')
    # Dark enough to be possible as power
    array = decibels() - np.float32([[[4]], [[8]]])
    stored = {'db': array, 'linear': power(array), 'amplitude': power(array / 2)}
    for i, name in enumerate(('vv', 'vh')):
        document['assets'][name][key] = [{'unit': unit} if unit else {'nodata': 0}]
        write_radar(tmp_path / f'iw_{name}.rtc.tiff', stored[scale][i])
    path.write_text(json.dumps(document))
    reader = RadarReader(path, GRID)
    assert reader.scale == scale
    np.testing.assert_allclose(reader.read(GRID.all), array, atol=0.01)


def test_radar_with_declared_order(tmp_path):
    path = radar_item(tmp_path)
    for i, name in enumerate(('vh', 'vv')):
        write_radar(tmp_path / f'iw_{name}.rtc.tiff', power(decibels())[i])
    with pytest.raises(SceneError, match=r"say so by `polarisations=\['VV', 'VH'\]`"):
        RadarReader(path, GRID)
    radar = describe_radar(path, polarisations=('VV', 'VH'))
    image = RadarReader(radar, GRID).read(GRID.all)
    np.testing.assert_allclose(image, decibels()[::-1], atol=1e-4)
    with pytest.raises(SceneError, match=r'has VV and VH .*Leave it out'):
        describe_radar(path, polarisations=('VH', 'VV'))


def test_radar_with_scale_of_the_item(tmp_path):
    path = radar_item(tmp_path)
    document = json.loads(path.read_text())
    for i, key in enumerate(('vv', 'vh')):
        stored = np.round(decibels()[i] * 100).astype(np.int16)
        stored[:3] = -32768
        write_radar(tmp_path / f'iw_{key}.rtc.tiff', stored)
        raster = [{'scale': 0.01, 'offset': 0, 'nodata': -32768}]
        document['assets'][key]['raster:bands'] = raster
    image = RadarReader(save(tmp_path, document), GRID).read(GRID.all)
    np.testing.assert_allclose(image[:, 3:], decibels()[:, 3:], atol=0.006)
    assert np.isnan(image[:, :3]).all()


@pytest.mark.parametrize(
    ('keys', 'properties', 'fault'),
    [
        (('vv',), {}, "no asset of VH, but 'vv', 'tilejson'"),
        (('hh', 'hv'), {}, 'no asset of VV'),
        (('vv', 'vh'), {'platform': 'sentinel-2b'}, "'sentinel-2b' by its platform"),
    ],
)
def test_radar_items_of_no_use(tmp_path, keys, properties, fault):
    path = radar_item(tmp_path, ('vv', 'vh'))
    path = radar_item(tmp_path, keys, **properties)
    with pytest.raises(SceneError, match=fault):
        describe_radar(path)


def test_radar_elsewhere(tmp_path):
    path = radar_item(tmp_path)
    (tmp_path / 'iw_vh.rtc.tiff').unlink()
    with pytest.raises(SceneError, match=r'iw_vh.*`trusted`'):
        describe_radar(path)


def test_items_in_folders(tmp_path):
    (tmp_path / 'a').mkdir()
    first, _ = planetary(tmp_path / 'a', '05.00')
    # Of its rasters, the folder is the product
    assert optical_in(tmp_path / 'a') == [tmp_path / 'a']
    for i in range(2):
        folder = tmp_path / 'items' / str(i)
        folder.mkdir(parents=True)
        shutil.copy(first, folder / 'item.json')
        (folder / 'other.json').write_text('{}')
    found = optical_in(tmp_path / 'items')
    assert found == [tmp_path / 'items' / str(i) / 'item.json' for i in range(2)]
    assert all(map(is_item, found))
    (tmp_path / 'radar' / 'x').mkdir(parents=True)
    radar = radar_item(tmp_path / 'radar' / 'x')
    for key in ('vv', 'vh'):
        (radar.parent / f'iw_{key}.rtc.tiff').unlink()
    assert radar_in(tmp_path / 'radar') == [radar]


def test_inspected(tmp_path):
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
    optical, _ = planetary(tmp_path / 'a', '05.10')
    radar = radar_item(tmp_path / 'b')
    (found,) = inspect(optical)
    assert found.what == 's2'
    assert found.facts['offset'] == 1000
    assert 'STAC' in found.facts['form']
    assert [found.what for found in inspect(radar)] == ['s1']
