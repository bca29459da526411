# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The short class names reach the `torchgeo` command; each case in its own process."""

import os
import subprocess
import sys

import pytest


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return run(f'from torchgeo.main import main; main({list(arguments)!r})', **environ)


@pytest.mark.parametrize(
    'model', [['--model', 'TDPCRTask'], ['--model.class_path', 'TDPCRTask']]
)
def test_short_names(model: list[str]) -> None:
    result = command(
        'fit', *model, '--model.training', 'cr', '--data', 'OSFCRDataModule',
        '--print_config',
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert 'class_path: torchgeo_tdpcr.TDPCRTask' in result.stdout
    assert 'class_path: torchgeo_tdpcr.OSFCRDataModule' in result.stdout


def test_help_prints_the_arguments() -> None:
    result = command('fit', '--model.help', 'TDPCRTask')
    assert result.returncode == 0, result.stderr
    assert '--model.phase1_epochs' in result.stdout
    assert 'Number of epochs of Phase 1' in result.stdout


def test_turned_off() -> None:
    off = {'TORCH_DEVICE_BACKEND_AUTOLOAD': '0'}
    short = command('fit', '--model', 'TDPCRTask', '--print_config', **off)
    assert short.returncode != 0
    assert 'dot import path' in short.stderr
    dotted = command(
        'fit', '--model', 'torchgeo_tdpcr.TDPCRTask', '--model.training', 'cr',
        '--print_config', **off,
    )  # fmt: skip
    assert dotted.returncode == 0, dotted.stderr
    assert 'TDPCRTask' in dotted.stdout


def test_import_torch_stays_light() -> None:
    code = (
        'import sys, torch\n'
        'print(sorted(m for m in sys.modules if m.startswith(("torchgeo", "kornia"))))'
    )
    result = run(code)
    assert result.stdout.strip() == "['torchgeo_tdpcr', 'torchgeo_tdpcr._autoload']"


def test_torchgeo_tasks_keep_their_own_loader() -> None:
    code = (
        'import torch, torchgeo.tasks, sys\n'
        'print(type(torchgeo.tasks.__spec__.loader).__name__)\n'
        'print("torchgeo_tdpcr.tasks" in sys.modules)\n'
        'print(any("torchgeo_tdpcr" in type(f).__module__ for f in sys.meta_path))'
    )
    assert run(code).stdout.split() == ['SourceFileLoader', 'True', 'False']


def test_public_names_resolve() -> None:
    code = (
        'import torchgeo_tdpcr as t\n'
        'assert all(getattr(t, name) is not None for name in t.__all__)\n'
        'assert set(t.__all__) <= set(dir(t))\n'
        'try: t.missing\n'
        'except AttributeError as error: print(error)'
    )
    result = run(code)
    assert "no attribute 'missing'" in result.stdout, result.stderr
