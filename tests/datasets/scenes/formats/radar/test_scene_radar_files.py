# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Forms of Sentinel-1: which files and bands are VV and VH, and what is refused."""

import warnings
import zipfile

import numpy as np
import pytest
import rasterio
from optical_files import numbers
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from scene_files import GRID, decibels, power, write

from torchgeo_tdpcr.datasets.scenes import pair_scenes
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.declared import declare
from torchgeo_tdpcr.datasets.scenes.formats.form import table
from torchgeo_tdpcr.datasets.scenes.formats.listing import radar_in
from torchgeo_tdpcr.datasets.scenes.formats.polarisations import (
    RADAR_FORMS,
    describe_radar,
    find_radar,
)
from torchgeo_tdpcr.datasets.scenes.formats.radar.files import read_raster
from torchgeo_tdpcr.datasets.scenes.formats.rasters import RasterFiles
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader

HYP3 = 'S1A_IW_20200604T051422_DVP_RTC10_G_{}_1234'
BESIDE = ('area', 'dem', 'inc_map', 'inc_map_ell', 'ls_map', 'rgb')
GRD = 's1a-iw-grd-{}-20200604t051422-20200604t051447-032866-03CE8A-00{}.tiff'


def hyp3(folder, scale='gpuned'):
    """A product of HyP3, in power or amplitude, with all that lies beside it."""
    name = HYP3.format(scale)
    array = power(decibels()) if scale[1] == 'p' else np.sqrt(power(decibels()))
    for polarisation, band in zip(('VV', 'VH'), array, strict=True):
        write(folder / name / f'{name}_{polarisation}.tif', band, nodata=0)
    for ending in BESIDE:
        write(folder / name / f'{name}_{ending}.tif', np.ones_like(array[0]))
    (folder / name / f'{name}.README.md.txt').touch()
    return folder / name


def zipped(folder, path):
    with zipfile.ZipFile(path, 'w') as archive:
        for file in folder.rglob('*'):
            archive.write(file, f'{folder.name}/{file.relative_to(folder)}')
    return path


