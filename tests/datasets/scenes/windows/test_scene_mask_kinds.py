# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of cloud masks of every kind: how it is told, and what is cloud then."""

import argparse
import pickle
import re

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from scene_files import GRID, LEFT, SIZE, TOP, write

from torchgeo_tdpcr.commands.shared.arguments import add_declared
from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.declared import CLOUD_MASK_KINDS
from torchgeo_tdpcr.datasets.scenes.formats.masks.forms import MASK_FORMS, mask_table
from torchgeo_tdpcr.datasets.scenes.formats.masks.refused import REFUSED_FORMS
from torchgeo_tdpcr.datasets.scenes.formats.parts import BandFile, CloudMask
from torchgeo_tdpcr.datasets.scenes.windows import clouds
from torchgeo_tdpcr.datasets.scenes.windows.clouds import CloudReader

SCL = {0: 1, 1: 0, 2: 0, 3: 1, 4: 0, 5: 0, 6: 0, 7: 0, 8: 1, 9: 1, 10: 1, 11: 0, 255: 1}
CLOUDSEN12 = {0: 0, 1: 1, 2: 1, 3: 1, 255: 1}
FMASK4 = {0: 0, 1: 0, 2: 1, 3: 0, 4: 1, 255: 1}
PYTHON_FMASK = {0: 1, 1: 0, 2: 1, 3: 1, 4: 0, 5: 0}
#: Low aerosol and then cirrus, cloud, adjacent, shadow, snow, water, cloud and water
HLS = {64: 0, 65: 1, 66: 1, 68: 1, 72: 1, 80: 0, 96: 0, 98: 1, 0: 0, 224: 0, 255: 1}
PERCENT = {number: int(number >= 40) for number in range(101)}
BYTES = {number: int(number >= 102) for number in range(256)}
FRACTIONS = {number / 50: int(number >= 20) for number in range(51)}
QA60 = {0: 0, 1024: 1, 2048: 1, 3072: 1}
MAJA = {0: 0, 1: 1, 3: 1, 5: 1, 64: 1, 129: 1}
BINARY = {0: 0, 1: 1, 255: 1}

NAMES = {
    'T32TQM_20200604T100031_SCL_20m.tif': ('scl', SCL),
    '2020-06-04-00:00_2020-06-04-23:59_Sentinel-2_L2A_SCL_(Raw).tiff': ('scl', SCL),
    'scl.tif': ('scl', SCL),
    'my-Scl mask.tif': ('scl', SCL),
    'HLS.S30.T32TQM.2020156T100031.v2.0.Fmask.tif': ('fmask', HLS),
    'fmask.tif': ('fmask', HLS),
    'L1C_T32TQM_A025869_20200604T100031_Fmask4.tif': ('fmask', FMASK4),
    'S2_FMASK_4_6.tif': ('fmask', FMASK4),
    'a_Fmask.tif': ('fmask', FMASK4),
    'python_fmask.tif': ('fmask', PYTHON_FMASK),
    'ga_s2am_oa_3-2-1_55HBU_2020-06-04_final_fmask.tif': ('fmask', PYTHON_FMASK),
    'MSK_CLDPRB_20m.tif': ('probability', PERCENT),
    'CLD_20m.tif': ('probability', PERCENT),
    'scene_cldprb.tif': ('probability', PERCENT),
    'cloud_probability.tif': ('probability', PERCENT),
    'CloudProb.tif': ('probability', BYTES),
    '2020-06-04_CLP.tif': ('probability', BYTES),
    's2cloudless_T32TQM_prob.tif': ('probability', FRACTIONS),
    'clp.tif': ('probability', FRACTIONS),
    'CLM.tif': ('binary', BINARY),
    'SENTINEL2A_20200604-100031_L2A_T32TQM_C_V2-2_CLM_R1.tif': ('binary', MAJA),
    'MSK_CLASSI_OPAQUE.tif': ('binary', BINARY),
    'QA60.tif': ('binary', QA60),
    'x_cloudsen12_UNetMobV2.tif': ('cloudsen12', CLOUDSEN12),
    'CloudSEN12.tif': ('cloudsen12', CLOUDSEN12),
    'omnicloudmask.tif': ('cloudsen12', CLOUDSEN12),
    'S2A_T32TQM_OCM_v1_0_0.tif': ('cloudsen12', CLOUDSEN12),
}


