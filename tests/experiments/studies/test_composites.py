# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from pathlib import Path

import pytest

from experiments.studies.composites import DAYS, main


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'composites.md'
    main(['--size', '96', '--seeds', '1', '--covers', '0.5', '--out', str(out)])
    assert out.read_text() in capsys.readouterr().out
    rows = [line.strip('| ').split(' | ') for line in out.read_text().splitlines()[2:]]
    assert [row[:2] for row in rows] == [['50%', str(days)] for days in DAYS]
    for row in rows:
        assert 10 < int(row[2].rstrip('%')) < 90
        plain, matched, model, alone, both = map(float, row[3:])
        # Of the same pixels, or all of which the rest are the same
        assert (matched > model) == (both > alone)
        assert min(plain, matched, model, alone, both) > 10
