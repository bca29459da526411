# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The table of what lies in training of the test area."""

from pathlib import Path

import pytest

from experiments.studies.leakage import main
from torchgeo_tdpcr import SyntheticOSFCR


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Ten chips a cover are the fewest that leave one to each published part
    SyntheticOSFCR(
        tmp_path, num_rois=5, chips_per_roi=10, chip_size=32, workers=0, progress=False
    ).generate()
    out = tmp_path / 'leakage.md'
    main(['--root', str(tmp_path), '--out', str(out)])
    text = out.read_text()
    assert capsys.readouterr().out == f'{text}\n'
    rows = [line.strip('| ').split(' | ') for line in text.splitlines()[2:]]
    assert [row[0] for row in rows] == ['published', 'roi', 'component']
    for name, *sizes, share in rows:
        assert sum(map(int, sizes)) == 50
        assert name == 'published' or share == '0.0% (0.0 km²)'