def drawn(meaning, size=SIZE, seed=0):
    """Numbers that a kind has, all of them, and where they are cloud."""
    numbers = np.array(list(meaning))
    picks = np.random.default_rng(seed).permutation(np.arange(size**2) % len(numbers))
    cloud = np.array(list(meaning.values()), bool)
    if numbers.dtype.kind == 'i':
        numbers = numbers.astype(np.uint16 if numbers.max() > 255 else np.uint8)
    else:
        numbers = numbers.astype(np.float32)
    return numbers[picks].reshape(size, size), cloud[picks].reshape(size, size)


def check(path, kind, array, cloud, said='auto'):
    """The file holds the array; the reader finds the kind and the clouds."""
    reader = CloudReader(write(path, array), GRID, said)
    assert reader.source.kind == kind
    np.testing.assert_array_equal(reader.read(GRID.all), cloud)
    # The same from 20 m, and of a part that does not begin where pixels do
    coarse, cloud = array[::2, ::2], np.kron(cloud[::2, ::2], np.ones((2, 2), bool))
    place = from_origin(LEFT, TOP, 20, 20)
    reader = CloudReader(write(path, coarse.copy(), place), GRID, said)
    assert reader.source.kind == kind
    reader = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(reader.read(GRID.all), cloud)
    part = reader.read(PixelBox(7, 3, 22, 40))
    np.testing.assert_array_equal(part, cloud[3:40, 7:22])


