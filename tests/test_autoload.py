# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The short class names reach the `torchgeo` command; each case in its own process."""

import sys

import pytest
from processes import Finished, fork, interpreter
from torchgeo.main import main


def command(*arguments: str) -> Finished:
    return fork(main, list(arguments))


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
    code = (
        'from torchgeo.main import main\n'
        'for model in ("TDPCRTask", "torchgeo_tdpcr.TDPCRTask"):\n'
        '    options = ["--model.training", "cr", "--print_config"]\n'
        '    try: main(["fit", "--model", model, *options])\n'
        '    except SystemExit as end: print("status", end.code)\n'
    )
    result = interpreter(code, TORCH_DEVICE_BACKEND_AUTOLOAD='0')
    short, dotted, _ = result.stdout.split('status ')
    assert short == ''
    assert 'dot import path' in result.stderr
    assert 'class_path: torchgeo_tdpcr.TDPCRTask' in dotted
    assert result.stdout.endswith('status 0\n')
    assert dotted[0] != '0'


def test_import_torch_stays_light() -> None:
    code = (
        'import sys, torch\n'
        'print(sorted(m for m in sys.modules if m.startswith(("torchgeo", "kornia"))))'
    )
    result = interpreter(code)
    assert result.stdout.strip() == "['torchgeo_tdpcr', 'torchgeo_tdpcr._autoload']"


def print_loaders() -> None:
    tasks = sys.modules['torchgeo.tasks']
    print(type(tasks.__spec__.loader).__name__)
    print('torchgeo_tdpcr.tasks' in sys.modules)
    print(any('torchgeo_tdpcr' in type(f).__module__ for f in sys.meta_path))


def test_torchgeo_tasks_keep_their_own_loader() -> None:
    assert fork(print_loaders).stdout.split() == ['SourceFileLoader', 'True', 'False']


def test_public_names_resolve() -> None:
    """In an interpreter that has imported nothing before."""
    code = (
        'import torchgeo_tdpcr as t\n'
        'assert all(getattr(t, name) is not None for name in t.__all__)\n'
        'assert set(t.__all__) <= set(dir(t))\n'
        'try: t.missing\n'
        'except AttributeError as error: print(error)'
    )
    result = interpreter(code)
    assert "no attribute 'missing'" in result.stdout, result.stderr
