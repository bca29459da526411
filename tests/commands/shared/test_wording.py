# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Commands speak of their options where Python speaks of its arguments."""

from pathlib import Path

import pytest

from torchgeo_tdpcr.cli import main, make_parser
from torchgeo_tdpcr.commands.shared.wording import in_options


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (
            "Give `s2` and `s1`, or `pairs`: `s2='a.tif'`, `s1=None`, `pairs=None`.",
            'Give `--s2` and `--s1`, or `--pairs`: `--s2 a.tif`, no `--s1`, no '
            '`--pairs`.',
        ),
        (
            'Give another `output_dir`, or set `overwrite`.',
            'Give another `--output`, or set `--overwrite`.',
        ),
        ("`bands=['B2', 'B3']`", '`--model-bands B2 B3`'),
        ("`all_bands=['B2', 'other']`", '`--bands B2 other`'),
        ('`keep_clear=False`', 'no `--keep-clear`'),
        # None of its arguments, or not as errors write them
        (
            '`lr=3` and `B2`: overlap, `--overlap`',
            '`lr=3` and `B2`: overlap, `--overlap`',
        ),
    ],
)
def test_options(text: str, expected: str) -> None:
    parser = make_parser().parse_args(['map', '--checkpoint', 'x']).parser
    assert in_options(text, parser) == expected


def test_positional_arguments() -> None:
    parser = make_parser().parse_args(['report', 'x']).parser
    assert in_options('`scene=3`', parser) == '`SCENE_FOLDER 3`'


def test_errors_of_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(tmp_path / 'root')
    assert main(['synthesize', root, '--chip-size', '33', '--no-progress']) == 2
    assert '`--chip-size 33` is odd' in capsys.readouterr().err
