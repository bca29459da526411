# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The main job, smaller and shorter."""

from pathlib import Path

import pytest
import yaml
from processes import fork

from experiments.quickstart import job


def small_job(folder: Path) -> None:
    settings = yaml.safe_load(job.CONFIG.read_text())
    settings['trainer'] |= {'max_epochs': 2, 'check_val_every_n_epoch': 1}
    settings['trainer']['callbacks'][0]['init_args']['every_n_epochs'] = 1
    task, data = (settings[key]['init_args'] for key in ('model', 'data'))
    task |= {'phase1_epochs': 1, 'model_kwargs': {'dims': [8, 16], 'depths': [1, 1]}}
    data['patch_size'] = 64
    data['synthetic_args'] = {'num_rois': 10, 'chips_per_roi': 1, 'chip_size': 64}
    job.CONFIG = folder / 'small.yaml'
    job.CONFIG.write_text(yaml.safe_dump(settings))
    job.SCENE_SIZE = 256
    job.run()


def test_it_ends_with_all_it_promises_and_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = fork(small_job, tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / 'runs' / 'quickstart'
    assert (out / 'checkpoints' / 'last.ckpt').is_file()
    assert (out / 'contact_sheet.png').is_file()
    maps = out / 'maps' / 'scene_s2'
    assert {'report.html', 'report.png'} <= {path.name for path in maps.iterdir()}
    assert 'Land cover, truth' in (maps / 'report.html').read_text(encoding='utf-8')
    assert (out / 'table.md').read_text(encoding='utf-8') in done.stdout
    # A line a step, with the time to expect
    steps = [line for line in done.stdout.splitlines() if line.startswith('[')]
    assert len(steps) == len(job.STEPS)
    for number, (line, (what, expected)) in enumerate(
        zip(steps, job.STEPS, strict=True), 1
    ):
        assert line == f'[{number}/{len(steps)}] {what}: {expected}.'
    # Bars, and what our commands say; nothing of what dependencies tell of themselves
    heard = done.stdout + done.stderr
    for noise in (
        'Tip',
        'eprecat',
        'Warning',
        'GPU',
        'Seed set',
        'params',
        'litlogger',
    ):
        assert noise not in heard, heard
