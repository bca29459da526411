# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import json
import shutil
import zipfile

import numpy as np
import pytest
import rasterio
from optical_files import SIZE, full_size, numbers

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.listing import optical_in, radar_in
from torchgeo_tdpcr.datasets.scenes.formats.polarisations import describe_radar
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.inspection import inspect
from torchgeo_tdpcr.datasets.scenes.windows.clouds import CloudReader
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader
from torchgeo_tdpcr.datasets.sources import DistrustError, open_raster, trusting

ALL = PixelBox(0, 0, SIZE, SIZE)
NAME = 'S02MSIL2A_20220604T100031_0000_A022_T555.zarr'

#: Bands by group, as in level 2A.
GROUPS = {10: ('b02', 'b04'), 20: ('b04', 'b8a'), 60: ('b01', 'b09')}
RESOLUTIONS = {'B1': 60, 'B2': 10, 'B4': 10, 'B8A': 20, 'B9': 60}
SCALED = {'scale_factor': 0.0001, 'add_offset': -0.1}


def write_group(path, version=2, **attributes):
    path.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (path / '.zgroup').write_text('{"zarr_format": 2}')
        (path / '.zattrs').write_text(json.dumps(attributes))
    else:
        about = {'zarr_format': 3, 'node_type': 'group', 'attributes': attributes}
        (path / 'zarr.json').write_text(json.dumps(about))