def measurement(path, band, dtype='uint16'):
    """A raster as ESA delivers it: digital numbers, placed by ground control points."""
    points = [GroundControlPoint(r, c, c, -r) for r in (0, 9) for c in (0, 9)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(
            path, 'w', driver='GTiff', width=9, height=9, count=1, dtype=dtype
        ) as file:
            file.write(np.full((9, 9), 180 + band, dtype), 1)
            file.gcps = points, CRS.from_epsg(4326)
    return path


class TestHyP3:
    @pytest.mark.parametrize('place', ['folder', 'parent', 'zip', 'zip in a folder'])
    @pytest.mark.parametrize('scale', ['gpuned', 'sauned'])
    def test_product(self, tmp_path, place, scale):
        folder = hyp3(tmp_path / 'in', scale)
        path = folder
        if place == 'parent':
            path = folder.parent
        elif place != 'folder':
            (tmp_path / 'zips').mkdir()
            path = zipped(folder, tmp_path / 'zips' / f'{folder.name}.zip')
        given = path.parent if place == 'zip in a folder' else path
        s2 = write(tmp_path / 's2_20200604.tif', numbers(size=GRID.width))
        (pair,) = pair_scenes(s2, given)
        reader = RadarReader(pair.radar, GRID)
        assert reader.scale == ('linear' if scale[1] == 'p' else 'amplitude')
        np.testing.assert_allclose(reader.read(GRID.all), decibels(), atol=1e-4)
        assert (pair.radar.date.month, pair.radar.date.hour) == (6, 5)
        assert find_radar(path) == pair.radar.bands

    def test_only_what_belongs_to_it_is_left_out(self, tmp_path):
        folder = hyp3(tmp_path)
        other = write(folder / 'other.tif', decibels())
        assert radar_in(folder) == [folder / f'{folder.name}_VV.tif', other]

    def test_single_polarisation(self, tmp_path):
        folder = hyp3(tmp_path)
        (folder / f'{folder.name}_VH.tif').unlink()
        with pytest.raises(SceneError, match=r'1 rasters of VV and 0 of VH.*: VV only'):
            find_radar(folder)


class TestNames:
    @pytest.mark.parametrize(
        'name',
        [
            '{}.tif',
            'a_{}_crop.tif',
            'iw-{}.rtc.tiff',
            'Gamma0_{}.tif',
            'sigma0{}_db.tif',
            '2020-06-04-00_00_2020-06-04-23_59_Sentinel-1_IW_VV+VH_{}_(Raw).tiff',
            'S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48_{}.tif',
            's1_{}_002.tif',
        ],
    )
    @pytest.mark.parametrize('case', [str.upper, str.lower])
    def test_a_raster_a_polarisation(self, tmp_path, name, case):
        vv = write(tmp_path / name.format(case('vv')), decibels()[0])
        vh_name = name.format(case('vh')).replace('_002', '_001')
        vh = write(tmp_path / vh_name, decibels()[1])
        for path in (tmp_path, vv, vh):
            assert [band.path for band in find_radar(path)] == [str(vv), str(vh)]
        assert radar_in(tmp_path) == [vv]

    @pytest.mark.parametrize(
        ('vv', 'vh'),
        [
            ('VV', 'VH'),
            ('vv', 'vh'),
            ('Sigma0_VV', 'Sigma0_VH'),
            ('Gamma0_VV_db', 'Gamma0_VH_db'),
            ('VV_dB', 'VH_dB'),
            ('VVdB', 'VHdB'),
            ('vv_gamma0', 'vh_gamma0'),
            ('S1_VV', 'S1_VH'),
            ('20200604_VV', '20200604_VH'),
            ('Sigma0_IW1_VV_mst_04Jun2020', 'Sigma0_IW1_VH_mst_04Jun2020'),
        ],
    )
    @pytest.mark.parametrize('more', [(), ('angle',), ('VV/VH', 'VV_VH_ratio')])
    def test_descriptions(self, tmp_path, vv, vh, more):
        array = np.concatenate([decibels()[::-1], *[decibels()[:1]] * len(more)])
        path = write(tmp_path / 'a.tif', array, labels=(vh, vv, *more))
        product = describe_radar(path)
        assert [band.index for band in product.bands] == [2, 1]
        assert product.order == 'named'
        assert (product.scale is not None) == ('db' in vv.lower())
        np.testing.assert_array_equal(
            RadarReader(path, GRID).read(GRID.all), decibels()
        )

    @pytest.mark.parametrize('labels', [(), ('mask', 'own')])
    def test_a_mask_behind_a_polarisation(self, tmp_path, labels):
        for name, band in zip(('VV', 'VH'), decibels(), strict=True):
            stack = np.stack([np.ones_like(band), band] if labels else [band, band * 0])
            described = [label.replace('own', name) for label in labels]
            write(tmp_path / f'a_{name}.tif', stack, labels=described)
        for path in (tmp_path, tmp_path / 'a_VV.tif', tmp_path / 'a_VH.tif'):
            image = RadarReader(path, GRID).read(GRID.all)
            np.testing.assert_array_equal(image, decibels())

    def test_calibrated_before_what_is_not(self, tmp_path):
        labels = ('Amplitude_VV', 'Sigma0_VV', 'Amplitude_VH', 'Sigma0_VH')
        array = np.tile(decibels()[:1], (4, 1, 1))
        path = write(tmp_path / 'a.tif', array, labels=labels)
        assert [band.index for band in find_radar(path)] == [2, 4]

    def test_dates_of_folders(self, tmp_path):
        path = write(tmp_path / 'S1A_20200604' / 'vvvh.tif', decibels())
        assert describe_radar(path).date.day == 4


class TestDeclared:
    @pytest.mark.parametrize(
        ('order', 'indexes'),
        [(['vh', 'vv', 'angle'], [2, 1]), (['angle', 'VV', 'VH'], [2, 3])],
    )
    def test_order_is_taken_at_its_word(self, tmp_path, order, indexes):
        array = np.tile(decibels()[:1], (3, 1, 1))
        path = write(tmp_path / 'a.tif', array, labels=('VV', 'VH', 'x'))
        said = declare(polarisations=order).polarisations
        product = describe_radar(path, polarisations=said)
        assert [band.index for band in product.bands] == indexes
        assert product.order == 'declared'

    def test_another_number_of_bands(self, tmp_path):
        path = write(tmp_path / 'a.tif', decibels())
        with pytest.raises(
            SceneError,
            match=r"has 2 bands; `polarisations=\['VV', 'VH', 'X'\]` names 3",
        ):
            describe_radar(path, polarisations=('VV', 'VH', 'X'))

    def test_assumed(self, tmp_path):
        assert describe_radar(write(tmp_path / 'a.tif', decibels())).order == 'assumed'
        pair = [write(tmp_path / f'{i}.tif', decibels()[i]) for i in range(2)]
        assert describe_radar(pair).order == 'assumed'


class TestRefused:
    @pytest.mark.parametrize('level', ['grd', 'slc'])
    def test_measurements(self, tmp_path, level):
        names = [
            GRD.replace('grd', level).format(name, i)
            for i, name in enumerate(('vv', 'vh'), 1)
        ]
        paths = [
            measurement(tmp_path / 'measurement' / name, i)
            for i, name in enumerate(names)
        ]
        message = (
            rf'is a measurement of a {level.upper()} product.*uint16.*terrain-corr'
        )
        for path in (*paths, tmp_path / 'measurement'):
            with pytest.raises(SceneError, match=message):
                describe_radar(path)
        paths[1].unlink()
        with pytest.raises(SceneError, match=message):
            describe_radar(paths[0])

    def test_complex(self, tmp_path):
        path = write(tmp_path / 'a.tif', np.ones((2, 9, 9), np.complex64))
        with pytest.raises(SceneError, match='complex amplitudes of level SLC'):
            describe_radar(path)

    @pytest.mark.parametrize('kind', ['folder', 'zip', 'folder without ending'])
    def test_safe(self, tmp_path, kind):
        name = 'S1A_IW_GRDH_1SDV_20200604T051422_20200604T051447_032866_03CE8A_D1F3'
        folder = tmp_path / (name if kind.endswith('ending') else f'{name}.SAFE')
        folder.mkdir()
        (folder / 'manifest.safe').touch()
        path = zipped(folder, tmp_path / f'{name}.zip') if kind == 'zip' else folder
        with pytest.raises(SceneError, match=r'as ESA delivers it \(GRD\).*Calibrate'):
            describe_radar(path)

    @pytest.mark.parametrize(
        ('name', 'labels'),
        [
            ('a.tif', ('HH', 'HV')),
            ('a.tif', ('Sigma0_HH_db', 'Sigma0_HV_db')),
            ('a_HH.tif', ('',)),
            ('S1A_EW_GRDM_1SDH_20200604T051422.tif', ('', '')),
            ('S1A_IW_20200604T051422_DHP_RTC10_G_gpuned_1234_HV.tif', ('',)),
        ],
    )
    def test_other_polarisations(self, tmp_path, name, labels):
        path = write(tmp_path / name, decibels()[: len(labels)], labels=labels)
        with pytest.raises(SceneError, match=r'(HH|HV).*but VV and VH are needed'):
            describe_radar(path)
        if len(labels) == 1:
            with pytest.raises(SceneError, match=r'(HH|HV).*but VV and VH are needed'):
                describe_radar(tmp_path)

    @pytest.mark.parametrize('own', ['VV', 'VH'])
    def test_one_polarisation(self, tmp_path, own):
        other = 'VH' if own == 'VV' else 'VV'
        message = f'It holds {own} only, and beside it lies no raster.*{other}'
        with pytest.raises(SceneError, match=message):
            describe_radar(write(tmp_path / f'a_{own}.tif', decibels()[0]))
        with pytest.raises(SceneError, match=message):
            describe_radar(write(tmp_path / 'b.tif', decibels()[0], labels=(own,)))
        array = np.tile(decibels()[:1], (2, 1, 1))
        with pytest.raises(
            SceneError, match=f'and no {other}, which is needed as well; e'
        ):
            describe_radar(write(tmp_path / 'c.tif', array, labels=(own, 'angle')))

    def test_no_zip(self, tmp_path):
        (tmp_path / 'a.zip').write_bytes(b'PK')
        with pytest.raises(SceneError, match=r"a\.zip': cannot be read"):
            describe_radar(tmp_path / 'a.zip')
        with zipfile.ZipFile(tmp_path / 'b.zip', 'w') as archive:
            archive.writestr('readme.txt', '')
        with pytest.raises(SceneError, match=r"b\.zip': holds 0 rasters of VV"):
            describe_radar(tmp_path / 'b.zip')


class TestForms:
    def test_table(self):
        lines = table(RADAR_FORMS).splitlines()
        assert len(lines) == len(RADAR_FORMS) + 2
        assert len({form.key for form in RADAR_FORMS}) == len(RADAR_FORMS)
        assert RADAR_FORMS[-1].fits(GRID)

    def test_which(self, tmp_path):
        folder = hyp3(tmp_path)
        both = write(tmp_path / 'one' / 'a.tif', decibels())
        vv = f'{folder / folder.name}_VV.tif'
        assert [describe_radar(path).form for path in (folder, vv, both)] == [
            'pair',
            'raster',
            'raster',
        ]
        found = read_raster(str(both), RasterFiles(), None)
        assert find_radar(both.parent) == found.bands
