# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The tables from end to end: every kind of run, through the command of a table."""

import csv
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import torch
import yaml
from processes import forkserver
from tables_command import Tables, load

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.tasks.land_cover import LandCoverInput

#: One row of every kind of run, those that share runs among them.
ROWS = [
    'cr-dsen2cr',
    'cr-tdpcr',
    'joint-segcr',
    'joint-tdpcr',
    'fpft-tdpcr',
    'peft-tdpcr',
    'lcs-clear',
    'lcs-sar',
    'lcs-tdpcr',
]
RUNS = {*ROWS, 'clear-tdpcr'}
CHEAP = ['--rows', 'cr-tdpcr', '--jobs', '0']


@pytest.fixture(scope='module')
def tables() -> Iterator[Tables]:
    with load() as loaded:
        yield loaded


@pytest.fixture(scope='module')
def out(
    tmp_path_factory: pytest.TempPathFactory, synthetic_root: Path, tables: Tables
) -> Path:
    """All tables with all kinds of runs."""
    folder = tmp_path_factory.mktemp('tables')
    scale = yaml.safe_load((tables.folder / 'scales' / 'tiny.yaml').read_text())
    scale |= {'epochs': dict.fromkeys(scale['epochs'], 1)}
    scale |= {'synthetic': {'num_rois': 5, 'chips_per_roi': 5, 'chip_size': 64}}
    scale['settings']['trainer'] |= {'limit_train_batches': 2}
    scale['settings']['data']['init_args'] |= {'batch_size': 4, 'patch_size': 32}
    (folder / 'test.yaml').write_text(yaml.safe_dump(scale))
    assert command(tables, folder, synthetic_root)('all', '--rows', *ROWS) == 0
    return folder


@pytest.fixture
def run(out: Path, synthetic_root: Path, tables: Tables) -> Callable[..., int]:
    return command(tables, out, synthetic_root)


def command(tables: Tables, folder: Path, root: Path) -> Callable[..., int]:
    fixed = ['--scale', str(folder / 'test.yaml'), '--root', str(root)]
    fixed += ['--out', str(folder), '--jobs', '0']

    def run(*arguments: str) -> int:
        status: int = tables.main([*arguments, *fixed])
        return status

    return run


def result(out: Path, run: str, seed: int = 0) -> dict[str, Any]:
    path = out / 'synthetic-test' / run / f'seed{seed}' / 'result.json'
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def table(out: Path, number: int) -> dict[str, Any]:
    path = out / 'synthetic-test' / f'table{number}-synthetic-test-some.json'
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def row(content: dict[str, Any], label: str) -> dict[str, Any]:
    (found,) = (row for row in content['rows'] if row['label'] == label)
    assert isinstance(found, dict)
    return found


def test_each_run_is_trained_once(out: Path) -> None:
    folders = {path.parent.parent.name for path in out.rglob('result.json')}
    assert folders == RUNS
    for name in RUNS:
        folder = out / 'synthetic-test' / name / 'seed0'
        assert (folder / 'fit0').is_dir() == (name != 'clear-tdpcr')
        assert not (folder / 'error.txt').exists()


def test_figures_are_those_of_the_runs(out: Path) -> None:
    first, second = table(out, 1), table(out, 2)
    metrics = result(out, 'cr-tdpcr')['metrics']
    assert row(first, 'TDP-CR (CR-only)')['metrics']['psnr'] == [metrics['psnr']]
    cloudy = row(first, 'Cloudy input')
    assert cloudy['metrics']['ssim'] == [metrics['input_ssim']]
    assert 'params_m' not in cloudy
    staged = row(second, 'TDP-CR (CR-only)')['metrics']
    assert staged['miou'] == [result(out, 'lcs-tdpcr')['metrics']['miou']]
    assert staged['miou_as_is'] == [result(out, 'clear-tdpcr')['metrics']['miou']]
    majority = result(out, 'lcs-clear')['metrics']['pa_majority']
    assert row(second, 'Commonest class')['metrics']['pa'] == [majority]
    assert row(first, 'DSen2-CR')['paper']['psnr'] == 28.52


def test_land_cover_as_is(out: Path, synthetic_root: Path) -> None:
    """The model is that of clear images, and what it sees is not."""
    folder = out / 'synthetic-test'
    (trained,) = (folder / 'lcs-clear').rglob('last.ckpt')
    (restorer,) = (folder / 'cr-tdpcr').rglob('last.ckpt')
    task = TDPCRTask.load_from_checkpoint(trained, map_location='cpu').eval()
    task.lcs_input = LandCoverInput(restorer)
    settings = folder / 'clear-tdpcr' / 'seed0' / 'settings.yaml'
    module = OSFCRDataModule(
        **yaml.safe_load(settings.read_text())['data']['init_args']
    )
    module.setup('test')
    batches = [module.aug(batch) for batch in module.test_dataloader()]
    # The loss tells outputs apart in which the same class wins
    losses = []
    with torch.inference_mode():
        for batch in batches:
            for image in (task.lcs_input(batch), batch['image_clear']):
                logits = task(image, batch['image_sar'])['logits']
                losses.append(task.criterion.segmentation(logits, batch['mask']).item())
    restored, clear = mean(losses[::2]), mean(losses[1::2])
    found = result(out, 'clear-tdpcr')['metrics']['loss']
    assert found == pytest.approx(restored, rel=1e-4)
    assert found != pytest.approx(clear, rel=1e-3)


