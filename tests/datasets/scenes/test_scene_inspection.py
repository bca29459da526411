# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of what is told about files without reading them for a model."""

import numpy as np
import pytest
from optical_files import BANDS, numbers, write, write_safe, zipped
from spectra import ground

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.declared import declare
from torchgeo_tdpcr.datasets.scenes.inspection import inspect


def radar(path, labels=('VV', 'VH'), **options):
    array = np.stack([np.full((72, 72), -11.5), np.full((72, 72), -18.0)])
    return write(path, array.astype(np.float32), labels=labels, **options)


class TestOptical:
    def test_a_stack(self, tmp_path):
        path = write(tmp_path / 's2_20200604.tif', ground() + np.uint16(1000))
        (found,) = inspect(path)
        facts = found.facts
        assert (found.what, found.refused) == ('s2', '')
        assert facts['bands'] == {band: str(i) for i, band in enumerate(BANDS, 1)}
        assert 'nothing tells it' in facts['order']
        assert facts['date'] == '2020-06-04 00:00 UTC'
        assert facts['size'] == '72×72 pixels of 10×10 m'
        assert facts['CRS'] == 'EPSG:32632'
        assert (facts['scale'], facts['scale told by']) == (1e-4, 'numbers')
        assert facts['offset'] == 1000
        assert 'B10' in facts['evidence of the offset'][0]
        expected = np.median(ground()[BANDS.index('B4')]) / 1e4
        assert facts['median reflectance']['B4'] == pytest.approx(expected, abs=1e-4)
        assert facts['cover'] == 1

    def test_parts_are_missing(self, tmp_path):
        array = ground()
        array[:, :18] = 0
        (found,) = inspect(write(tmp_path / 'a.tif', array))
        assert found.facts['cover'] == 0.75

    def test_a_product_with_its_mask(self, tmp_path):
        root, _ = write_safe(tmp_path)
        (found,) = inspect(zipped(root))
        assert found.facts['form'].startswith('SAFE')
        assert found.facts['bands']['B8A'].endswith('_B8A.jp2')
        assert found.facts['scale told by'] == 'metadata'

    def test_what_is_known_of_a_product_that_is_refused(self, tmp_path):
        path = write(tmp_path / 'a.tif', ground(bands=[b for b in BANDS if b != 'B10']))
        (found,) = inspect(path)
        assert 'has no B10' in found.refused
        assert 'offset' not in found.facts
        medians = found.facts['median reflectance, if the offset is 0']
        assert medians.keys() == set(BANDS) - {'B10'}
        assert 'median reflectance' not in found.facts
        (found,) = inspect(path, declare(offset=0))
        assert (found.refused, found.facts['offset']) == ('', 0)

    def test_declared(self, tmp_path):
        array = (ground() / 100).astype(np.float32)
        path = write(tmp_path / 'a.tif', array)
        assert 'percent' in inspect(path)[0].refused
        (found,) = inspect(path, declare(scale=0.01))
        assert (found.refused, found.facts['scale told by']) == ('', 'you')
        names = [*BANDS[:8], *BANDS[9:], 'B8A']
        (found,) = inspect(path, declare(scale=0.01, all_bands=names))
        assert found.facts['bands']['B8A'] == '13'

    def test_pixels_of_another_size(self, tmp_path):
        path = write(tmp_path / 'a.tif', ground(), resolution=30)
        assert '30×30 m on the ground' in inspect(path)[0].refused
        assert not inspect(path, declare(any_res=True))[0].refused


def test_radar(tmp_path):
    (found,) = inspect(radar(tmp_path / 's1_20200605.tif'))
    assert (found.what, found.refused) == ('s1', '')
    assert found.facts['scale'] == 'db'
    assert found.facts['median dB'] == {'VV': -11.5, 'VH': -18.0}
    assert found.facts['bands'] == {'VV': '1', 'VH': '2'}
    (found,) = inspect(radar(tmp_path / 'b.tif', labels=('VH', 'VV')))
    assert 'VH' in found.refused
    said = declare(polarisations=['VV', 'VH'])
    assert not inspect(radar(tmp_path / 'b.tif', labels=('VH', 'VV')), said)[0].refused


def test_mask(tmp_path):
    codes = np.repeat(np.array([4, 5, 8, 9], np.uint8), 18)[None].repeat(72, 0)
    (found,) = inspect(write(tmp_path / 'T32TQM_SCL_20m.tif', codes, resolution=20))
    assert (found.what, found.facts['kind']) == ('cloud_mask', 'scl')
    assert found.facts['cloud or shadow'] == pytest.approx(0.5, abs=0.01)


