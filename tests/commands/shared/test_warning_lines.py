# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Warnings about scenes are lines, and others stay as they are."""

import warnings

import pytest

from torchgeo_tdpcr.cli import make_parser
from torchgeo_tdpcr.commands.shared.warning_lines import warnings_as_lines
from torchgeo_tdpcr.datasets.scenes.common import SceneWarning


def test_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = make_parser().parse_args(['map', '--checkpoint', 'x']).parser
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter('always')
        with warnings_as_lines(parser):
            for _ in range(2):
                warnings.warn('a: give `max_days`.', SceneWarning, stacklevel=1)
            warnings.warn('other', RuntimeWarning, stacklevel=1)
            monkeypatch.setenv('LOCAL_RANK', '1')
            warnings.warn('said by the first process', SceneWarning, stacklevel=1)
        warnings.warn('after', SceneWarning, stacklevel=1)
    assert capsys.readouterr().err == 'Warning: a: give `--max-days`.\n' * 2
    assert [str(other.message) for other in others] == ['other', 'after']