def test_phase_2_begins_with_the_weights_of_phase_1(out: Path) -> None:
    def weights(run: str) -> dict[str, torch.Tensor]:
        path = out / 'synthetic-test' / run / 'seed0' / 'checkpoints' / 'last.ckpt'
        state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)[
            'state_dict'
        ]
        return state

    first, second, scratch = map(weights, ('cr-tdpcr', 'peft-tdpcr', 'joint-tdpcr'))
    frozen = [key for key in first if '.optical_stages.' in key]
    assert frozen
    assert all(torch.equal(first[key], second[key]) for key in frozen)
    assert not all(torch.equal(first[key], scratch[key]) for key in frozen)


def test_files(out: Path) -> None:
    folder = out / 'synthetic-test'
    text = (folder / 'table3-synthetic-test-some.md').read_text()
    assert 'seeds: 0' in text
    lines = [line for line in text.splitlines() if line.startswith('| (')]
    assert len(lines) == 4
    assert len({line.count('|') for line in lines}) == 1
    psnr = result(out, 'fpft-tdpcr')['metrics']['psnr']
    (line,) = (line for line in lines if 'CR pretrain + FPFT' in line)
    assert f'| {psnr:.2f} | 32.28 |' in line.replace('**', '')
    assert 'PSNR (dB) by cloud cover' in text
    first = (folder / 'table1-synthetic-test-some.md').read_text()
    assert 'has multiply-adds for DSen2-CR' in first
    assert 'IoU (%) by class' in text
    latex = (folder / 'table3-synthetic-test-some.tex').read_text()
    assert latex.count(r' \\') == 1 + len(lines)
    assert latex.count('&') == (1 + len(lines)) * (lines[0].count('|') - 2)
    assert latex.count(r'\begin{tabular}') == latex.count(r'\end{tabular}') == 1
    with (folder / 'table1-synthetic-test-some.csv').open() as file:
        values = {
            (line['system'], line['run'], line['metric']): float(line['value'])
            for line in csv.DictReader(file)
        }
    expected = result(out, 'joint-segcr')['metrics']['sam']
    assert values['SegCR', 'joint-segcr', 'sam'] == pytest.approx(expected, rel=1e-5)
    # Two rows of one run
    metrics = result(out, 'cr-tdpcr')['metrics']
    for system, metric in ('Cloudy input', 'input_sam'), ('TDP-CR (CR-only)', 'sam'):
        value = values[system, 'cr-tdpcr', 'sam']
        assert value == pytest.approx(metrics[metric], rel=1e-5)