class TestNames:
    @pytest.mark.parametrize('name', NAMES)
    def test_told(self, tmp_path, name):
        kind, meaning = NAMES[name]
        check(tmp_path / name.replace(':', '_'), kind, *drawn(meaning))

    @pytest.mark.parametrize('name', NAMES)
    def test_as_float(self, tmp_path, name):
        kind, meaning = NAMES[name]
        array, cloud = drawn(meaning)
        array = array.astype(np.float32)
        array[:5], cloud[:5] = np.nan, True
        check(tmp_path / name.replace(':', '_'), kind, array, cloud)

    @pytest.mark.parametrize(
        ('name', 'numbers'),
        [
            ('SCL.tif', {0, 4, 8, 12}),
            ('SCL.tif', {0.5, 4, 8}),
            ('SCL.tif', {0, 400, 800}),
            ('CLM.tif', {0, 1, 2}),
            ('QA60.tif', {0, 1024, 1}),
            ('MSK_CLDPRB_20m.tif', {0, 50, 101}),
            ('prob.tif', {0, 50, 300}),
            ('prob.tif', {-5, 50, 80}),
            ('cloudsen12.tif', {0, 1, 4}),
            ('Fmask4.tif', {0, 1, 5}),
            ('HLS.Fmask.tif', {0, 64, 300}),
            ('CLM_R1.tif', {0, 1, 300}),
        ],
    )
    def test_numbers_that_do_not_fit(self, tmp_path, name, numbers):
        array, _ = drawn(dict.fromkeys(map(float, numbers), 0))
        path = write(tmp_path / name, array)
        seen = ', '.join(f'{number:g}' for number in sorted(numbers))
        with pytest.raises(
            SceneError, match=rf'by its name: .*holds {seen}\. .*`cloud_mask_kind'
        ):
            CloudReader(path, GRID)

    @pytest.mark.parametrize(
        'name',
        [
            'T32TQM_cld_mask.tif',
            'cld.tif',
            'cloud_prob_mask.tif',
            'cloud_probability.tif',
            'SCL_cloudmask.tif',
            'mask_from_SCL.tif',
            'fmask_cloud.tif',
            'x_Fmask4.tif',
        ],
    )
    def test_cloud_or_not_under_the_name_of_another_form(self, tmp_path, name):
        meanings = [{0: 0, 1: 1}, {1: 1}, {0: 0, 1: 1, 255: 1}]
        # As classes of SCL, 0 is missing everywhere
        meanings += [{0: 0}] if 'SCL' in name else []
        for meaning in meanings:
            array, cloud = drawn(meaning)
            path = write(tmp_path / name, array)
            with pytest.raises(SceneError, match=r'holds .* alone.*`cloud_mask_kind`'):
                CloudReader(path, GRID)
            mask = CloudReader(path, GRID, 'binary').read(GRID.all)
            np.testing.assert_array_equal(mask, cloud)

    @pytest.mark.parametrize('label', ['cld', 'probability', 'SCL', 'Fmask'])
    def test_cloud_or_not_under_a_description(self, tmp_path, label):
        path = write(tmp_path / 'a.tif', drawn({0: 0, 1: 1})[0], labels=[label])
        with pytest.raises(SceneError, match=r'holds 0, 1 alone'):
            CloudReader(path, GRID)

    @pytest.mark.parametrize(
        ('name', 'kind', 'meaning'),
        [
            # Clear all over
            ('MSK_CLDPRB_20m.tif', 'probability', {0: 0}),
            ('x_Fmask4.tif', 'fmask', {0: 0}),
            ('MSK_CLDPRB_20m.tif', 'probability', {0: 0, 1: 0, 2: 0}),
            ('probability.tif', 'probability', {0.0: 0, 1.0: 1}),
            ('HLS.Fmask.tif', 'fmask', {0: 0, 1: 1}),
            ('ga_s2am_oa_fmask.tif', 'fmask', {0: 1, 1: 0}),
            ('cloudsen12.tif', 'cloudsen12', {0: 0, 1: 1}),
        ],
    )
    def test_few_numbers_that_are_settled(self, tmp_path, name, kind, meaning):
        check(tmp_path / name, kind, *drawn(meaning))

    def test_names_that_contradict_each_other(self, tmp_path):
        path = tmp_path / 'x_SCL_cloudsen12.tif'
        check(path, 'scl', *drawn(SCL))
        write(path, drawn(CLOUDSEN12)[0])
        with pytest.raises(SceneError, match="known, 'scl', 'cloudsen12' may hold"):
            CloudReader(path, GRID)

    def test_other_classes_of_fmask(self, tmp_path):
        # Without land of 0, these are as likely python-fmask's
        path = write(tmp_path / 'fmask.tif', drawn({1: 0, 2: 1, 3: 1, 4: 0})[0])
        for said in ('auto', 'fmask'):
            with pytest.raises(SceneError, match=r'1, 2, 3, 4.*cloud_mask_kind'):
                CloudReader(path, GRID, said)
        with pytest.raises(SceneError, match=r"'hls' .*'fmask4' .*'python-fmask' "):
            CloudReader(path, GRID, 'fmask')
        check(tmp_path / 'fmask4.tif', 'fmask', *drawn({1: 0, 2: 1, 3: 0, 4: 1}))


#: Names of what is no mask of clouds, and words of the reason
NO_CLOUDS = {
    'cs_cdf.tif': r'Cloud Score\+.*high numbers are clear',
    'S2_cs_20200604.tif': r'Cloud Score\+',
    'cloud_score_plus.tif': r'Cloud Score\+',
    'clear_mask.tif': 'high numbers are clear',
    'cloudfree.tif': 'clear or valid',
    'x_cloud_free_mask.tif': 'clear or valid',
    'no_cloud.tif': 'clear or valid',
    'valid_mask.tif': 'clear or valid',
    'usable.tif': 'clear or valid',
    '2020-06-04_dataMask.tif': 'clear or valid',
    'clear_probability.tif': 'clear or valid',
    '20200604_udm2.tif': 'Planet',
    'MSK_SNWPRB_20m.tif': 'mask of snow',
    'snow_prob.tif': 'mask of snow',
    'MSK_CLASSI_SNOW.tif': 'mask of snow',
    'SENTINEL2A_20200604-100031_L2A_T32TQM_C_V2-2_MG2_R1.tif': '`CLM_R1`',
    '20200604_LEVEL2_SEN2A_QAI.tif': 'FORCE',
    'S2A_IdePix.tif': 'IdePix',
    'pixel_classif_flags.tif': 'IdePix',
    'dynamic_world.tif': 'land cover',
    'ESA_WorldCover_10m_2021.tif': 'land cover',
    'worldcover.tif': 'land cover',
    'lulc.tif': 'land cover',
    'MSK_DETFOO_B02.tif': 'quality of ESA',
    'LC08_QA_PIXEL.tif': 'Landsat',
}