def test_a_folder_of_several(tmp_path):
    write(tmp_path / 'a_s2.tif', ground())
    radar(tmp_path / 'a_s1.tif')
    write(tmp_path / 'a_clouds.tif', (numbers(1) > 5000).astype(np.uint8))
    for band in ('B02', 'B03', 'B04'):
        write(tmp_path / 'bands' / f'x_{band}.tif', numbers(1))
    (tmp_path / 'notes.txt').write_text('x')
    (tmp_path / 'broken.tif').write_text('x')
    found = {item.path.name: item for item in inspect(tmp_path)}
    assert {name: item.what for name, item in found.items()} == {
        'a_clouds.tif': 'cloud_mask',
        'a_s1.tif': 's1',
        'a_s2.tif': 's2',
        'bands': 's2',
        'broken.tif': 's2',
    }
    assert 'broken.tif' in found['broken.tif'].refused
    assert not found['a_s2.tif'].refused
    with pytest.raises(SceneError, match='does not exist'):
        inspect(tmp_path / 'missing')


HYP3 = 'S1A_IW_20200604T051422_DVP_RTC10_G_gpunem_1234'
BROWSER = '2020-06-04-00_00_2020-06-04-23_59_Sentinel-1_IW_VV+VH_{}_(Raw).tiff'


def one_band(path, value, dtype=np.float32):
    return write(path, np.full((1, 72, 72), value, dtype))


class TestRadarInSeveralRasters:
    def hyp3(self, folder):
        for name, value in (('VV', 0.08), ('VH', 0.016), ('area', 1.2), ('dem', 400)):
            one_band(folder / f'{HYP3}_{name}.tif', value)
        one_band(folder / f'{HYP3}_ls_map.tif', 1, np.uint8)
        write(folder / f'{HYP3}_rgb.tif', np.full((3, 72, 72), 99, np.uint8))
        (folder / f'{HYP3}_VV.tif.xml').write_text('<x/>')
        return folder

    @pytest.mark.parametrize('above', ['', '..'])
    def test_of_hyp3(self, tmp_path, above):
        folder = self.hyp3(tmp_path / 'in' / HYP3)
        (found,) = inspect(folder / above)
        assert (found.what, found.refused) == ('s1', '')
        assert found.path.name == f'{HYP3}_VV.tif'
        assert found.facts['date'] == '2020-06-04 05:14 UTC'
        # 10 lg 0.08 and 10 lg 0.016
        assert found.facts['median dB'] == {'VV': -10.97, 'VH': -17.96}

    def test_of_the_browser(self, tmp_path):
        for name, value in (('VV', 0.08), ('VH', 0.016)):
            one_band(tmp_path / BROWSER.format(name), value)
        (found,) = inspect(tmp_path)
        assert (found.what, found.refused) == ('s1', '')
        assert found.facts['median dB'] == {'VV': -10.97, 'VH': -17.96}

    def test_beside_others(self, tmp_path):
        self.hyp3(tmp_path)
        write(tmp_path / 's2.tif', ground())
        one_band(tmp_path / 's2_mask.tif', 1, np.uint8)
        found = {item.path.name: item for item in inspect(tmp_path)}
        assert {name: item.what for name, item in found.items()} == {
            f'{HYP3}_VV.tif': 's1',
            's2.tif': 's2',
            's2_mask.tif': 'cloud_mask',
        }
        assert not any(item.refused for item in found.values())

    def test_vh_alone_is_named(self, tmp_path):
        radar(tmp_path / 's1.tif')
        one_band(tmp_path / 'a_VH.tif', 0.016)
        found = {item.path.name: item.refused for item in inspect(tmp_path)}
        assert found.keys() == {'a_VH.tif', 's1.tif'}
        assert 'VV' in found['a_VH.tif']


def test_a_broken_zip_among_others(tmp_path):
    radar(tmp_path / 'b_s1.tif')
    (tmp_path / 'a.zip').write_text('x')
    (tmp_path / 'c_VV.zip').write_text('x')
    found = inspect(tmp_path)
    assert [(item.path.name, item.what, bool(item.refused)) for item in found] == [
        ('a.zip', 's2', True),
        ('b_s1.tif', 's1', False),
        ('c_VV.zip', 's1', True),
    ]
    assert found[0].refused.startswith(f"'{tmp_path / 'a.zip'}': cannot be read")
