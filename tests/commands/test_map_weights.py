# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""`torchgeo-tdpcr map` with weights of the package, and what there is to know of them."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from torchgeo_tdpcr.cli import main
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair
from torchgeo_tdpcr.weights import FOLDER, read_meta, shipped_names

CONF = Path(__file__).parents[1] / 'conf' / 'tdpcr.yaml'


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    return write_scene_pair(tmp_path_factory.mktemp('scene'), size=192, seed=1)


def test_without_a_checkpoint(
    tmp_path: Path, scene: ScenePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights of the package that fit are taken, and it is said where they are from."""
    out = tmp_path / 'maps'
    arguments = ['--s2', str(scene.s2), '--s1', str(scene.s1), '--output', str(out)]
    arguments += ['--accelerator', 'cpu', '--no-progress']
    assert main(['map', *arguments]) == 0
    meta = read_meta('SENTINEL2_L1C_SMALL')
    told = capsys.readouterr().err
    assert (
        'Weights of the package: SENTINEL2_L1C_SMALL, of level 1C, trained on synth'
        in told
    )
    # The raster has no mask, and none was given
    assert (
        'Warning: Colours of 1 of 1 scenes were not matched to their clear pixels, for '
        'want of a cloud mask. Give a `--mask`, or `--mask auto` to have one found.'
    ) in told
    folder = out / 'scene_s2'
    properties = json.loads((folder / 'scene_s2.json').read_text())['properties']
    assert properties['tdpcr:weights'] == 'SENTINEL2_L1C_SMALL'
    assert properties['tdpcr:weights_summary'] == meta['summary']
    with rasterio.open(folder / 'scene_s2_classes.tif') as file:
        assert set(np.unique(file.read())) <= {*range(7), 255}
    assert main(['report', str(folder)]) == 0
    assert meta['summary'] in (folder / 'report.html').read_text()
    # The same, chosen by name: the map is there already
    assert main(['map', *arguments, '--weights', 'SENTINEL2_L1C_SMALL']) == 0
    again = capsys.readouterr()
    assert '1 was already there' in again.out
    assert 'not matched' not in again.err
    # With a mask it would be another map, and it is said what differs
    assert main(['map', *arguments, '--mask', str(scene.clouds)]) == 1
    assert 'was made from other files (cloud_mask)' in capsys.readouterr().err
    # Nor is it said where it is not wanted
    further = ['--no-match-clear', '--overwrite']
    assert main(['map', *arguments, *further]) == 0
    assert 'not matched' not in capsys.readouterr().err


def test_exported_weights_are_mapped_with(
    tmp_path: Path, scene: ScenePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    name = 'SENTINEL2_L1C_SMALL'
    mine = tmp_path / 'mine.safetensors'
    shutil.copy(FOLDER / f'{name.lower()}.safetensors', mine)
    arguments = ['--s2', str(scene.s2), '--s1', str(scene.s1), '--layers', 'image']
    arguments += ['--accelerator', 'cpu', '--no-progress', '--no-match-clear']
    images = []
    for choice in ('--weights', name), ('--checkpoint', str(mine)):
        out = tmp_path / choice[0].strip('-')
        assert main(['map', *arguments, *choice, '--output', str(out)]) == 0
        with rasterio.open(out / 'scene_s2' / 'scene_s2_image.tif') as file:
            images.append(file.read())
    np.testing.assert_array_equal(*images)
    properties = json.loads((out / 'scene_s2' / 'scene_s2.json').read_text())
    assert properties['properties']['tdpcr:checkpoint'] == str(mine)
    mine.write_bytes(b'broken')
    capsys.readouterr()
    assert main(['map', *arguments, '--checkpoint', str(mine), '--output', 'x']) == 2
    told = capsys.readouterr().err
    assert f'`--checkpoint {mine}` cannot be read' in told
    assert '`export_weights` wrote (.safetensors)' in told


def test_level_2a_without_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_scene_pair(tmp_path / 'scenes', size=192, level='2A')
    out = tmp_path / 'maps'
    arguments = ['--s2', str(paths.s2), '--s1', str(paths.s1), '--output', str(out)]
    arguments += ['--offset', '1000', '--layers', 'image', 'classes', 'uncertainty']
    assert main(['map', *arguments, '--accelerator', 'cpu', '--no-progress']) == 0
    assert 'package: SENTINEL2_L2A_SMALL, of level 2A,' in capsys.readouterr().err
    with (
        rasterio.open(out / 'scene_s2' / 'scene_s2_image.tif') as file,
        rasterio.open(paths.clear) as truth,
        rasterio.open(paths.s2) as cloudy,
        rasterio.open(paths.clouds) as clouds,
    ):
        assert file.count == 12
        under = clouds.read(1) == 1
        restored, seen = (
            np.abs(image.read().astype(int) - truth.read())[:, under].mean()
            for image in (file, cloudy)
        )
    assert restored < 0.5 * seen
    with rasterio.open(out / 'scene_s2' / 'scene_s2_uncertainty.tif') as file:
        assert 20 < np.median(file.read(1)) < 3000
    # Nothing tells the offset of the truth either
    folder = str(out / 'scene_s2')
    assert main(['report', folder, '--truth', str(paths.clear)]) == 0
    html = (out / 'scene_s2' / 'report.html').read_text()
    before, after = (
        float(re.search(rf'{name}, all pixels.*?([\d.]+) dB', html, re.DOTALL)[1])  # type: ignore[index]
        for name in ('Before', 'After')
    )
    assert after > before + 3


def test_an_offset_that_the_numbers_speak_against(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands that are printed run; another offset is warned of, on the page, too."""
    arguments = ['--size', '160', '--level', '2A', '--sar-margin', '12']
    assert main(['synthesize-scene', str(tmp_path), *arguments]) == 0
    mapping, report = (
        shlex.split(line.split(': ', 1)[1])[1:]
        for line in capsys.readouterr().out.splitlines()
        if ': torchgeo-tdpcr ' in line
    )
    page = tmp_path / 'maps' / 'scene_s2' / 'report.html'
    assert main([*mapping, '--accelerator', 'cpu']) == 0
    captured = capsys.readouterr()
    assert 'was given, but' not in captured.err
    # No terminal, no bar
    assert 'px' not in captured.err
    assert main(report) == 0
    assert '1000, as it was given<' in page.read_text()

    mapping[mapping.index('1000')] = '0'
    assert main([*mapping, '--accelerator', 'cpu', '--overwrite']) == 0
    error = capsys.readouterr().err
    assert '`--offset 0` was given, but no band has numbers below 1' in error
    assert main(report) == 0
    assert '0, as it was given, but no band has numbers below 1' in page.read_text()


def test_no_weights_fit(
    tmp_path: Path, scene: ScenePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / 'few_s2.tif'
    with rasterio.open(scene.s2) as source:
        profile = {**source.profile, 'count': 3}
        with rasterio.open(few, 'w', **profile) as file:
            file.write(source.read([2, 3, 4]))
            file.descriptions = ('B2', 'B3', 'B4')
    arguments = [
        '--s2',
        str(few),
        '--s1',
        str(scene.s1),
        '--output',
        str(tmp_path / 'o'),
    ]
    assert main(['map', *arguments]) == 2
    error = capsys.readouterr().err
    assert 'are of level 2A and have the bands B2 B3 B4' in error
    assert '--checkpoint' in error
    assert not (tmp_path / 'o').exists()


def test_weights_are_of_the_level(
    tmp_path: Path, scene: ScenePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    """Level 1C without B10 must not be taken for level 2A, nor both be mapped as one."""
    twelve = tmp_path / 'S2A_MSIL1C_20200604T101031_s2.tif'
    with rasterio.open(scene.s2) as source:
        names = [name for name in source.descriptions if name != 'B10']
        profile = {**source.profile, 'count': 12}
        with rasterio.open(twelve, 'w', **profile) as file:
            file.write(source.read([source.descriptions.index(n) + 1 for n in names]))
            file.descriptions = names
            file.update_tags(OFFSET=1000)
    surface = tmp_path / 'S2A_MSIL2A_20200604T101031_s2.tif'
    shutil.copy(twelve, surface)
    out = ['--output', str(tmp_path / 'o')]

    assert main(['map', '--s2', str(twelve), '--s1', str(scene.s1), *out]) == 2
    error = capsys.readouterr().err
    assert 'are of level 1C and have the bands' in error

    both = tmp_path / 'both.csv'
    both.write_text(f's2,s1\n{scene.s2},{scene.s1}\n{surface},{scene.s1}\n')
    assert main(['map', '--pairs', str(both), *out]) == 2
    error = capsys.readouterr().err
    assert '1C: scene_s2; 2A: S2A_MSIL2A_20200604T101031_s2' in error
    assert 'each level on their own' in error


def test_one_model_only(
    tmp_path: Path, scene: ScenePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['--s2', str(scene.s2), '--s1', str(scene.s1)]
    model = ['--weights', 'SENTINEL2_L1C_SMALL', '--checkpoint', str(CONF)]
    assert main(['map', *arguments, *model]) == 2
    assert 'give one of them' in capsys.readouterr().err


def test_weights_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['weights']) == 0
    text = capsys.readouterr().out
    for name in shipped_names():
        assert name in text
        assert read_meta(name)['summary'] in text
    assert main(['weights', '--json']) == 0
    assert json.loads(capsys.readouterr().out) == {
        name: read_meta(name) for name in shipped_names()
    }