class TestRefused:
    @pytest.mark.parametrize('name', NO_CLOUDS)
    @pytest.mark.parametrize('meaning', [BINARY, SCL, PERCENT, FRACTIONS])
    def test_by_name(self, tmp_path, name, meaning):
        path = write(tmp_path / name, drawn(meaning)[0])
        with pytest.raises(SceneError, match=NO_CLOUDS[name]) as error:
            CloudReader(path, GRID)
        assert 'by its name' in str(error.value)
        assert 'say what its numbers mean with `cloud_mask_kind`' in str(error.value)
        assert CloudReader(path, GRID, 'cloudsen12').source.kind == 'cloudsen12'

    @pytest.mark.parametrize(
        'label', ['clear', 'dataMask', 'cs', 'snow_probability', 'clear_probability']
    )
    def test_by_description(self, tmp_path, label):
        array, cloud = drawn({0: 0, 1: 1})
        path = write(tmp_path / 'CLM.tif', array, labels=[label])
        with pytest.raises(SceneError, match=f'description of its band, {label!r}'):
            CloudReader(path, GRID)
        # What is said is taken at its word
        mask = CloudReader(path, GRID, 'binary').read(GRID.all)
        np.testing.assert_array_equal(mask, cloud)

    def test_a_band_beside_it(self, tmp_path):
        # The description stands against the name of the file, and for its band
        snow, (array, cloud) = drawn(PERCENT, seed=1)[0], drawn(PERCENT)
        path = write(
            tmp_path / 'valid.tif',
            np.stack([snow, array]),
            labels=['snow_probability', 'cloud_probability'],
        )
        reader = CloudReader(path, GRID)
        assert reader.source == CloudMask(str(path), 'probability', 2)
        np.testing.assert_array_equal(reader.read(GRID.all), cloud)

    @pytest.mark.parametrize('name', NAMES)
    def test_names_of_masks_are_not_refused(self, name):
        assert not any(form.names.search(name) for form in REFUSED_FORMS)

    def test_score_as_probability(self, tmp_path):
        array, _ = drawn(FRACTIONS)
        path = write(tmp_path / 'cs_cdf.tif', array)
        mask = CloudReader(path, GRID, 'probability').read(GRID.all)
        np.testing.assert_array_equal(mask, array >= np.float32(0.4))


