# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the `torchgeo` command shows, and its help."""

import logging
import re
import sys
import warnings

import pytest
from processes import fork
from torchgeo.main import main

from torchgeo_tdpcr import _command, cli
from torchgeo_tdpcr.models import list_models

#: Roles, double backticks and emphasis of reStructuredText.
RAW = re.compile(r':\w+:`|``|(?<![\w*])\*\w+\*')
HELPS = [
    ('fit', '--model.help', 'TDPCRTask'),
    *(
        ('fit', '--data.help', name)
        for name in (
            'OSFCRDataModule',
            'SEN12MSCRDataModule',
            'M3MCRDataModule',
            'WHUOPTSARDataModule',
            'SceneDataModule',
        )
    ),
    ('fit', '--trainer.callbacks.help', 'SceneWriter'),
    ('fit', '--trainer.callbacks.help', 'PredictionFigures'),
]


def print_helps() -> None:
    for arguments in HELPS:
        with pytest.raises(SystemExit, match='0'):
            main(list(arguments))


def test_help_is_plain_and_names_the_models() -> None:
    done = fork(print_helps)
    assert done.returncode == 0, done.stderr
    text = ' '.join(done.stdout.split())
    assert text.count('Help for --') == len(HELPS)
    assert RAW.findall(text) == []
    models = re.search(r'Name of a registered model: (.*?), or yours', text)
    assert models is not None
    # Tests may register more
    names = models[1].replace('`', '').split(', ')
    assert {'tdpcr', 'tdpcr_small', 'dsen2cr', 'segformer'} <= set(names)
    assert set(names) <= set(list_models())


def test_help_of_our_own_command_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ([], *([module.NAME] for module in cli.COMMANDS)):
        with pytest.raises(SystemExit, match='0'):
            cli.main([*command, '--help'])
        text = capsys.readouterr().out
        assert 'usage: torchgeo-tdpcr' in text
        assert RAW.findall(text) == []


@pytest.mark.parametrize(
    ('program', 'is_it'),
    [
        ('/usr/bin/torchgeo', True),
        ('torchgeo.exe', True),
        ('/x/site-packages/torchgeo/__main__.py', True),
        ('/usr/bin/torchgeo-tdpcr', False),
        ('train.py', False),
        ('', False),
    ],
)
def test_which_program_it_is(
    program: str, is_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, 'argv', [program])
    assert _command.is_torchgeo() is is_it


def test_quiet_of_others_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, 'excepthook', sys.__excepthook__)
    logger = logging.getLogger(_command.LOGGERS[0])
    monkeypatch.setattr(logger, 'filters', [])
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter('always')
        _command.quieten()
        warnings.warn('`isinstance(treespec, LeafSpec)` is deprecated', stacklevel=1)
        warnings.warn('Your data have a fault', stacklevel=1)
    assert [str(warning.message) for warning in shown] == ['Your data have a fault']
    with caplog.at_level(logging.INFO, logger.name):
        logger.info('Tip: For seamless cloud logging, try installing it')
        logger.info('GPU available: False')
    assert caplog.messages == ['GPU available: False']


#: What the parser says of a logger whose package is missing.
MISSING = """Does not validate against any of the Union subtypes
Errors:
  - Problem with given class_path 'lightning.pytorch.loggers.TensorBoardLogger':
      Neither `tensorboard` nor `tensorboardX` is available.
      Requirement 'tensorboardX' not met. HINT: Try running `pip install`
      Requirement 'tensorboard' not met. HINT: Try running `pip install`
  - Expected a <class 'bool'>"""


def test_a_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, 'excepthook', sys.__excepthook__)
    with warnings.catch_warnings():
        _command.quieten()
    sys.excepthook(ValueError, ValueError(MISSING), None)
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "loggers.TensorBoardLogger' needs the package 'tensorboardX' or 'tenso" in line
    )
    sys.excepthook(ValueError, ValueError('`lr=x` is no number'), None)
    assert '`lr=x` is no number' in capsys.readouterr().err
