# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Snakemake by itself, as on a cluster."""

import re
import subprocess
import sys
from pathlib import Path

from experiments.tables.plan import HERE


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


def test_a_faulty_config_is_told() -> None:
    done = snakemake('-n', '--config', 'scales=tiny')
    assert done.returncode == 1
    assert '`--config scales`: no such options' in done.stdout + done.stderr