class TestNumbers:
    @pytest.mark.parametrize(
        ('kind', 'meaning'),
        [
            ('binary', {0: 0, 1: 1}),
            ('binary', {0: 0, 255: 1}),
            ('binary', {0: 0, 100: 1}),
            ('binary', {0: 0, 65535: 1}),
            ('binary', BINARY),
            ('binary', {0: 0}),
            ('binary', {1: 1}),
            ('binary', QA60),
            ('scl', SCL),
            ('scl', {4: 0, 5: 0, 6: 0, 9: 1}),
            ('scl', {0: 1, 4: 0, 10: 1}),
            ('scl', {5: 0, 8: 1}),
            ('scl', {number: SCL[number] for number in range(12)}),
            ('scl', {number: SCL[number] for number in range(2, 12)}),
            ('scl', {4: 0, 5: 0, 6: 0}),
            ('scl', {0: 1, 4: 0, 5: 0, 6: 0, 7: 0}),
            ('scl', {0: 1, 8: 1, 9: 1, 10: 1}),
            ('scl', {6: 0, 7: 0, 10: 1}),
            ('scl', {0: 1, 2: 0, 4: 0, 5: 0, 7: 0, 8: 1}),
            ('probability', PERCENT),
            ('probability', FRACTIONS),
        ],
    )
    def test_told(self, tmp_path, kind, meaning):
        check(tmp_path / 'mask.tif', kind, *drawn(meaning))

    @pytest.mark.parametrize(
        ('numbers', 'kinds'),
        [
            ({0, 1, 2, 3}, {'scl', 'cloudsen12', 'fmask', 'probability'}),
            ({0, 1, 2, 3, 4}, {'scl', 'fmask', 'probability'}),
            ({0, 1, 2, 3, 4, 5}, {'scl', 'fmask', 'probability'}),
            ({0, 10}, {'scl', 'fmask', 'probability'}),
            ({0, 3}, {'scl', 'cloudsen12', 'fmask', 'probability'}),
            ({4}, {'scl', 'probability'}),
            # Bits of MAJA, IdePix and FORCE, land cover of 1 to 7 and of 0 to 8
            ({0, 1, 2, 8, 10}, {'scl', 'fmask', 'probability'}),
            ({0, 2, 6, 10}, {'scl', 'fmask', 'probability'}),
            ({0, 2, 4, 8}, {'scl', 'fmask', 'probability'}),
            ({1, 2, 3, 4, 5, 6, 7}, {'scl', 'fmask', 'probability'}),
            (set(range(9)), {'scl', 'fmask', 'probability'}),
            ({0, 64, 66, 72, 98}, {'fmask', 'probability'}),
            ({0, 50, 100}, {'fmask', 'probability'}),
            (set(range(256)), {'fmask', 'probability'}),
            ({0, 1000, 21824}, set()),
            ({0, -9999}, set()),
            ({0.2, 1.5}, {'probability'}),
        ],
    )
    def test_not_settled(self, tmp_path, numbers, kinds):
        array, _ = drawn(dict.fromkeys(map(float, numbers), 0))
        path = write(tmp_path / 'clouds.tif', array)
        with pytest.raises(SceneError) as error:
            CloudReader(path, GRID)
        text = str(error.value)
        told = text[text.index('known, ') : text.index('may hold')]
        assert kinds <= set(re.findall(r"'(\w+)'", told))
        assert '`cloud_mask_kind`' in text
        assert f'holds {min(numbers):g}' in text

    def test_nodata(self, tmp_path):
        array, cloud = drawn(PERCENT)
        array[2, 3] = 7
        cloud |= array == 7
        reader = CloudReader(write(tmp_path / 'a.tif', array, nodata=7), GRID)
        np.testing.assert_array_equal(reader.read(GRID.all), cloud)
        # Of 0 it is what 0 means
        array, cloud = drawn(FMASK4)
        reader = CloudReader(write(tmp_path / 'Fmask4.tif', array, nodata=0), GRID)
        np.testing.assert_array_equal(reader.read(GRID.all), cloud)

    def test_complex(self, tmp_path):
        path = write(tmp_path / 'a.tif', np.ones((SIZE, SIZE), np.complex64))
        with pytest.raises(SceneError, match='complex64'):
            CloudReader(path, GRID)

    def test_pixels_of_the_file_are_read_and_not_its_overviews(self, tmp_path):
        array = np.zeros((1200, 1200), np.uint8)
        array[::2] = 255
        path = write(
            tmp_path / 'a.tif', array, tiled=True, blockxsize=256, blockysize=256
        )
        with rasterio.open(path, 'r+') as file:
            file.build_overviews([4], rasterio.enums.Resampling.average)
        with rasterio.open(path, overview_level=0) as file:
            assert set(np.unique(file.read())) == {128}
        reader = CloudReader(path, GRID)
        assert reader.source.kind == 'binary'
        np.testing.assert_array_equal(reader.read(GRID.all), array[:SIZE, :SIZE] > 0)


