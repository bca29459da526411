# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""From training to a map, through the commands alone."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
import torch.nn.functional as F
import yaml
from torchgeo.main import main as torchgeo

from torchgeo_tdpcr.cli import main
from torchgeo_tdpcr.datasets.scenes.windows import detection
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair

CONF = Path(__file__).parents[1] / 'conf' / 'tdpcr.yaml'


class Harm:
    """Makes a file when it is unpickled."""

    path = Path()

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), 'w')


@pytest.fixture(scope='module')
def checkpoint(synthetic_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both phases of a small model, trained a little."""
    folder = tmp_path_factory.mktemp('training')
    torchgeo(
        [
            'fit',
            '--config',
            str(CONF),
            '--data.paths',
            str(synthetic_root),
            '--trainer.default_root_dir',
            str(folder),
            '--trainer.logger.init_args.save_dir',
            str(folder),
            '--trainer.max_epochs',
            '4',
            '--model.phase1_epochs',
            '2',
        ]
    )
    (path,) = folder.rglob('*.ckpt')
    return path


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    return write_scene_pair(tmp_path_factory.mktemp('scene'), size=192, seed=1)


def test_clouds_that_are_found(
    tmp_path: Path,
    checkpoint: Path,
    scene: ScenePaths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ['map', '--checkpoint', str(checkpoint), '--no-progress']
    arguments += ['--s2', str(scene.s2), '--s1', str(scene.s1), '--accelerator', 'cpu']
    arguments += ['--keep-clear', '--output', str(tmp_path)]
    assert main([*arguments, '--mask', 'product']) == 2
    assert (
        'has no cloud mask of its own, as `--mask product`' in capsys.readouterr().err
    )
    assert main([*arguments, '--mask', 'auto']) == 0
    folder = tmp_path / 'scene_s2'
    assert main(['report', str(folder), '--truth', str(scene.clear)]) == 0
    text = (folder / 'report.html').read_text()
    assert 'Cloud or shadow by ukis-csmask' in text
    assert '<td>After, cloudy pixels</td>' in text

    monkeypatch.setattr(detection, 'find_spec', lambda name: None)
    assert main([*arguments, '--mask', 'AUTO']) == 2
    error = capsys.readouterr().err
    assert (
        '`--mask auto` finds clouds with ukis-csmask, which is not installed' in error
    )
    assert main(['report', str(folder), '--truth', str(scene.clear)]) == 0
    assert 'names no cloud mask' in (folder / 'report.html').read_text()


def test_several_dates(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = str(tmp_path / 'scenes')
    assert main(['synthesize-scene', scenes, '--other-days', '3', '3']) == 2
    assert '`--other-days 3 3`: give each day once' in capsys.readouterr().err
    assert not Path(scenes).exists()
    arguments = ['--size', '192', '--seed', '1', '--other-days', '9', '-40']
    assert main(['synthesize-scene', scenes, *arguments]) == 0
    told = capsys.readouterr().out
    assert 'clouds, 40 days earlier: ' in told
    assert 'map --composite --mask auto --s1 ' in told
    names = ('scene_s2', 'scene_20200613_s2', 'scene_20200425_s2')
    s2 = [f'{scenes}/{name}.tif' for name in names]
    arguments = ['map', '--checkpoint', str(checkpoint), '--no-progress']
    arguments += ['--s1', f'{scenes}/scene_s1.tif', '--accelerator', 'cpu']
    arguments += ['--composite', '--output', str(tmp_path / 'maps')]
    assert main([*arguments, '--s2', s2[0]]) == 2
    assert '`--composite` takes several dates of one place' in capsys.readouterr().err
    assert main([*arguments, '--s2', *s2]) == 2
    assert 'nothing tells where other dates are to stand' in capsys.readouterr().err
    assert main([*arguments, '--s2', scenes, s2[0]]) == 2
    error = capsys.readouterr().err
    assert "scenes' holds" in error
    assert 'Give each date by itself' in error
    layers = ['--mask', 'auto', '--layers', 'image', 'source']
    assert main([*arguments, '--s2', *s2, *layers]) == 0
    folder = tmp_path / 'maps' / 'scene_s2'
    item = json.loads((folder / 'scene_s2.json').read_text())
    assert item['properties']['tdpcr:keep_clear'] is True
    with rasterio.open(folder / 'scene_s2_source.tif') as file:
        assert set(np.unique(file.read())) == {0, 1, 2}
    assert main(['report', str(folder), '--output', str(tmp_path / 'report.html')]) == 0
    text = (tmp_path / 'report.html').read_text()
    assert re.search(r'observed \d+ %, other date \d+ %, restored \d+ %', text)


def test_map_and_report(
    tmp_path: Path,
    checkpoint: Path,
    scene: ScenePaths,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / 'maps'
    arguments = ['--checkpoint', str(checkpoint), '--output', str(out), '--no-progress']
    arguments += ['--s2', str(scene.s2), '--s1', str(scene.s1), '--accelerator', 'cpu']
    arguments += ['--patch-size', '96', '--overlap', '32']
    assert main(['map', *arguments]) == 0
    assert '1 of 1 scenes mapped' in capsys.readouterr().out
    folder = out / 'scene_s2'
    item = json.loads((folder / 'scene_s2.json').read_text())
    assert item['properties']['tdpcr:checkpoint'] == str(checkpoint)
    assert item['properties']['tdpcr:model'] == 'tdpcr'

    # No step is larger where windows begin or end (64, 96, 128) than elsewhere; in
    # bands of 10 m, as those of 20 and 60 m have steps of their own
    with rasterio.open(folder / 'scene_s2_image.tif') as file:
        image = file.read([2, 3, 4, 8]).astype(float)
    for axis in (1, 2):
        steps = np.abs(np.diff(image, axis=axis)).mean((0, 3 - axis))
        borders = np.zeros(len(steps), bool)
        borders[[63, 95, 127]] = True
        assert steps[borders].mean() < steps[~borders].mean() + steps[~borders].std()

    assert main(['report', str(folder), '--truth', str(scene.clear)]) == 0
    assert (folder / 'report.html').stat().st_size > 10_000
    # A report does not make the map someone else's
    assert main(['map', *arguments]) == 0
    assert '1 was already there' in capsys.readouterr().out


def test_torchgeo_predict_does_the_same(
    tmp_path: Path, checkpoint: Path, scene: ScenePaths
) -> None:
    config = {
        'trainer': {
            'accelerator': 'cpu',
            'logger': False,
            'default_root_dir': str(tmp_path),
            'callbacks': [
                {
                    'class_path': 'SceneWriter',
                    'init_args': {'output_dir': str(tmp_path / 'one')},
                }
            ],
        },
        'model': {'class_path': 'TDPCRTask'},
        'data': {
            'class_path': 'SceneDataModule',
            'init_args': {'s2': str(scene.s2), 's1': str(scene.s1), 'batch_size': 2},
        },
    }
    path = tmp_path / 'predict.yaml'
    path.write_text(yaml.safe_dump(config))
    torchgeo(['predict', '--config', str(path), '--ckpt_path', str(checkpoint)])
    arguments = ['--checkpoint', str(checkpoint), '--accelerator', 'cpu']
    arguments += ['--batch-size', '2']
    arguments += ['--s2', str(scene.s2), '--s1', str(scene.s1), '--no-progress']
    assert main(['map', *arguments, '--output', str(tmp_path / 'two')]) == 0
    for name in ('scene_s2_image.tif', 'scene_s2_classes.tif'):
        one, two = (tmp_path / k / 'scene_s2' / name for k in ('one', 'two'))
        assert one.read_bytes() == two.read_bytes()


def test_mixed_precision_and_compile(
    tmp_path: Path, checkpoint: Path, scene: ScenePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    monkeypatch.setattr(torch.nn.Module, 'compile', lambda self: compiled.append(self))
    arguments = [
        '--checkpoint',
        str(checkpoint),
        '--accelerator',
        'cpu',
        '--no-progress',
    ]
    arguments += ['--s2', str(scene.s2), '--s1', str(scene.s1), '--output']
    assert main(['map', *arguments, str(tmp_path / 'full')]) == 0
    mixed = ['--precision', 'bf16-mixed', '--compile', '--layers', 'image']
    assert main(['map', *arguments, str(tmp_path / 'half'), *mixed]) == 0
    assert len(compiled) == 1
    images = []
    for name in ('full', 'half'):
        with rasterio.open(tmp_path / name / 'scene_s2/scene_s2_image.tif') as file:
            images.append(file.read().astype(float))
    assert not np.array_equal(*images)
    assert np.abs(images[0] - images[1]).mean() < 50


def test_status(
    tmp_path: Path,
    checkpoint: Path,
    scene: ScenePaths,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = ['map', '--output', str(tmp_path / 'maps'), '--no-progress', '--checkpoint']
    files = ['--s2', str(scene.s2), '--s1', str(scene.s1)]
    assert main([*run, str(tmp_path / 'none.ckpt'), *files]) == 2
    assert 'there is no such file' in capsys.readouterr().err
    (tmp_path / 'none.ckpt').write_text('no checkpoint')
    assert main([*run, str(tmp_path / 'none.ckpt'), *files]) == 2
    assert 'cannot be read as a checkpoint of TDPCRTask' in capsys.readouterr().err
    precision = ['--precision', 'transformer-engine']
    assert main([*run, str(checkpoint), *files, *precision]) == 2
    assert '--precision transformer-engine`: ' in capsys.readouterr().err
    harm = tmp_path / 'harm.ckpt'
    monkeypatch.setattr(Harm, 'path', tmp_path / 'harmed')
    torch.save({'state_dict': {}, 'hyper_parameters': Harm()}, harm)
    assert main([*run, str(harm), *files]) == 2
    assert 'cannot be read as a checkpoint of TDPCRTask' in capsys.readouterr().err
    assert not Harm.path.exists()
    missing = 'mps' if torch.cuda.is_available() else 'cuda'
    assert main([*run, str(checkpoint), *files, '--accelerator', missing]) == 2
    assert f'`--accelerator {missing} --devices' in capsys.readouterr().err
    assert main([*run, str(checkpoint), *files, '--model-bands', 'B2', 'B3']) == 2
    assert 'and here' in capsys.readouterr().err
    assert main([*run, str(checkpoint), '--s2', str(tmp_path / 'x'), *files[2:]]) == 2
    assert str(tmp_path / 'x') in capsys.readouterr().err
    # One of two has no radar
    far = write_scene_pair(tmp_path, 'far', size=64, seed=6)
    with rasterio.open(far.s2, 'r+') as file:
        file.transform = rasterio.transform.from_origin(0, 0, 10, 10)
    both = ['--s2', str(scene.s2), str(far.s2), *files[2:], '--accelerator', 'cpu']
    assert main([*run, str(checkpoint), *both]) == 1
    captured = capsys.readouterr()
    assert '1 of 2 scenes mapped' in captured.out
    assert '1 of 2 scenes could not be mapped' in captured.err
    assert 'different places' in captured.err


def test_unknown_dates_are_told(
    tmp_path: Path, checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = write_scene_pair(tmp_path, size=64, seed=7, sar_margin=12)
    for path in (paths.s1, paths.s2):
        with rasterio.open(path, 'r+') as file:
            file.update_tags(ns='IMAGERY', ACQUISITIONDATETIME='')
    run = ['map', '--output', str(tmp_path / 'maps'), '--no-progress', '--accelerator']
    run += ['cpu', '--checkpoint', str(checkpoint), '--s2', str(paths.s2)]
    run += ['--s1', str(paths.s1)]
    assert main(run) == 0
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if 'Unknown date' in line] == [
        f"Warning: Unknown date of '{paths.s2}' and '{paths.s1}': there may be years "
        'between Sentinel-1 and Sentinel-2. Put it into the name, such as '
        'scene_s2_20200604.tif; with `--max-days` such files are refused.'
    ]
    assert main([*run, '--max-days', '30', '--overwrite']) == 2
    told = capfd.readouterr().err
    assert f"'{paths.s2}': is of unknown date" in told
    assert 'whether `--max-days 30` lie between' in told
    assert 'CSV file, as `--pairs`' in told


def test_colours_are_matched_to_clear_pixels(tmp_path: Path, checkpoint: Path) -> None:
    """With weights of the package as a rule, with a checkpoint where it is asked for."""
    scene = write_scene_pair(tmp_path, size=192, seed=2, cover=0.15, sar_margin=12)
    files = ['--s2', str(scene.s2), '--s1', str(scene.s1), '--mask', str(scene.clouds)]
    files += ['--accelerator', 'cpu', '--no-progress', '--layers', 'image']
    found, told = {}, {}
    for name, options in {
        'usual': [],
        'without': ['--no-match-clear'],
        'own': ['--checkpoint', str(checkpoint)],
        'own with': ['--checkpoint', str(checkpoint), '--match-clear'],
    }.items():
        out = tmp_path / name
        assert main(['map', *files, *options, '--output', str(out)]) == 0
        folder = out / 'scene_s2'
        item = json.loads((folder / 'scene_s2.json').read_text())
        told[name] = item['properties'].get('tdpcr:match_clear', False)
        with rasterio.open(folder / 'scene_s2_image.tif') as file:
            found[name] = file.read().astype(int)
    assert told == {'usual': True, 'without': False, 'own': False, 'own with': True}
    with rasterio.open(scene.clouds) as file:
        cloudy = file.read(1) == 1
    around = torch.from_numpy(cloudy).float()[None]
    far = F.max_pool2d(around, 17, 1, 8)[0].numpy() == 0
    assert far.any()
    for one, other in ('usual', 'without'), ('own', 'own with'):
        change = np.abs(found[one] - found[other]).mean(0)
        assert change[cloudy].mean() > 5
        assert not change[far].any()
    assert main(['report', str(tmp_path / 'usual' / 'scene_s2')]) == 0
    page = (tmp_path / 'usual' / 'scene_s2' / 'report.html').read_text()
    assert 'Colours matched to clear pixels' in page
    # Nothing to match with
    bare = [*files[:4], *files[6:], '--output', str(tmp_path / 'bare')]
    assert main(['map', *bare]) == 0
    item = json.loads((tmp_path / 'bare/scene_s2/scene_s2.json').read_text())
    assert 'tdpcr:match_clear' not in item['properties']
    # Another map
    arguments = ['map', *files, '--output', str(tmp_path / 'usual')]
    assert main([*arguments, '--no-match-clear']) == 1
