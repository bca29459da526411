# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from pathlib import Path

import pytest

from experiments.studies.ssim_border import CASES, main


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'ssim_border.md'
    main(['--chips', '1', '--out', str(out)])
    text = out.read_text()
    assert text in capsys.readouterr().out
    rows = [line.strip('| ').split(' | ') for line in text.splitlines()[2:]]
    assert [row[0] for row in rows] == list(CASES)
    for _, mirrored, zeros, difference in rows:
        assert 0 < float(mirrored) < float(zeros) < 1
        expected = pytest.approx(float(zeros) - float(mirrored), abs=1.1e-4)
        assert float(difference) == expected
