# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the guide to scenes of one's own says of files of platforms, and of SNAP's graph."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from torchgeo_tdpcr import SceneDataModule
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / 'docs' / 'guide' / 'own-scene.md'
GRAPH = ROOT / 'docs' / '_static' / 'sentinel1_grd.xml'


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    return write_scene_pair(tmp_path_factory.mktemp('scene'), size=120, seed=1)


def _write(path: Path, array: np.ndarray, like: Path, **others: object) -> None:
    path.parent.mkdir(exist_ok=True)
    with rasterio.open(like) as file:
        profile = file.profile | {'count': len(array), 'dtype': array.dtype, **others}
        factor = file.width / array.shape[2]
        profile |= {'width': array.shape[2], 'height': array.shape[1]}
        profile['transform'] = file.transform @ Affine.scale(factor)
    with rasterio.open(path, 'w', **profile) as file:
        file.write(array)


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        array: np.ndarray = file.read()
    return array


def test_planetary_computer(scene: ScenePaths, tmp_path: Path) -> None:
    page = GUIDE.read_text('utf-8')
    assert "name = f'{item.id}_{key}.tif'" in page
    s2, s1 = tmp_path / 's2', tmp_path / 's1'
    item = 'S2B_MSIL2A_20200604T101559_R065_T32UPU_20200605T023456'
    image = _read(scene.s2)
    for index, (name, band) in enumerate(SENTINEL2_BANDS.items()):
        key = name if name == 'B8A' else f'B{int(name[1:]):02d}'
        step = band.resolution // 10
        if name != 'B10':
            plane = image[index : index + 1, ::step, ::step]
            _write(s2 / f'{item}_{key}.tif', plane, scene.s2)
    classes = np.where(_read(scene.clouds)[:, ::2, ::2] > 0, 9, 4).astype(np.uint8)
    _write(s2 / f'{item}_SCL.tif', classes, scene.s2)
    power = (10 ** (_read(scene.s1) / 10)).astype(np.float32)
    item = 'S1A_IW_GRDH_1SDV_20200604T052611_20200604T052636_032862_03CE6F_rtc'
    for name, plane in zip(('vv', 'vh'), power, strict=True):
        _write(s1 / f'{item}_{name}.tif', plane[None], scene.s1)

    bands = [band for band in SENTINEL2_BANDS if band != 'B10']
    data = SceneDataModule(s2, s1, bands=bands, offset=1000, patch_size=120, overlap=0)
    data.setup('predict')
    batch = next(iter(data.predict_dataloader()))
    wanted = [list(SENTINEL2_BANDS).index(band) for band in bands]
    expected = image[wanted].astype(np.float32) - 1000
    np.testing.assert_array_equal(batch['image'][0], expected)
    clouds = data.clouds(0, data.scenes[0].grid.all)
    np.testing.assert_array_equal(clouds[::2, ::2], classes[0] == 9)
    dates = data.scenes[0].date
    assert dates is not None
    assert f'{dates[0]:%Y-%m-%d}' == '2020-06-04'


def test_earth_engine(scene: ScenePaths, tmp_path: Path) -> None:
    assert "'s2_20200604', s2" in GUIDE.read_text('utf-8')
    image = _read(scene.s2)
    plain = (image.astype(int) - 1000).clip(0).astype(np.uint16)
    _write(tmp_path / 's2_20200604.tif', plain, scene.s2)
    _write(tmp_path / 's1_20200604.tif', _read(scene.s1), scene.s1)
    for name, bands in (('s2', tuple(SENTINEL2_BANDS)), ('s1', ('VV', 'VH'))):
        with rasterio.open(tmp_path / f'{name}_20200604.tif', 'r+') as file:
            file.descriptions = bands
    data = SceneDataModule(
        tmp_path / 's2_20200604.tif',
        tmp_path / 's1_20200604.tif',
        cloud_mask='auto',
        patch_size=120,
        overlap=0,
    )
    data.setup('predict')
    assert data.scenes[0].offset == 0
    batch = next(iter(data.predict_dataloader()))
    np.testing.assert_array_equal(batch['image'][0], plain)


def test_graph_of_snap() -> None:
    root = ET.parse(GRAPH).getroot()
    nodes = {node.get('id'): node for node in root.iter('node')}
    operators = [node.findtext('operator') for node in nodes.values()]
    assert operators == [
        'Read',
        'Apply-Orbit-File',
        'ThermalNoiseRemoval',
        'Remove-GRD-Border-Noise',
        'Calibration',
        'Terrain-Correction',
        'Write',
    ]
    # Each takes what the one before it makes
    sources = [node.find('sources/sourceProduct') for node in nodes.values()]
    assert sources[0] is None
    before = [source.get('refid') for source in sources[1:] if source is not None]
    assert before == list(nodes)[:-1]
    variables = set(re.findall(r'\$\{(\w+)\}', GRAPH.read_text('utf-8')))
    given = set(re.findall(r'-P(\w+)=', GUIDE.read_text('utf-8')))
    assert variables == given == {'input', 'output'}
