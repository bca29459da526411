# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The guides do what they say: their marked code is run, in smaller sizes.

In a page, the comment ``% run`` marks the fenced code below it, and ``% write NAME`` a
file that later code needs.
"""

import csv
import doctest
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import rasterio
import torch
import yaml
from lightning.pytorch import Trainer
from torchgeo.main import main as torchgeo

from experiments.tables import __main__ as tables
from experiments.tables.plan import HERE as TABLES
from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.callbacks.geotiff.layers.kinds import UncertaintyLayer
from torchgeo_tdpcr.cli import main as torchgeo_tdpcr
from torchgeo_tdpcr.models import registry

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / 'docs' / 'guide'
MARKED = re.compile(r'^% (run|write (\S+))\n```(\w+)\n(.*?)^```$', re.M | re.S)


def python(arguments: list[str]) -> int:
    """Run the command of the tables in this process."""
    assert arguments[:2] == ['-m', 'experiments.tables']
    return tables.main(arguments[2:])


PROGRAMS: dict[str, Callable[[list[str]], Any]] = {
    'python': python,
    'torchgeo': torchgeo,
    'torchgeo-tdpcr': torchgeo_tdpcr,
}

#: What makes the pages' sizes those of a test.
SMALLER = {
    '--size 600': '--size 96',
    'synthesize data\n': 'synthesize data --num-rois 5 --chips-per-roi 3 '
    '--chip-size 64 --workers 0 --no-progress\n',
    '--scale tiny': '--scale test.yaml --jobs 2',
    '--data.paths data ': '--data.paths data --data.patch_size 64 '
    '--data.batch_size 4 --trainer.enable_progress_bar false ',
}


class Block(NamedTuple):
    """Marked code: its language, the code, and the name of its file, if it is one."""

    language: str
    code: str
    file: str | None


def blocks(page: str) -> list[Block]:
    text = (GUIDE / f'{page}.md').read_text(encoding='utf-8')
    found = [Block(m[3], m[4], m[2]) for m in MARKED.finditer(text)]
    marks = re.findall(r'^% (?:run|write)\b', text, re.M)
    # A mark that is not right above its code would silently mark nothing
    assert len(found) == len(marks) > 0
    return found


def run_shell(code: str) -> None:
    for long, short in SMALLER.items():
        code = code.replace(long, short)
    for line in code.replace('\\\n', ' ').splitlines():
        program, *arguments = shlex.split(line)
        status = PROGRAMS[program](arguments)
        assert program == 'torchgeo' or status == 0, line


def run_page(page: str) -> dict[str, Any]:
    """Run the marked code of a page, from top to bottom, and return its names."""
    names: dict[str, Any] = {'__name__': page}
    for number, (language, code, file) in enumerate(blocks(page), 1):
        if file is not None:
            Path(file).write_text(code, encoding='utf-8')
        elif language == 'sh':
            run_shell(code)
        elif language == 'pycon':
            example = doctest.DocTestParser().get_doctest(
                code, names, page, f'{page}.md', number
            )
            results = doctest.DocTestRunner().run(example, clear_globs=False)
            assert results.failed == 0
            names.update(example.globs)
        else:
            assert language == 'python'
            exec(compile(code, f'{page}.md, block {number}', 'exec'), names)
    return names


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the quick start leaves, untrained; the current folder is a fresh one."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    path = Path('runs/quickstart/checkpoints/last.ckpt')
    trainer = Trainer(logger=False, enable_progress_bar=False, accelerator='cpu')
    task = TDPCRTask(model='tdpcr_small', training='joint')
    task.input_record = OSFCRDataModule().input_record
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path, weights_only=True)
    return path


@pytest.mark.usefixtures('checkpoint')
def test_map() -> None:
    names = run_page('map')
    page = (GUIDE / 'map.md').read_text(encoding='utf-8')
    listing = page.split('maps/scene_s2/\n')[1].split('```')[0]
    listed = {line.split()[0] for line in listing.splitlines()}
    made = {path.name for path in Path('maps/scene_s2').iterdir()}
    assert made == listed | {'report.html'}
    assert names['reflectance'].min() >= 0
    assert 0 <= names['classes'].min() <= names['classes'].max() < 7
    assert Path('scene.png').stat().st_size > 1000
    for folder in (
        'maps-of-table/bavaria',
        'maps-keep-clear/scene_s2',
        'maps-found/scene_s2',
        'maps-composite/scene_s2',
        'maps-of-torchgeo/scene_s2',
    ):
        assert Path(folder, f'{Path(folder).name}.json').is_file()
    assert {path.name for path in Path('maps-of-yaml/scene_s2').glob('*.tif')} == {
        f'scene_s2_{layer}.tif' for layer in ('image', 'classes', 'confidence')
    }


def test_map_states_the_types_of_the_files(checkpoint: Path) -> None:
    run_shell(
        'torchgeo-tdpcr synthesize-scene scenes --size 64\n'
        'torchgeo-tdpcr map --s2 scenes/scene_s2.tif --s1 scenes/scene_s1.tif '
        f'--checkpoint {checkpoint} --no-progress '
        '--mask auto --layers image classes confidence change prompt cloud_mask source'
    )
    page = (GUIDE / 'map.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| `(\w+)` \| (\w+) \| (\S+) \|', page, re.M)
    assert len(rows) == 8
    # A layer that the model of this checkpoint does not predict
    (told,) = (row for row in rows if row[0] == UncertaintyLayer.name)
    assert told[1:] == (UncertaintyLayer.dtype, str(UncertaintyLayer.nodata))
    rows.remove(told)
    for layer, dtype, nodata in rows:
        with rasterio.open(f'maps/scene_s2/scene_s2_{layer}.tif') as file:
            assert set(file.dtypes) == {dtype}
            assert str(file.nodata) == str(float(nodata))


def test_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page('writer')
    assert {path.name for path in Path('maps/city').glob('*.tif')} == {
        'city_classes.tif',
        'city_confidence.tif',
    }
    with rasterio.open('maps/height/height_prediction.tif') as file:
        assert file.dtypes == ('float32',)


def test_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_page('bands')
    for name in ('scene_s2', 'level2a_s2'):
        with rasterio.open(f'maps/{name}/{name}_image.tif') as file:
            assert tuple(file.descriptions) == names['task'].input_record.bands
            assert set(file.offsets) == {-0.1}


def test_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [['s2', 's1'], *([f'{i}.tif', 'a, b.tif'] for i in range(23))]
    with Path('pairs.csv').open('w', newline='') as file:
        csv.writer(file).writerows(rows)
    run_page('scale')
    parts = []
    for i in range(3):
        with Path(f'pairs-{i}.csv').open(newline='') as file:
            header, *part = csv.reader(file)
        assert header == rows[0]
        parts.append(part)
    assert [len(part) for part in parts] == [10, 10, 3]
    assert [row for part in parts for row in part] == rows[1:]


@pytest.mark.usefixtures('quick_torchgeo')
def test_own_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, '_MODELS', dict(registry._MODELS))
    tiny = yaml.safe_load((TABLES / 'scales' / 'tiny.yaml').read_text())
    tiny |= {'epochs': {'cr': 1}}
    tiny |= {'synthetic': {'num_rois': 5, 'chips_per_roi': 2, 'chip_size': 32}}
    tiny['settings']['trainer'] |= {'limit_train_batches': 2}
    tiny['settings']['data']['init_args'] |= {'batch_size': 2, 'patch_size': 16}
    Path('test.yaml').write_text(yaml.safe_dump(tiny))
    run_page('own-model')
    assert len(Path('my_model.py').read_text().splitlines()) <= 20
    printed = capsys.readouterr().out
    (row,) = re.findall(r'^\| Added \| my_model \| (.*)$', printed, re.M)
    assert re.match(r'(\*\*)?\d+\.\d+ ± \d+\.\d+', row)
    results = Path('runs/tables/synthetic-test')
    assert len(list(results.glob('cr-my_model/seed*/result.json'))) == 2
    # 15 to 64 and 64 to 13 channels, 3×3
    assert row.split(' | ')[7] == f'{(15 * 64 * 9 + 64 + 64 * 13 * 9 + 13) / 1e6:.3f}'


def test_options_of_the_tables_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tables.main(['--help'])
    known = set(re.findall(r'--[a-z]+', capsys.readouterr().out))
    page = (GUIDE / 'tables.md').read_text(encoding='utf-8')
    # The options of Snakemake are its own
    ours = re.sub(r'^## On a cluster$.*?(?=^## )', '', page, flags=re.M | re.S)
    assert ours != page
    used = set(re.findall(r'(?<=[` ])--[a-z]+', ours))
    assert used - {'--config'} == known - {'--help'}


def test_every_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        torchgeo_tdpcr(['--help'])
    commands = re.search(r'{([\w,-]+)}', capsys.readouterr().out)
    assert commands is not None
    page = (GUIDE.parent / 'api' / 'cli.md').read_text(encoding='utf-8')
    for command in commands[1].split(','):
        assert re.search(f'`torchgeo-tdpcr {command}[ `]', page)


@pytest.mark.parametrize('command', ['map', 'report', 'figures', 'synthesize-scene'])
def test_options_on_the_pages_exist(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        torchgeo_tdpcr([command, '--help'])
    known = set(re.findall(r'--[a-z][a-z0-9-]+', capsys.readouterr().out))
    page = (GUIDE.parent / 'api' / 'cli.md').read_text(encoding='utf-8')
    entry = page.split(f'`torchgeo-tdpcr {command} ')[1].split('\n`torchgeo-tdpcr')[0]
    used = set(re.findall(r'--[a-z][a-z0-9-]+', entry.split('\n### ')[0]))
    assert used
    assert used <= known
