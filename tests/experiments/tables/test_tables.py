# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The tables from end to end: every kind of run, through the command of a table."""

import csv
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from time import monotonic, sleep
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from processes import forkserver

from experiments.tables import __main__ as tables
from experiments.tables.plan import HERE
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


@pytest.fixture(scope='module')
def out(
    tmp_path_factory: pytest.TempPathFactory,
    synthetic_root: Path,
    torchgeo_command: Path,
) -> Path:
    """All tables with all kinds of runs."""
    # A space, since the commands of the rules go through a shell
    folder = tmp_path_factory.mktemp('the tables')
    scale = yaml.safe_load((HERE / 'scales' / 'tiny.yaml').read_text())
    scale |= {'epochs': dict.fromkeys(scale['epochs'], 2)}
    scale |= {'synthetic': {'num_rois': 5, 'chips_per_roi': 5, 'chip_size': 64}}
    few = {'limit_train_batches': 2, 'limit_val_batches': 1}
    scale['settings']['trainer'] |= few
    scale['settings']['data']['init_args'] |= {'batch_size': 4, 'patch_size': 32}
    (folder / 'test.yaml').write_text(yaml.safe_dump(scale))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, 'TORCHGEO', str(torchgeo_command))
        assert command(folder, synthetic_root)('all', '--rows', *ROWS) == 0
    return folder


@pytest.fixture
def run(out: Path, synthetic_root: Path, quick_torchgeo: None) -> Callable[..., int]:
    return command(out, synthetic_root)


def command(folder: Path, root: Path) -> Callable[..., int]:
    fixed = ['--scale', str(folder / 'test.yaml'), '--root', str(root)]
    fixed += ['--out', str(folder), '--jobs', '2']
    return lambda *arguments: tables.main([*arguments, *fixed])


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
        assert not (folder / 'fit1').exists()
        assert 'Test metric' in (folder / 'log.txt').read_text()


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


def test_says_where_encoders_started(out: Path) -> None:
    path = out / 'synthetic-test' / 'table2-synthetic-test-some.md'
    text = path.read_text()
    assert 'Encoders that started at random: ' in text
    assert 'SegFormer' in text.split('Encoders that started at random: ')[1][:40]


def test_land_cover_as_is(out: Path, synthetic_root: Path) -> None:
    """The model is that of clear images, and what it sees is not."""
    folder = out / 'synthetic-test'
    (trained,) = (folder / 'lcs-clear').rglob('last.ckpt')
    (restorer,) = (folder / 'cr-tdpcr').rglob('last.ckpt')
    task = TDPCRTask.load_from_checkpoint(trained, map_location='cpu').eval()
    task.lcs_input = LandCoverInput(restorer, task._load_restorer)
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
    # The full method stands under fusion, training and output
    assert len(lines) == 5
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
    out: Path,
    run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tables, 'TORCHGEO', 'false')
    assert run('all', '--rows', *ROWS) == 0
    # Neither by Snakemake, when what a run builds on is newer
    (out / 'synthetic-test' / 'cr-tdpcr/seed0/checkpoints/epoch=1.ckpt').touch()
    assert run('all', '--rows', *ROWS, '--plan') == 0
    assert 'Nothing to be done' in capfd.readouterr().out


