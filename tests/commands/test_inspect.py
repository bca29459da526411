# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of ``torchgeo-tdpcr inspect``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

from torchgeo_tdpcr.cli import main
from torchgeo_tdpcr.datasets.scenes import inspection
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.listing import holds_maps, optical_in
from torchgeo_tdpcr.datasets.synthetic.safe_writer import write_tiff
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    return write_scene_pair(tmp_path_factory.mktemp('inspect'), size=96)


def test_text(scene: ScenePaths, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(['inspect', str(scene.s2), str(scene.s1), str(scene.clouds)])
    text = capsys.readouterr().out
    assert status == 0
    assert f"'{scene.s2}': Sentinel-2" in text
    assert f"'{scene.s1}': Sentinel-1" in text
    assert f"'{scene.clouds}': cloud mask" in text
    assert 'median dB' in text


def test_refused_until_it_is_said(
    scene: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'level2a.tif'
    with rasterio.open(scene.s2) as file:
        profile, array = {**file.profile, 'count': 12}, np.delete(file.read(), 10, 0)
    with rasterio.open(path, 'w', **profile) as file:
        file.write(array)
    assert main(['inspect', str(path)]) == 1
    assert 'refused: ' in (text := capsys.readouterr().out)
    assert 'Give `--offset`' in text
    assert 'median reflectance, if the offset is 0  ' in text
    assert main(['inspect', str(path), '--offset', '1000', '--json']) == 0
    (item,) = json.loads(capsys.readouterr().out)
    assert (item['what'], item['refused'], item['offset']) == ('s2', None, 1000)
    assert item['scale_told_by'] == 'numbers'
    assert 'doubt' not in item
    assert main(['inspect', str(path), '--offset', '0']) == 0
    assert '0 was given, but no band has numbers below 1' in capsys.readouterr().out
    assert main(['inspect', str(path), '--bands', 'B2', 'B3']) == 1
    assert '`--bands` names 2' in capsys.readouterr().out
    assert main(['inspect', str(path), '--as', 's1']) == 1


def test_maps_are_no_products(
    scene: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was restored is not mapped again because it lies beside what it is of."""
    scenes = Path(shutil.copytree(scene.s2.parent, tmp_path / 'scenes'))
    given = ['--s2', str(scenes / scene.s2.name), '--s1', str(scenes / scene.s1.name)]
    output = scenes / 'maps'
    assert main(['map', *given, '--output', str(output), '--no-progress']) == 0
    capsys.readouterr()
    main(['inspect', str(scenes), '--json'])
    paths = [Path(item['path']) for item in json.loads(capsys.readouterr().out)]
    assert scenes / scene.s2.name in paths
    assert not any(output in path.parents for path in paths)
    # Products that lie beside maps are still found
    assert holds_maps(output)
    shutil.copy(scene.s2, output / 'other.tif')
    assert not holds_maps(output)
    (output / 'other.tif').unlink()
    assert main(['inspect', str(output)]) == 1
    assert 'Maps do not count' in capsys.readouterr().out
    with pytest.raises(SceneError, match='no Sentinel-2 products'):
        optical_in(output)
    # Nor are the rasters of one map, but what else lies in its folder is
    (folder,) = (path for path in output.iterdir() if path.is_dir())
    assert main(['inspect', str(folder)]) == 1
    assert 'Maps do not count' in capsys.readouterr().out
    with pytest.raises(SceneError, match='no Sentinel-2 products'):
        optical_in(folder)
    shutil.copy(scene.s2, folder / 'other.tif')
    assert optical_in(folder) == [folder / 'other.tif']
    assert main(['inspect', str(folder)]) == 0
    assert 'scene_s2_image.tif' not in capsys.readouterr().out


def test_truths_of_a_folder_are_no_products(
    scene: ScenePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['inspect', str(scene.s2.parent), '--json']) == 0
    items = json.loads(capsys.readouterr().out)
    paths = [scene.clouds, scene.s1, scene.s2]
    assert [Path(item['path']) for item in items] == paths
    # If it is asked for, it is told
    assert main(['inspect', str(scene.clear)]) == 0


def test_shares_that_were_sampled_are_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, '_WHOLE', 300**2)
    for size, told in ((96, None), (400, '16 windows of 64×64 pixels')):
        path = tmp_path / f'clouds_{size}.tif'
        write_mask(path, size)
        assert main(['inspect', str(path), '--json']) == 0
        (item,) = json.loads(capsys.readouterr().out)
        assert item['cloud_or_shadow'] == pytest.approx(0.5, abs=0.1 * bool(told))
        assert item.get('cloud_or_shadow_told_by') == told


def write_mask(path: Path, size: int) -> None:
    """A mask whose left half is cloud."""
    mask = np.zeros((1, size, size), np.uint8)
    mask[..., : size // 2] = 1
    transform = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
    write_tiff(path, mask, transform, CRS.from_epsg(32632))


def test_wrong_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['inspect', str(tmp_path / 'a.tif')]) == 2
    assert 'there is no such file' in capsys.readouterr().err
    (tmp_path / 'a.tif').write_text('x')
    assert main(['inspect', str(tmp_path / 'a.tif'), '--bands', 'foo']) == 2
    assert "`--bands foo`: unknown: ['foo']" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['inspect', str(tmp_path / 'a.tif'), '--scale', '1/0'])
