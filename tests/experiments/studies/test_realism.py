# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What is compared of real and synthetic chips, on chips with known figures."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from experiments.studies.realism.__main__ import main
from experiments.studies.realism.collection import Collection
from experiments.studies.realism.comparison import compare
from experiments.studies.realism.figure import draw


def collection(level: float, number: int) -> Collection:
    """Chips whose left half is water, and whose upper half is cloudy."""
    made = Collection()
    water, cloud = np.zeros((2, 16, 16), dtype=bool)
    water[:, :8] = cloud[:8] = True
    for i in range(number):
        clear = np.full((13, 16, 16), level + 100 * i, np.float32)
        clear[:, water] += 200
        made.clear.append(clear)
        made.sar.append(np.full((2, 16, 16), -10 - i, np.float32))
        made.labels.append({'water': water})
        made.add_pair(np.where(cloud, 6000, clear * 1.1).astype(np.float32), cloud)
    return made


def test_comparison() -> None:
    text = compare(collection(1000, 3), collection(2000, 12))
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, *values = re.split(' {2,}', line.strip())
        rows.setdefault(name, values)
    # the mean of both halves, and of three chips, each brighter by 100
    assert rows['clear mean, real'] == ['1200'] * 13 + ['-11'] * 2
    assert rows['std over chips, real'] == ['82'] * 13 + ['1'] * 2
    assert rows['std over chips, synthetic'] == ['345'] * 13 + ['3'] * 2
    assert rows['water, real'] == ['1300'] * 13 + ['-11'] * 2
    assert rows['water, synthetic'][0] == '2750'
    assert 'trees, real' not in rows
    assert rows['clear sky, ratio, real'] == ['1.10'] * 13
    assert rows['cloud or shadow, p50, synthetic'] == ['6000'] * 13
    (bin_,) = (line for line in text.splitlines() if line.startswith('0.4-0.6'))
    assert bin_.endswith('(12)')


def test_figure(tmp_path: Path) -> None:
    out = tmp_path / 'made' / 'realism.png'
    draw(collection(1000, 3), collection(2000, 12), out)
    assert [path.name for path in out.parent.iterdir()] == ['realism.png']
    assert imread(out).shape[:2] == (1360, 1200)


def test_other_folders_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(['--samples', str(tmp_path), '--out', str(tmp_path / 'realism.jpg')])
    message = f"`--samples`: '{tmp_path}' has no folder 'sen12mscr_pairs'."
    assert message in capsys.readouterr().err