def test_results_alone_make_the_same_table(
    out: Path,
    synthetic_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a run leaves can be kept without its checkpoints, on another machine too."""
    name = 'synthetic-test'
    for path in (out / name).glob('*/seed0/*.json'):
        assert str(out) not in path.read_text()
        copy = tmp_path / path.relative_to(out)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / 'test.yaml').write_bytes((out / 'test.yaml').read_bytes())
    monkeypatch.setattr(tables, 'TORCHGEO', 'false')
    rows = [name for name in ROWS if not name.startswith('lcs')]
    assert command(tmp_path, synthetic_root)('1', '3', '--rows', *rows) == 0
    for file in f'table1-{name}-some.md', f'table3-{name}-some.md':
        assert (tmp_path / name / file).read_text() == (out / name / file).read_text()


def test_validation_is_kept(out: Path) -> None:
    joint, phase_1 = result(out, 'joint-tdpcr'), result(out, 'cr-tdpcr')
    assert [measured['epoch'] for measured in joint['validation']] == [0, 1]
    assert {'psnr', 'miou'} < set(joint['validation'][0])
    assert 'miou' not in phase_1['validation'][0]
    assert result(out, 'clear-tdpcr')['validation'] == []
    assert phase_1['task']['training'] == 'cr'


def test_seeds(out: Path, run: Callable[..., int]) -> None:
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
    assert "cr-tdpcr/seed0' is of a run with other" in capsys.readouterr().err
    assert result(out, 'cr-tdpcr') == before


def test_what_builds_on_another_checkpoint_is_told(
    out: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = out / 'synthetic-test' / 'peft-tdpcr' / 'seed0' / 'started.json'
    kept = path.read_text()
    path.write_text(json.dumps({'fingerprint': '0' * 12}))
    assert run('3', '--rows', 'peft-tdpcr') == 2
    assert "peft-tdpcr/seed0' is of a run with other" in capsys.readouterr().err
    path.write_text(kept)


#: A torchgeo command that a cluster ends: one fit early and in peace, another by force.
ENDED = """#!/bin/sh
case "$*" in
    fit*cr-tdpcr-local*) exec {torchgeo} "$@" \\
        --trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping \\
        --trainer.callbacks.monitor=train_loss \\
        --trainer.callbacks.stopping_threshold=1e9 \\
        --trainer.callbacks.check_on_train_epoch_end=true ;;
    fit*cr-tdpcr-global*) kill -KILL $$ ;;
    *) exec {torchgeo} "$@" ;;