def test_what_is_done_is_not_run_again(
    run: Callable[..., int], tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(arguments: list[str]) -> None:
        raise AssertionError(arguments)

    monkeypatch.setattr(tables.execute, 'torchgeo', never)
    assert run('all', '--rows', *ROWS) == 0


def test_seeds(out: Path, run: Callable[..., int], tables: Tables) -> None:
    assert run('1', '--rows', 'cr-tdpcr', '--seeds', '0', '1') == 0
    values = row(table(out, 1), 'TDP-CR (CR-only)')['metrics']['psnr']
    assert values == [result(out, 'cr-tdpcr', s)['metrics']['psnr'] for s in (0, 1)]
    assert values[0] != values[1]
    text = (out / 'synthetic-test' / 'table1-synthetic-test-some.md').read_text()
    assert f'{mean(values):.2f} ± {stdev(values):.2f}' in text
    assert run('all', '--rows', *ROWS) == 0


def test_other_settings_do_not_mix(
    out: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = result(out, 'cr-tdpcr')
    assert run('1', '--set', 'model.init_args.lr=0.5', '--rows', 'cr-tdpcr') == 2
    assert (
        'cr-tdpcr/seed0/result.json is of a run with other' in capsys.readouterr().err
    )
    assert result(out, 'cr-tdpcr') == before


def test_a_run_that_fails_and_goes_on(
    out: Path,
    run: Callable[..., int],
    tables: Tables,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, calls = tables.execute.torchgeo, []

    def broken(arguments: list[str]) -> None:
        calls.append(arguments)
        if arguments[0] == 'test' and len(calls) == 2:
            raise RuntimeError('the power failed')
        real(arguments)

    folder = out / 'synthetic-test' / 'cr-tdpcr-local' / 'seed0'
    monkeypatch.setattr(tables.execute, 'torchgeo', broken)
    rows = ['3', '--rows', 'peft-tdpcr-local', 'fpft-tdpcr']
    assert run(*rows) == 1
    printed = capsys.readouterr().out
    assert 'cr-tdpcr-local, seed 0: failed: RuntimeError: the power failed' in printed
    assert 'peft-tdpcr-local, seed 0: needs cr-tdpcr-local, seed 0' in printed
    assert 'the power failed' in (folder / 'error.txt').read_text()
    # What is there makes a table all the same
    assert 'CR pretrain + FPFT' in printed
    assert run(*rows) == 0
    assert calls[2][-2:] == ['--ckpt_path', str(folder / 'checkpoints' / 'last.ckpt')]
    assert (folder / 'fit0').is_dir()
    assert (folder / 'fit1').is_dir()
    assert not (folder / 'error.txt').exists()


def test_what_builds_on_another_checkpoint_is_told(
    out: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = out / 'synthetic-test' / 'peft-tdpcr' / 'seed0' / 'result.json'
    kept = path.read_text()
    path.write_text(kept.replace(json.loads(kept)['fingerprint'], '0' * 12))
    assert run('3', '--rows', 'peft-tdpcr') == 2
    assert 'peft-tdpcr/seed0/result.json' in capsys.readouterr().err
    path.write_text(kept)


@pytest.fixture
def quick_start(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools of processes that need not import TorchGeo."""
    monkeypatch.setattr(
        tables.schedule.multiprocessing, 'get_context', lambda method: forkserver()
    )


def kill_itself(job: Any) -> None:
    if job.name == 'killed':
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures('quick_start')
def test_a_process_that_is_killed(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the system when memory runs out: the others go on."""
    monkeypatch.setattr(tables.schedule, 'execute_logged', kill_itself)
    jobs = [
        tables.execute.Job(name, 0, tmp_path / name, {}, '')
        for name in ('killed', 'builds on it', 'other')
    ]
    needs = {('builds on it', 0): [('killed', 0)]}
    failed = tables.schedule.execute_all(jobs, needs, 1)
    assert failed[('builds on it', 0)] == 'needs killed, seed 0, which failed'
    assert 'BrokenProcessPool' in failed[('killed', 0)]
    assert len(failed) == 2
    assert 'BrokenProcessPool' in (tmp_path / 'killed' / 'error.txt').read_text()


@pytest.mark.usefixtures('quick_start')
def test_in_processes(
    out: Path, synthetic_root: Path, tables: Tables, tmp_path: Path
) -> None:
    """A run of a process is that of this process, and what it prints lies in a file."""
    arguments = ['1', '--scale', str(out / 'test.yaml'), '--root', str(synthetic_root)]
    arguments += ['--rows', 'cr-tdpcr', '--jobs', '1', '--out', str(tmp_path)]
    assert tables.main(arguments) == 0
    folder = tmp_path / 'synthetic-test' / 'cr-tdpcr' / 'seed0'
    assert 'Trainer.fit' in (folder / 'log.txt').read_text()
    apart = result(tmp_path, 'cr-tdpcr')['metrics']
    assert apart == pytest.approx(result(out, 'cr-tdpcr')['metrics'], rel=1e-4)


def test_real_data(
    tables: Tables, out: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    """The layout is that of LuojiaSET-OSFCR."""
    arguments = [
        '--data',
        'osfcr',
        '--root',
        str(synthetic_root),
        '--out',
        str(tmp_path),
    ]
    scale = ['--scale', str(out / 'test.yaml')]
    # The published split wants more chips
    other = ['--set', 'data.init_args.split_by=component']
    assert tables.main(['1', *CHEAP, *arguments, *scale, *other]) == 0
    folder = tmp_path / 'osfcr-test'
    assert (folder / 'table1-osfcr-test-some.md').is_file()
    settings = folder / 'cr-tdpcr' / 'seed0' / 'settings.yaml'
    data = yaml.safe_load(settings.read_text())['data']['init_args']
    assert (data['split_by'], data['paths']) == ('component', str(synthetic_root))


def test_makes_synthetic_data(
    tables: Tables, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scale = yaml.safe_load((out / 'test.yaml').read_text())
    scale['synthetic'] |= {'num_rois': 3, 'chips_per_roi': 2, 'chip_size': 32}
    (tmp_path / 'less.yaml').write_text(yaml.safe_dump(scale))
    arguments = ['--scale', str(tmp_path / 'less.yaml'), '--out', str(tmp_path)]
    assert tables.main(['1', *CHEAP, *arguments, '--plan']) == 0
    assert 'cr-tdpcr, seed 0' in capsys.readouterr().out
    assert not (tmp_path / 'synthetic-less').exists()
    fewer = ['--set', 'data.init_args.batch_size=1', 'data.init_args.patch_size=16']
    assert tables.main(['1', *CHEAP, *arguments, *fewer]) == 0
    assert len(list(tmp_path.rglob('s2_cloudy/*.tif'))) == 6
    shutil.rmtree(tmp_path / 'synthetic-less')
