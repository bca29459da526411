# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import shutil

import numpy as np
import pytest
import rasterio
from optical_files import SIZE, full_size, numbers
from optical_files import write as write_optical
from rasterio.transform import from_origin
from scene_files import GRID, decibels, power

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.listing import optical_in, radar_in
from torchgeo_tdpcr.datasets.scenes.formats.polarisations import describe_radar
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.inspection import inspect
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader
from torchgeo_tdpcr.datasets.sources import trusting

ALL = PixelBox(0, 0, SIZE, SIZE)

DOCUMENT = """<?xml version="1.0" encoding="ISO-8859-1"?>
<Dimap_Document name="product.dim">
    <Metadata_Id>
        <METADATA_FORMAT version="2.12.1">DIMAP</METADATA_FORMAT>
    </Metadata_Id>
    <Production>
        <PRODUCT_SCENE_RASTER_START_TIME>{time}</PRODUCT_SCENE_RASTER_START_TIME>
    </Production>
    <Data_Access>
        <DATA_FILE_FORMAT>ENVI</DATA_FILE_FORMAT>{files}
    </Data_Access>
    <Image_Interpretation>{bands}
    </Image_Interpretation>
</Dimap_Document>"""

FILE = """
        <Data_File>
            <DATA_FILE_PATH href="{href}" />
            <BAND_INDEX>{i}</BAND_INDEX>
        </Data_File>"""

BAND = """
        <Spectral_Band_Info>
            <BAND_INDEX>{i}</BAND_INDEX>
            <BAND_NAME>{name}</BAND_NAME>
            <PHYSICAL_UNIT>{unit}</PHYSICAL_UNIT>
            <SCALING_FACTOR>{scale}</SCALING_FACTOR>
            <SCALING_OFFSET>{offset}</SCALING_OFFSET>
            <LOG10_SCALED>{log}</LOG10_SCALED>
            <NO_DATA_VALUE_USED>{used}</NO_DATA_VALUE_USED>
            <NO_DATA_VALUE>{nodata}</NO_DATA_VALUE>
        </Spectral_Band_Info>"""

VIRTUAL = """
        <Spectral_Band_Info>
            <BAND_INDEX>90</BAND_INDEX>
            <BAND_NAME>{name}</BAND_NAME>
            <VIRTUAL_BAND>true</VIRTUAL_BAND>
            <EXPRESSION>x</EXPRESSION>
        </Spectral_Band_Info>"""


def save(
    folder,
    bands,
    scale=1.0,
    offset=0.0,
    unit='dl',
    nodata=None,
    log=False,
    virtual=(),
    time='04-JUN-2020 10:00:31.024000',
    name='product',
    href='{name}.data/{band}.hdr',
):
    """What SNAP saves: of bands by name, each its array and resolution."""
    folder.mkdir(parents=True, exist_ok=True)
    for band, (array, resolution) in bands.items():
        file = folder / f'{name}.data' / f'{band}.img'
        file.parent.mkdir(exist_ok=True)
        # The command `torchgeo` sets this otherwise for its whole process, and ENVI's
        # driver looks for what it has just written
        settings = rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN='FALSE')
        with (
            settings,
            rasterio.open(
                file,
                'w',
                driver='ENVI',
                count=1,
                height=array.shape[0],
                width=array.shape[1],
                dtype=array.dtype,
                crs='EPSG:32632',
                transform=from_origin(6e5, 5e6, resolution, resolution),
            ) as raster,
        ):
            raster.write(array, 1)
        # SNAP writes neither this
        file.with_suffix('.img.aux.xml').unlink(missing_ok=True)
    described = [
        BAND.format(
            i=i,
            name=band,
            unit=unit,
            scale=scale,
            offset=offset,
            log=str(log).lower(),
            used=str(nodata is not None).lower(),
            nodata=nodata or 0.0,
        )
        for i, band in enumerate(bands)
    ]
    files = [
        FILE.format(i=i, href=href.format(name=name, band=band))
        for i, band in enumerate(bands)
    ]
    path = folder / f'{name}.dim'
    path.write_text(
        DOCUMENT.format(
            time=time,
            files=''.join(files),
            bands=''.join(
                described + [VIRTUAL.format(name=computed) for computed in virtual]
            ),
        )
    )
    return path