esac
"""


def test_runs_that_end_early_and_go_on(
    out: Path,
    run: Callable[..., int],
    torchgeo_command: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    ended = tmp_path / 'ended'
    ended.write_text(ENDED.format(torchgeo=shlex.quote(str(torchgeo_command))))
    ended.chmod(0o755)
    runs = out / 'synthetic-test'
    rows = ['3', '--rows', 'peft-tdpcr-local', 'peft-tdpcr-global', 'joint-tdpcr']
    with monkeypatch.context() as patch:
        patch.setattr(tables, 'TORCHGEO', str(ended))
        assert run(*rows, '--seeds', '5') == 1
    output, errors = capfd.readouterr()
    for name in 'cr-tdpcr-local', 'cr-tdpcr-global':
        assert f'{name}/seed5/log.txt (check log file' in errors
        assert f"{name}, seed 5: failed, see '{runs / name / 'seed5' / 'log.txt'}'" in (
            output
        )
        assert f'peft-{name[3:]}, seed 5: not run, for it needs {name}' in output
        assert not (runs / f'peft-{name[3:]}' / 'seed5').exists()
        assert not (runs / name / 'seed5' / 'result.json').exists()
    assert "log.txt': The fit ended before its last epoch." in output
    # What is there makes a table all the same
    (line,) = (line for line in output.splitlines() if line.startswith('| (B)'))
    assert f'{result(out, "joint-tdpcr", 5)["metrics"]["psnr"]:.2f}' in line
    assert run(*rows, '--seeds', '5') == 0
    folder = runs / 'cr-tdpcr-local' / 'seed5'
    second = yaml.safe_load((folder / 'fit1' / 'config.yaml').read_text())
    assert second['ckpt_path'] == str(folder / 'checkpoints' / 'last.ckpt')
    logged = pd.read_csv(folder / 'fit1' / 'metrics.csv')
    assert set(logged['epoch']) == {1}
    # What can be given to the torchgeo command again begins anew
    settings = yaml.safe_load((folder / 'settings.yaml').read_text())
    assert settings['ckpt_path'] is None
    assert settings['trainer']['max_epochs'] == 2
    assert (runs / 'peft-tdpcr-global' / 'seed5' / 'result.json').exists()


SLEEPS = """#!/bin/sh
echo $$ > {pid}
exec sleep 600
"""


def test_the_end_of_the_command_is_that_of_its_runs(
    out: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    pid = tmp_path / 'pid'
    sleeps = tmp_path / 'sleeps'
    sleeps.write_text(SLEEPS.format(pid=pid))
    sleeps.chmod(0o755)
    arguments = ['1', '--rows', 'cr-tdpcr', '--out', str(tmp_path)]
    process = forkserver().Process(
        target=main_with,
        args=(str(sleeps), [*arguments, '--scale', str(out / 'test.yaml')]),
        kwargs={'root': str(synthetic_root)},
    )
    process.start()
    wait_until(lambda: pid.exists() and pid.read_text().strip() != '')
    # A second one is refused, and leaves the first alone
    fixed = ['--scale', str(out / 'test.yaml'), '--root', str(synthetic_root)]
    assert tables.main([*arguments, *fixed]) == 2
    assert process.pid is not None
    assert process.is_alive()
    process.terminate()
    process.join(60)
    assert process.exitcode not in (None, 0)
    stat = Path('/proc', pid.read_text().strip(), 'stat')
    wait_until(lambda: not stat.exists() or stat.read_text().split()[2] == 'Z')


def main_with(torchgeo: str, arguments: list[str], root: str) -> None:
    tables.TORCHGEO = torchgeo
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise SystemExit(tables.main([*arguments, '--root', root]))


def wait_until(condition: Callable[[], bool], patience: float = 60) -> None:
    end = monotonic() + patience
    while not condition():
        assert monotonic() < end
        sleep(0.05)


def test_snakemake_writes_the_same_table(out: Path, synthetic_root: Path) -> None:
    """Without the command, as on a cluster; all its runs are done."""
    path = out / 'synthetic-test' / 'table3-synthetic-test-some.md'
    path.unlink()
    config = ['tables=3', 'rows=fpft-tdpcr,peft-tdpcr', f'out={out}']
    config += [f'scale={out}/test.yaml', f'root={synthetic_root}']
    snakemake = [sys.executable, '-m', 'snakemake', '-s', str(HERE / 'Snakefile')]
    subprocess.run([*snakemake, '--cores', '1', '--config', *config], check=True)
    rows = [
        line for line in path.read_text().splitlines() if '(B) Training | CR' in line
    ]
    assert len(rows) == 2
    for line, name in zip(rows, ('fpft-tdpcr', 'peft-tdpcr'), strict=True):
        psnr = result(out, name)['metrics']['psnr']
        assert f'| {psnr:.2f} |' in line.replace('**', '')


@pytest.mark.usefixtures('quick_torchgeo')
def test_real_data(out: Path, synthetic_root: Path, tmp_path: Path) -> None:
    """The layout is that of LuojiaSET-OSFCR."""
    arguments = ['--data', 'osfcr', '--root', str(synthetic_root)]
    arguments += ['--out', str(tmp_path), '--scale', str(out / 'test.yaml')]
    # The published split wants more chips
    other = ['--set', 'data.init_args.split_by=component']
    assert tables.main(['1', '--rows', 'cr-tdpcr', *arguments, *other]) == 0
    folder = tmp_path / 'osfcr-test'
    assert (folder / 'table1-osfcr-test-some.md').is_file()
    settings = folder / 'cr-tdpcr' / 'seed0' / 'settings.yaml'
    data = yaml.safe_load(settings.read_text())['data']['init_args']
    assert (data['split_by'], data['paths']) == ('component', str(synthetic_root))


@pytest.mark.usefixtures('quick_torchgeo')
def test_makes_synthetic_data(
    tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scale = yaml.safe_load((out / 'test.yaml').read_text())
    scale['synthetic'] |= {'num_rois': 3, 'chips_per_roi': 2, 'chip_size': 32}
    (tmp_path / 'less.yaml').write_text(yaml.safe_dump(scale))
    arguments = ['1', '--rows', 'cr-tdpcr', '--out', str(tmp_path)]
    arguments += ['--scale', str(tmp_path / 'less.yaml')]
    assert tables.main([*arguments, '--plan']) == 0
    planned = capfd.readouterr().out
    assert 'the synthetic data set' in planned
    assert 'cr-tdpcr, seed 0: fit' in planned
    assert not (tmp_path / 'synthetic-less').exists()
    fewer = ['--set', 'data.init_args.batch_size=1', 'data.init_args.patch_size=16']
    assert tables.main([*arguments, *fewer]) == 0
    assert len(list(tmp_path.rglob('s2_cloudy/*.tif'))) == 6
    # Another scale is not trained on it
    (tmp_path / 'less.yaml').write_text((out / 'test.yaml').read_text())
    assert tables.main([*arguments, *fewer]) == 2
    assert "'num_rois': 3}, not {'chip_size': 64" in capfd.readouterr().err
    shutil.rmtree(tmp_path / 'synthetic-less')