def write_array(path, array, dimensions, version=2, fill=0, **attributes):
    """An array of chunks that are not compressed; several where it has two dimensions."""
    path.mkdir(parents=True)
    chunks = [-(-size // (3 if array.ndim == 2 else 1)) for size in array.shape]
    if version == 2:
        about = {
            'zarr_format': 2,
            'shape': array.shape,
            'chunks': chunks,
            'dtype': array.dtype.str,
            'compressor': None,
            'fill_value': fill,
            'filters': None,
            'order': 'C',
        }
        (path / '.zarray').write_text(json.dumps(about))
        attributes = {'_ARRAY_DIMENSIONS': dimensions, **attributes}
        (path / '.zattrs').write_text(json.dumps(attributes))
    else:
        little = {'name': 'bytes', 'configuration': {'endian': 'little'}}
        about = {
            'zarr_format': 3,
            'node_type': 'array',
            'shape': array.shape,
            'data_type': array.dtype.name,
            'chunk_grid': {
                'name': 'regular',
                'configuration': {'chunk_shape': chunks},
            },
            'chunk_key_encoding': {'name': 'default'},
            'fill_value': fill,
            'codecs': [little],
            'dimension_names': dimensions,
            'attributes': attributes,
        }
        (path / 'zarr.json').write_text(json.dumps(about))
    whole = np.zeros([3 * c if array.ndim == 2 else c for c in chunks], array.dtype)
    whole[tuple(map(slice, array.shape))] = array
    for place in np.ndindex(
        *(n // c for n, c in zip(whole.shape, chunks, strict=True))
    ):
        part = whole[
            tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, chunks, strict=True))
        ]
        name = '.'.join(map(str, place))
        chunk = path / (name if version == 2 else 'c/' + name.replace('.', '/'))
        chunk.parent.mkdir(parents=True, exist_ok=True)
        chunk.write_bytes(part.tobytes())


def write_resolution(group, resolution, arrays, version=2, **attributes):
    """Arrays of a resolution, and the coordinates of their pixels' centres."""
    write_group(group, version)
    size = SIZE * 10 // resolution
    centres = (np.arange(size) + 0.5) * resolution
    x, y = (6e5 + centres).astype('<i8'), (5e6 - centres).astype('<i8')
    write_array(group / 'x', x, ['x'], version)
    write_array(group / 'y', y, ['y'], version)
    for name, array in arrays.items():
        write_array(group / name, array, ['y', 'x'], version, **attributes)


def write_store(
    folder, version=2, name=NAME, attributes=None, low=1200, dtype='<u2', **root
):
    """A product of level 2A; returns it and its bands, each as stored and the finest."""
    store = folder / name
    attributes = SCALED | {'proj:epsg': 32632} if attributes is None else attributes
    root = root or {
        'stac_discovery': {
            'type': 'Feature',
            'properties': {
                'datetime': '2022-06-04T10:00:31.024000Z',
                'platform': 'sentinel-2a',
                'processing:version': '05.11' if attributes.get('add_offset') else '',
            },
        }
    }
    write_group(store, version, **root)
    stored = {}
    for part in ('measurements', 'measurements/reflectance'):
        write_group(store / part, version)
    for resolution, names in GROUPS.items():
        arrays = {
            name: numbers(1, SIZE * 10 // resolution, low, seed=i + resolution)[0]
            for i, name in enumerate(names)
        }
        arrays = {name: array.astype(dtype) for name, array in arrays.items()}
        group = store / f'measurements/reflectance/r{resolution}m'
        write_resolution(group, resolution, arrays, version, **attributes)
        for name, array in arrays.items():
            band = f'B{name[1:].lstrip("0").upper()}'
            stored.setdefault(band, array)
    return store, stored


def write_classes(store, version=2, **attributes):
    classes = np.full((SIZE // 2, SIZE // 2), 4, np.uint8)
    classes[:10] = 9
    group = store / 'conditions/mask/l2a_classification/r20m'
    write_resolution(group, 20, {'scl': classes}, version, **attributes)


def check_values(reader, stored):
    image, valid = reader.read(ALL)
    assert valid.all()
    for band, array in zip(reader.bands, image, strict=True):
        expected = full_size(stored[band], RESOLUTIONS[band])[:SIZE, :SIZE]
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize('version', [2, 3])
@pytest.mark.parametrize(('offset', 'low'), [(-0.1, 1200), (0, 10)])
def test_values_place_and_offset(tmp_path, version, offset, low):
    attributes = SCALED | {'add_offset': offset, 'proj:epsg': 32632}
    store, stored = write_store(tmp_path, version, attributes=attributes, low=low)
    write_classes(store, version, **{'proj:epsg': 32632})
    product = find_optical(store)
    assert product.form == 'eopf'
    assert product.name == NAME.removesuffix('.zarr')
    assert product.date.isoformat() == '2022-06-04T10:00:31.024000+00:00'
    reader = OpticalReader(product)
    assert reader.bands == tuple(RESOLUTIONS)
    assert reader.offset == -offset * 10_000
    assert reader.grid.crs.to_epsg() == 32632
    assert reader.grid.transform == rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)
    check_values(reader, stored)
    assert product.clouds.kind == 'scl'
    cloudy = CloudReader(product.clouds, reader.grid).read(ALL)
    assert cloudy[:20].all()
    assert not cloudy[20:].any()


@pytest.mark.parametrize(
    'root',
    [
        {'stac_discovery': {'properties': {'proj:epsg': 32632}}},
        {'stac_discovery': {'properties': {'proj:code': 'EPSG:32632'}}},
        {'other_metadata': {'horizontal_CRS_code': 'EPSG:32632'}},
    ],
)
def test_what_only_the_store_and_its_attributes_say(tmp_path, root):
    attributes = {'_eopf_attrs': SCALED | {'dtype': '<u2', 'fill_value': 0}}
    store, stored = write_store(tmp_path, attributes=attributes, **root)
    # Where it lies, this does not say, and a mask is read by itself
    write_classes(store)
    product = find_optical(store)
    assert product.date.isoformat() == '2022-06-04T10:00:31+00:00'
    assert product.clouds is None
    reader = OpticalReader(product)
    assert reader.offset == 1000
    assert reader.grid.crs.to_epsg() == 32632
    check_values(reader, stored)


def test_reflectance(tmp_path):
    """As who decodes it writes it: no scale, NaN where it is missing."""
    name = 'S2A_MSIL2A_20220604T100031_N0400_R122_T32TQM_20220604T121222.zarr'
    attributes = {'proj:epsg': 32632, '_FillValue': float('nan'), '_eopf_attrs': SCALED}
    store, stored = write_store(tmp_path, name=name, attributes=attributes, dtype='<f4')
    for band in stored:
        stored[band] = stored[band] / np.float32(20_000)
    for path in store.glob('measurements/reflectance/r*m/b*/*.*'):
        if not path.name.startswith('.'):
            (np.frombuffer(path.read_bytes(), '<f4') / 20_000).tofile(path)
    reader = OpticalReader(find_optical(store))
    assert reader.offset == 0
    image, _ = reader.read(ALL)
    np.testing.assert_allclose(image[1], stored['B2'] * 10_000, rtol=1e-6)


def test_missing_pixels(tmp_path):
    attributes = SCALED | {'proj:epsg': 32632, '_FillValue': 65535}
    store, _ = write_store(tmp_path, attributes=attributes)
    array = numbers(1, low=1200)[0]
    array[:5] = 65535
    group = store / 'measurements/reflectance/r10m'
    shutil.rmtree(group / 'b02')
    write_array(group / 'b02', array, ['y', 'x'], **attributes)
    _, valid = OpticalReader(find_optical(store), ['B2', 'B4']).read(ALL)
    assert not valid[:5].any()
    assert valid[5:].all()


def test_compressed_as_esa_does(tmp_path):
    """Blosc: an array that GDAL wrote, in the place of one."""
    store, stored = write_store(tmp_path)
    profile = {'driver': 'Zarr', 'dtype': 'uint16', 'count': 1, 'crs': 'EPSG:32632'}
    profile |= {
        'width': SIZE,
        'height': SIZE,
        'COMPRESS': 'BLOSC',
        'BLOCKSIZE': '30,30',
    }
    profile |= {'transform': rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)}
    with rasterio.open(tmp_path / 'b02.zarr', 'w', **profile) as raster:
        raster.write(stored['B2'], 1)
    array = store / 'measurements/reflectance/r10m/b02'
    assert 'blosc' in (tmp_path / 'b02.zarr/b02/.zarray').read_text()
    attributes = (array / '.zattrs').read_text()
    shutil.rmtree(array)
    shutil.move(tmp_path / 'b02.zarr/b02', array)
    (array / '.zattrs').write_text(attributes)
    check_values(OpticalReader(find_optical(store)), stored)


@pytest.mark.parametrize('part', ['.zattrs', 'measurements', 'measurements/.zgroup'])
def test_part_of_a_store_stands_for_it(tmp_path, part):
    store, _ = write_store(tmp_path)
    assert find_optical(store / part).path == store


def test_baseline_that_contradicts(tmp_path):
    name = 'S2A_MSIL2A_20200604T100031_N0209_R122_T32TQM_20200604T121222.zarr'
    store, _ = write_store(tmp_path, name=name)
    with pytest.raises(SceneError, match=r'02\.09.*but.*Give `offset`'):
        OpticalReader(find_optical(store))


@pytest.mark.parametrize(
    ('attributes', 'fault'),
    [
        ({'scale_factor': 'x'}, "scale_factor 'x'"),
        ({'scale_factor': 0}, 'scale_factor 0'),
        ({'add_offset': float('inf')}, 'add_offset inf, which is not finite'),
        ({'add_offset': [1]}, r'add_offset \[1\]'),
    ],
)
def test_malformed_attributes(tmp_path, attributes, fault):
    attributes = SCALED | {'proj:epsg': 32632} | attributes
    store, _ = write_store(tmp_path, attributes=attributes)
    with pytest.raises(SceneError, match=fault):
        find_optical(store)


def test_malformed_stores(tmp_path):
    store, _ = write_store(tmp_path)
    (store / '.zattrs').write_text('{')
    with pytest.raises(SceneError, match=r'\.zattrs.*no valid JSON'):
        find_optical(store)
    (store / '.zattrs').write_text('{"stac_discovery": {"properties": 3}}')
    with pytest.raises(SceneError, match="'properties' in 'stac_discovery'"):
        find_optical(store)
    (store / '.zattrs').write_text('{}')
    (store / 'measurements/reflectance/r10m/b02/.zarray').write_text('{}')
    with pytest.raises(SceneError, match=r'b02.*cannot be read'):
        find_optical(store)


def test_store_without_a_place(tmp_path):
    store, _ = write_store(tmp_path, attributes=SCALED)
    with pytest.raises(SceneError, match='no coordinate reference system'):
        OpticalReader(find_optical(store))


def test_other_stores(tmp_path):
    write_group(tmp_path / 'era5.zarr')
    write_group(tmp_path / 'era5.zarr/temperature')
    with pytest.raises(SceneError, match=r'no Sentinel-2.*temperature.*gdal_translate'):
        find_optical(tmp_path / 'era5.zarr')


@pytest.mark.parametrize('name', ['s2.zarr.zip', 's2.zip'])
def test_zips_are_refused_by_name(tmp_path, name):
    store, _ = write_store(tmp_path)
    with zipfile.ZipFile(tmp_path / name, 'w') as archive:
        for path in store.rglob('*'):
            archive.write(path, path.relative_to(tmp_path))
    for read in (find_optical, describe_radar):
        with pytest.raises(SceneError, match=r'is a.* Zarr'):
            read(tmp_path / name)


def test_radar_is_refused_by_name(tmp_path):
    write_group(tmp_path / 's1.zarr')
    with pytest.raises(SceneError, match=r'is a Zarr store.*Calibrate'):
        describe_radar(tmp_path / 's1.zarr')


def test_in_folders(tmp_path):
    stores = [
        write_store(tmp_path / 's2', name=name)[0] for name in ('a.zarr', 'b.zarr')
    ]
    assert optical_in(tmp_path / 's2') == stores
    assert optical_in(stores[0]) == [stores[0]]
    with pytest.raises(SceneError, match='no Sentinel-1 rasters'):
        radar_in(tmp_path / 's2')


def test_what_refers_to_pixels_elsewhere_is_not_opened(tmp_path):
    """A file of Kerchunk beside an array makes GDAL look for pixels where it says."""
    store, _ = write_store(tmp_path)
    array = store / 'measurements/reflectance/r10m/b02'
    (array / '.zmetadata').write_text('{"record_size": 10, "metadata": {}}')
    with pytest.raises(DistrustError, match='`trusted`'):
        open_raster(array)
    with pytest.raises(SceneError, match='other files'):
        find_optical(store)
    (array / '.zmetadata').unlink()
    open_raster(array).close()
    with trusting():
        open_raster(array).close()
    # A group is no raster
    with pytest.raises(OSError, match='folder'):
        open_raster(array.parent)


def test_references_of_kerchunk_are_no_store(tmp_path):
    for name in ('s2.json', 's2.zarr.json'):
        path = tmp_path / name
        refs = {'.zgroup': '{"zarr_format": 2}', 'b02/0.0': ['/etc/hostname', 0, 10]}
        path.write_text(json.dumps({'version': 1, 'refs': refs}))
        with pytest.raises(SceneError, match='no STAC item'):
            find_optical(path)


def test_inspected(tmp_path):
    store, _ = write_store(tmp_path)
    (found,) = inspect(store)
    assert found.what == 's2'
    assert found.facts['offset'] == 1000
    assert 'EOPF' in found.facts['form']