def sentinel2(low=1200, dtype=np.uint16):
    return {
        'B2': (numbers(1, low=low, seed=1)[0].astype(dtype), 10),
        'B3': (numbers(1, low=low, seed=2)[0].astype(dtype), 10),
        'B8A': (numbers(1, SIZE // 2, low=low, seed=3)[0].astype(dtype), 20),
    }


@pytest.mark.parametrize(('offset', 'low'), [(-0.1, 1200), (0.0, 10)])
@pytest.mark.parametrize('given', ['.dim', '.data'])
def test_sentinel_2(tmp_path, given, offset, low):
    bands = sentinel2(low)
    # Computed when looked at, and other things that have the names of bands
    others = {
        'view_zenith_B2': (np.ones((SIZE, SIZE), np.float32), 10),
        'B_detector_footprint_B2': (np.ones((SIZE, SIZE), np.uint8), 10),
    }
    path = save(tmp_path, others | bands, 1e-4, offset, virtual=['B11', 'ndvi'])
    product = find_optical(path.with_suffix(given))
    assert product.form == 'dimap'
    assert product.path == path
    assert product.date.isoformat() == '2020-06-04T10:00:31.024000+00:00'
    reader = OpticalReader(product)
    assert reader.bands == ('B2', 'B3', 'B8A')
    assert reader.offset == -offset * 10_000
    image, valid = reader.read(ALL)
    assert valid.all()
    assert image.dtype == np.uint16
    for array, (stored, resolution) in zip(image, bands.values(), strict=True):
        np.testing.assert_array_equal(array, full_size(stored, resolution))


def test_scale_that_is_none_of_digital_numbers(tmp_path):
    stored = {name: (array // 40, size) for name, (array, size) in sentinel2().items()}
    product = find_optical(save(tmp_path, stored, 0.004, 0.0))
    reader = OpticalReader(product)
    assert reader.offset == 0
    image, _ = reader.read(ALL)
    np.testing.assert_allclose(image[0], stored['B2'][0] * 40.0, rtol=1e-6)


def test_reflectance_whatever_the_baseline(tmp_path):
    name = 'S2A_MSIL2A_20220604T100031_N0400_R122_T32TQM_20220604T121222_resampled'
    bands = {
        band: ((array / 10_000).astype(np.float32), size)
        for band, (array, size) in sentinel2(100).items()
    }
    reader = OpticalReader(find_optical(save(tmp_path, bands, name=name)))
    assert reader.offset == 0
    image, _ = reader.read(ALL)
    np.testing.assert_allclose(image[0], bands['B2'][0] * 10_000, rtol=1e-6)


def test_baseline_that_contradicts_the_scaling(tmp_path):
    name = 'S2A_MSIL2A_20220604T100031_N0400_R122_T32TQM_20220604T121222'
    path = save(tmp_path, sentinel2(), 1e-4, 0.0, name=name)
    with pytest.raises(SceneError, match=r'contradicts.*04\.00.*Give `offset`'):
        OpticalReader(find_optical(path))


def test_nodata_of_sentinel_2(tmp_path):
    bands = {name: (array.copy(), size) for name, (array, size) in sentinel2().items()}
    bands['B2'][0][:5] = 65_000
    product = find_optical(save(tmp_path, bands, 1e-4, -0.1, nodata=65_000.0))
    assert product.nodata == 65_000
    _, valid = OpticalReader(product).read(ALL)
    assert not valid[:5].any()
    assert valid[5:].all()


def test_scene_classification(tmp_path):
    classes = np.full((SIZE // 2, SIZE // 2), 4, np.uint8)
    bands = sentinel2() | {'quality_scene_classification': (classes, 20)}
    product = find_optical(save(tmp_path, bands))
    assert product.clouds.kind == 'scl'
    assert product.clouds.path.endswith('quality_scene_classification.img')


def sentinel1(prefix='Sigma0', ending='', array=None):
    array = power(decibels()) if array is None else array
    return {
        f'{prefix}_{name}{ending}': (band, 10)
        for name, band in zip(('VH', 'VV'), array[::-1], strict=True)
    }


@pytest.mark.parametrize(
    ('prefix', 'ending', 'unit', 'array', 'scale'),
    [
        ('Sigma0', '', 'intensity', power(decibels()), 'linear'),
        ('Gamma0', '_db', 'intensity_db', decibels(), 'db'),
    ],
)
@pytest.mark.parametrize('given', ['.dim', '.data'])
def test_sentinel_1(tmp_path, prefix, ending, unit, array, scale, given):
    bands = sentinel1(prefix, ending, array)
    others = {'localIncidenceAngle': (array[0], 10)} | sentinel1('Beta0')
    path = save(tmp_path, bands | others, unit=unit, virtual=['Sigma0_VV_use_local'])
    radar = describe_radar(path.with_suffix(given))
    assert radar.form == 'dimap'
    assert radar.order == 'named'
    assert radar.scale.scale == scale
    assert radar.date.hour == 10
    reader = RadarReader(path.with_suffix(given), GRID)
    assert reader.scale == scale
    np.testing.assert_allclose(reader.read(GRID.all), decibels(), atol=1e-4)


def test_amplitude_is_told(tmp_path):
    array = np.sqrt(power(decibels()))
    path = save(tmp_path, sentinel1('Amplitude', array=array), unit='amplitude')
    assert describe_radar(path).scale.scale == 'amplitude'
    image = RadarReader(path, GRID).read(GRID.all)
    np.testing.assert_allclose(image, decibels(), atol=1e-4)


@pytest.mark.parametrize(
    ('names', 'array', 'scale'),
    [
        (('VV', 'VH'), power(decibels()), 'linear'),
        (('vv', 'vh'), decibels(), 'db'),
        (('VV_db', 'VH_db'), decibels(), 'db'),
        (('VVdB', 'VHdB'), decibels(), 'db'),
    ],
)
def test_names_of_nothing_but_the_polarisation(tmp_path, names, array, scale):
    bands = {name: (array[i], 10) for i, name in enumerate(names)}
    junk = sentinel1('Intensity', array=np.full_like(decibels(), 3e4))
    reader = RadarReader(save(tmp_path, bands | junk), GRID)
    assert reader.scale == scale
    np.testing.assert_allclose(reader.read(GRID.all), decibels(), atol=1e-4)


def test_power_before_decibels_and_calibrated_before_others(tmp_path):
    junk = np.full_like(decibels(), 3e4)
    bands = (
        sentinel1('Intensity', array=junk)
        | sentinel1('Gamma0', '_db', array=decibels() + 50)
        | sentinel1('Gamma0')
    )
    vv, vh = describe_radar(save(tmp_path, bands)).bands
    assert vv.path.endswith('Gamma0_VV.img')
    assert vh.path.endswith('Gamma0_VH.img')


def test_scaling_and_nodata_of_sentinel_1(tmp_path):
    stored = np.round(decibels() * 100).astype(np.int16)
    stored[:, :3] = -32768
    bands = sentinel1('Sigma0', '_db', stored)
    path = save(tmp_path, bands, 0.01, nodata=-32768.0, unit='intensity_db')
    image = RadarReader(path, GRID).read(GRID.all)
    np.testing.assert_allclose(image[:, 3:], decibels()[:, 3:], atol=0.006)
    assert np.isnan(image[:, :3]).all()


@pytest.mark.parametrize(
    'given', ['', 'x.data/Sigma0_VV.img', 'x.data/Sigma0_VH.img', 'pair', 'swapped']
)
def test_scaling_of_rasters_beside_the_dim(tmp_path, given):
    bands = sentinel1(array=power(decibels()) * 2)
    path = save(tmp_path, bands, 0.5, unit='intensity', name='x')
    files = [path.with_suffix('.data') / f'Sigma0_{name}.img' for name in ('VV', 'VH')]
    source = {'pair': files, 'swapped': files[::-1]}.get(given, tmp_path / given)
    radar = describe_radar(source)
    assert radar.date.isoformat() == '2020-06-04T10:00:31.024000+00:00'
    assert radar.scale.scale == 'linear'
    image = RadarReader(source, GRID).read(GRID.all)
    np.testing.assert_allclose(image, decibels(), atol=1e-4)


def test_bands_of_a_folder_are_those_of_its_dim(tmp_path):
    save(tmp_path, sentinel1() | sentinel1('Sigma0', '_db', decibels()), name='x')
    assert describe_radar(tmp_path).form == 'dimap'
    assert describe_radar(tmp_path).bands[0].path.endswith('Sigma0_VV.img')


def test_declared_order(tmp_path):
    path = save(tmp_path, sentinel1(array=power(decibels())[::-1]), name='x')
    with pytest.raises(SceneError, match=r"say so by `polarisations=\['VV', 'VH'\]`"):
        RadarReader(path, GRID)
    radar = describe_radar(path, polarisations=('VV', 'VH'))
    image = RadarReader(radar, GRID).read(GRID.all)
    np.testing.assert_allclose(image, decibels()[::-1], atol=1e-4)
    with pytest.raises(SceneError, match=r"x\.dim': has VV and VH .*Leave it out"):
        describe_radar(path, polarisations=('VH', 'VV'))


def test_a_raster_that_the_dim_says_is_a_logarithm(tmp_path):
    path = save(tmp_path, sentinel1(), log=True, name='x')
    with pytest.raises(SceneError, match=r"x\.dim': holds Sigma0_VV as a logarithm"):
        describe_radar(path.with_suffix('.data') / 'Sigma0_VV.img')


@pytest.mark.parametrize(
    ('bands', 'fault'),
    [
        (sentinel1('Beta0'), 'exactly one band of VV.*it holds Beta0_VH, Beta0_VV'),
        ({'Sigma0_VV': (decibels()[0], 10)}, 'holds VV only: Sigma0_VV. VH is needed'),
        ({'VH': (decibels()[1], 10)}, 'holds VH only: VH. VV is needed'),
        (
            {f'Sigma0_{name}': (decibels()[0], 10) for name in ('HH', 'HV')},
            'holds HH and HV, but VV and VH are needed',
        ),
        ({'Intensity_HH': (decibels()[0], 10)}, 'holds HH, but VV and VH are needed'),
        (
            {f'coh_{name}': (decibels()[0], 10) for name in ('VV', 'VH')},
            'exactly one band of VV.*it holds coh_VV, coh_VH',
        ),
        (sentinel1('Sigma0') | sentinel1('Gamma0'), 'both gamma0 and sigma0'),
        (
            {f'Sigma0_VV_{i}': (decibels()[0], 10) for i in ('mst', 'slv')}
            | {'Sigma0_VH': (decibels()[1], 10)},
            'exactly one band of VV',
        ),
        ({}, 'it holds none with a raster'),
    ],
)
def test_radar_of_no_use(tmp_path, bands, fault):
    with pytest.raises(SceneError, match=fault):
        describe_radar(save(tmp_path, bands))


def test_optical_of_no_use(tmp_path):
    with pytest.raises(SceneError, match='no bands of Sentinel-2, but Sigma0_VH'):
        find_optical(save(tmp_path, sentinel1()))


@pytest.mark.parametrize(
    ('options', 'fault'),
    [
        ({'scale': 'x'}, "the SCALING_FACTOR of B2 'x'"),
        ({'scale': 'inf'}, 'the SCALING_FACTOR of B2 inf'),
        ({'scale': 0}, 'the SCALING_FACTOR 0 of B2'),
        ({'offset': 'nan'}, 'the SCALING_OFFSET of B2 nan'),
        ({'log': True}, 'holds B2 as a logarithm'),
        ({'time': '04-JUN-1999 10:00:31.024000'}, 'no Sentinel was in orbit'),
    ],
)
def test_malformed_values(tmp_path, options, fault):
    with pytest.raises(SceneError, match=fault):
        find_optical(save(tmp_path, sentinel2(), **options))


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        ('<Dimap_Document/>', 'no product of SNAP'),
        ('<Other><Image_Interpretation/></Other>', "its XML is 'Other'"),
        ('<Dimap_Document>', 'no valid XML'),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Dimap_Document/>', 'a document type'),
        ('', 'no valid XML'),
    ],
)
def test_malformed_documents(tmp_path, text, fault):
    path = tmp_path / 'product.dim'
    path.write_text(text)
    with pytest.raises(SceneError, match=fault):
        find_optical(path)


@pytest.mark.parametrize('time', ['', 'yesterday', '04-XYZ-2020 10:00:31.024000'])
def test_unknown_date_is_that_of_the_name(tmp_path, time):
    path = save(tmp_path, sentinel2(), 1e-4, -0.1, time=time, name='S2_20210605')
    assert find_optical(path).date.isoformat() == '2021-06-05T00:00:00+00:00'


def test_rasters_that_are_missing(tmp_path):
    path = save(tmp_path, sentinel2(), 1e-4, -0.1)
    (tmp_path / 'product.data' / 'B3.img').unlink()
    with pytest.raises(SceneError, match=r'B3\.img'):
        find_optical(path)


@pytest.mark.parametrize('href', ['..', '/', 'a' * 5000])
def test_addresses_that_are_none(tmp_path, href):
    path = save(tmp_path, sentinel2(), 1e-4, -0.1, href=href)
    with pytest.raises(SceneError, match=r'leads to .*(no file|not in)'):
        find_optical(path)


@pytest.mark.parametrize('href', ['../other/{band}.hdr', '{tmp}/other/{band}.hdr'])
def test_rasters_elsewhere_only_if_trusted(tmp_path, href):
    folder = tmp_path / 'in'
    href = href.replace('{tmp}', str(tmp_path))
    path = save(folder, sentinel2(), 1e-4, -0.1, href=href)
    shutil.move(folder / 'product.data', tmp_path / 'other')
    (folder / 'product.data').mkdir()
    with pytest.raises(SceneError, match=r"leads to '.*B2\.hdr'.*`trusted`"):
        find_optical(path)
    with trusting():
        assert list(find_optical(path).bands) == ['B2', 'B3', 'B8A']


def test_product_that_was_renamed(tmp_path):
    path = save(tmp_path, sentinel2(), 1e-4, -0.1)
    (tmp_path / 'product.data').rename(tmp_path / 'other.data')
    path = path.rename(tmp_path / 'other.dim')
    product = find_optical(path)
    assert product.name == 'other'
    assert len(product.bands) == 3


def test_in_folders(tmp_path):
    optical = [save(tmp_path / 's2', sentinel2(), name=name) for name in ('a', 'b')]
    single = write_optical(tmp_path / 's2' / 'c.tif', numbers())
    assert optical_in(tmp_path / 's2') == [*optical, single]
    assert optical_in(tmp_path / 's2' / 'a.data') == [tmp_path / 's2' / 'a.data']
    radar = [save(tmp_path / 's1', sentinel1(), name=name) for name in ('a', 'b')]
    assert radar_in(tmp_path / 's1') == radar
    assert radar_in(tmp_path / 's1' / 'a.data') == [tmp_path / 's1' / 'a.data']


def test_inspected(tmp_path):
    optical = save(tmp_path / 's2', sentinel2(), 1e-4, -0.1)
    radar = save(tmp_path / 's1', sentinel1(), unit='intensity')
    assert [found.what for found in inspect(optical)] == ['s2']
    assert [found.what for found in inspect(radar)] == ['s1']
    assert [found.what for found in inspect(radar.with_suffix('.data'))] == ['s1']
    both = save(tmp_path / 's2', sentinel1(), name='x')
    found = inspect(tmp_path / 's2')
    assert [(one.path, one.what) for one in found] == [(optical, 's2'), (both, 's1')]
    (found,) = inspect(optical)
    assert found.facts['offset'] == 1000
    assert 'BEAM-DIMAP' in found.facts['form']
    assert not found.refused
