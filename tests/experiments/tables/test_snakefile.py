# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Snakemake by itself, as on a cluster."""

import json
import re
import subprocess
import sys
from pathlib import Path

from experiments.tables.jobs import STARTED
from experiments.tables.options import Options
from experiments.tables.plan import HERE
from experiments.tables.planning import make_plan


def snakemake(*arguments: str) -> 'subprocess.CompletedProcess[str]':
    return subprocess.run(
        [sys.executable, '-m', 'snakemake', '-s', str(HERE / 'Snakefile'), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def counts(output: str) -> dict[str, int]:
    """Jobs by rule, as a dry run prints them."""
    table = output.split('Job stats:')[-1].split('total')[0]
    return {name: int(n) for name, n in re.findall(r'^(\w+) +(\d+)$', table, re.M)}


def test_the_plan_for_a_cluster(tmp_path: Path) -> None:
    """Every run of all tables once a seed, whatever rows share it."""
    profile = HERE / 'profiles' / 'slurm'
    config = ['data=osfcr', f'root={tmp_path}', 'seeds=0,1', f'out={tmp_path}']
    done = snakemake('--workflow-profile', str(profile), '-n', '--config', *config)
    assert done.returncode == 0, done.stderr
    files = [path.stem for path in (HERE / 'runs').glob('*.yaml')]
    kinds = dict.fromkeys(('cr', 'peft', 'fpft', 'joint', 'lcs'), 0)
    for name in files:
        kind = name.split('-')[0]
        if kind in kinds:
            kinds[kind] += 2
    assert counts(done.stdout + done.stderr) == {
        **kinds, 'test': 2 * len(files), 'table': 3, 'tables': 1,
    }  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_kept_results_are_not_made_again(tmp_path: Path) -> None:
    """Where checkpoints were not kept, a run is trained only for those that need it."""
    root = tmp_path / 'data'
    options = Options(tables=(3,), out=str(tmp_path), root=str(root), scale='tiny')
    jobs = make_plan(options).jobs
    for name in ('cr-tdpcr', 'peft-tdpcr'):
        job = jobs[name, 0]
        job.folder.mkdir(parents=True)
        (job.folder / STARTED).write_text(json.dumps({'fingerprint': job.fingerprint}))
        job.result_file.write_text(json.dumps({'metrics': {}}))
    config = ['tables=3', 'scale=tiny', f'out={tmp_path}', f'root={root}']
    for rows, expected in (
        ('peft-tdpcr', {}),
        ('peft-tdpcr,fpft-tdpcr', {'cr': 1, 'fpft': 1, 'data': 1, 'test': 1}),
    ):
        done = snakemake('-n', '--config', *config, f'rows={rows}')
        assert done.returncode == 0, done.stderr
        made = counts(done.stdout + done.stderr)
        assert made == {**expected, 'table': 1, 'tables': 1}


def test_a_faulty_config_is_told() -> None:
    done = snakemake('-n', '--config', 'scales=tiny')
    assert done.returncode == 1
    assert '`--config scales`: no such options' in done.stdout + done.stderr