class TestDeclared:
    @pytest.mark.parametrize(
        ('kind', 'meaning'),
        [
            ('binary', {number: int(number > 0) for number in range(12)}),
            ('scl', SCL),
            ('scl', CLOUDSEN12 | {0: 1, 1: 0, 2: 0}),
            ('cloudsen12', {number: int(number > 0) for number in range(12)}),
            ('fmask', FMASK4),
            ('fmask', HLS),
            ('fmask', PYTHON_FMASK),
            # Numbers that leave the Fmask open
            ('fmask4', {1: 0, 2: 1, 3: 0, 4: 1}),
            ('python-fmask', {1: 0, 2: 1, 3: 1, 4: 0}),
            ('hls', {1: 1, 2: 1, 3: 1, 4: 1}),
            ('hls', {0: 0, 64: 0, 66: 1, 255: 1}),
            ('probability', PERCENT),
            ('probability', {3: 0, 30: 0, 60: 1}),
            ('probability', BYTES),
            ('probability', FRACTIONS),
        ],
    )
    def test_taken_at_its_word(self, tmp_path, kind, meaning):
        check(tmp_path / 'mask.tif', kind, *drawn(meaning), said=kind)
        # Even against its name
        name = 'CLM.tif' if kind != 'binary' else 'SCL.tif'
        check(tmp_path / name, kind, *drawn(meaning), said=kind)

    @pytest.mark.parametrize('name', ['a.tif', 'cloud_probability.tif'])
    @pytest.mark.parametrize(
        ('numbers', 'way'),
        [
            ((0, 5000, 10000), 'divide by 100'),
            ((0, 700), 'divide by 100'),
            ((0, 30000, 65535), 'Scale it'),
        ],
    )
    def test_probabilities_of_another_scale(self, tmp_path, name, numbers, way):
        array, _ = drawn(dict.fromkeys(numbers, 0))
        path = write(tmp_path / name, array)
        kinds = ['probability'] + ['auto'] * (name != 'a.tif')
        for said in kinds:
            with pytest.raises(SceneError, match=f'are of 1, of 100.*{way}') as error:
                CloudReader(path, GRID, said)
            assert ', '.join(map(str, numbers)) in str(error.value)
            # That would be refused next
            assert "'probability'" not in str(error.value)
        # What is advised is read
        if way == 'divide by 100':
            path = write(tmp_path / 'b_prob.tif', (array // 100).astype(np.uint8))
            mask = CloudReader(path, GRID).read(GRID.all)
            np.testing.assert_array_equal(mask, array >= 4000)

    def test_polygons_are_polygons(self, tmp_path):
        path = tmp_path / 'a.GML'
        path.write_text('<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0"/>')
        assert CloudReader(path, GRID, 'scl').source.kind == 'gml'

    def test_a_product_knows_its_own(self, tmp_path, monkeypatch):
        array, cloud = drawn(SCL)
        path = str(write(tmp_path / 'mask.tif', array))
        monkeypatch.setattr(clouds, 'sample', None)
        reader = CloudReader(CloudMask(path, 'scl'), GRID, 'cloudsen12')
        assert reader.source.kind == 'scl'
        np.testing.assert_array_equal(reader.read(GRID.all), cloud)


class TestBands:
    def stack(self, path):
        layers = [drawn(meaning) for meaning in (BINARY, BYTES, SCL)]
        array = np.stack([layer[0] for layer in layers])
        write(path, array, labels=['CLM', 'CLP', 'SCL'])
        return [layer[1] for layer in layers]

    @pytest.mark.parametrize(
        ('said', 'kind', 'band'),
        [
            ('auto', 'scl', 2),
            ('scl', 'scl', 2),
            ('probability', 'probability', 1),
            ('binary', 'binary', 0),
        ],
    )
    def test_descriptions_tell(self, tmp_path, said, kind, band):
        cloud = self.stack(tmp_path / 'mask.tif')
        reader = CloudReader(tmp_path / 'mask.tif', GRID, said)
        assert reader.source == CloudMask(str(tmp_path / 'mask.tif'), kind, band + 1)
        np.testing.assert_array_equal(reader.read(GRID.all), cloud[band])

    def test_of_a_band_that_is_given(self, tmp_path):
        cloud = self.stack(tmp_path / 'mask.tif')
        reader = CloudReader(BandFile(str(tmp_path / 'mask.tif'), 2), GRID)
        assert reader.source.kind == 'probability'
        np.testing.assert_array_equal(reader.read(GRID.all), cloud[1])

    @pytest.mark.parametrize('count', [2, 5])
    def test_the_first_without_descriptions_if_told(self, tmp_path, count):
        array, cloud = drawn(SCL)
        bands = [array, *(0 * array for _ in range(count - 1))]
        path = write(tmp_path / 'SCL.tif', np.stack(bands), photometric='MINISBLACK')
        with pytest.raises(
            SceneError, match=rf'has {count} bands without .*`cloud_mas'
        ):
            CloudReader(path, GRID)
        mask = CloudReader(path, GRID, 'scl').read(GRID.all)
        np.testing.assert_array_equal(mask, cloud)

    def test_one_and_its_alpha(self, tmp_path):
        array, cloud = drawn(SCL)
        full = np.full_like(array, 255)
        for name, bands, index in (('a', [array, full], 1), ('b', [full, array], 2)):
            path = write(
                tmp_path / f'{name}.tif', np.stack(bands), photometric='MINISBLACK'
            )
            with rasterio.open(path, 'r+') as file:
                gray, alpha = ColorInterp.gray, ColorInterp.alpha
                file.colorinterp = (gray, alpha) if index == 1 else (alpha, gray)
            reader = CloudReader(path, GRID)
            assert reader.source == CloudMask(str(path), 'scl', index)
            np.testing.assert_array_equal(reader.read(GRID.all), cloud)

    @pytest.mark.parametrize('count', [3, 4])
    @pytest.mark.parametrize('said', ['auto', 'binary', 'scl'])
    def test_a_picture(self, tmp_path, count, said):
        array, _ = drawn({0: 0, 255: 1})
        name = '2020-06-04_Sentinel-2_L2A_Scene_classification_map_.tiff'
        path = write(tmp_path / name, np.stack([array] * count), photometric='RGB')
        with pytest.raises(SceneError, match=f'has {count} bands, .*picture of a mask'):
            CloudReader(path, GRID, said)
        # A band that is chosen is read
        mask = CloudReader(BandFile(str(path), 2), GRID).read(GRID.all)
        np.testing.assert_array_equal(mask, array == 255)

    def test_descriptions_of_other_things(self, tmp_path):
        labels = ['clear', 'snow', 'shadow', 'light haze', 'heavy haze', 'cloud']
        bands = np.stack([drawn({0: 0, 1: 1}, seed=seed)[0] for seed in range(6)])
        path = write(tmp_path / 'a.tif', bands, labels=labels)
        for said, what in (('auto', 'of a cloud mask'), ('binary', "kind 'binary'")):
            with pytest.raises(SceneError, match=f'has 6 bands, .*{what}.*light haze'):
                CloudReader(path, GRID, said)
        mask = CloudReader(BandFile(str(path), 6), GRID).read(GRID.all)
        np.testing.assert_array_equal(mask, bands[5] == 1)

    def test_a_description_against_numbers(self, tmp_path):
        path = write(tmp_path / 'a.tif', drawn(PERCENT)[0], labels=['SCL'])
        with pytest.raises(
            SceneError, match=r"description of its band, 'SCL': .*101 diff"
        ):
            CloudReader(path, GRID)


def test_the_command_line_takes_every_kind():
    parser = argparse.ArgumentParser()
    add_declared(parser)
    for kind in ('auto', *CLOUD_MASK_KINDS):
        assert parser.parse_args(['--cloud-mask-kind', kind]).cloud_mask_kind == kind


def test_table():
    assert len({form.key for form in MASK_FORMS}) == len(MASK_FORMS)
    lines = mask_table().splitlines()
    assert len(lines) == len(MASK_FORMS) + len(REFUSED_FORMS) + 2
    assert all(line.count(' | ') == 2 for line in lines)
