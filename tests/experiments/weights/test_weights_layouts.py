# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Maps of LandCoverNet as layouts."""

from pathlib import Path

import numpy as np
import pytest

from experiments.weights.layouts import main, translate, varied
from torchgeo_tdpcr.datasets.synthetic.biomes import CLASSES
from torchgeo_tdpcr.datasets.synthetic.layouts import find_layouts, read_layout


def test_classes() -> None:
    labels = np.arange(8, dtype=np.uint8).repeat(8).reshape(8, 8)
    found = translate(labels, 0)
    names = [CLASSES[row[0]] if row[0] < 255 else '' for row in found[:7]]
    assert names == ['', 'water', 'built', 'bare', '', 'trees', 'crops']
    assert {CLASSES[label] for label in found[7]} <= {'grass', 'shrub'}


def test_natural_vegetation_is_of_both_kinds() -> None:
    found = [translate(np.full((64, 64), 7, np.uint8), seed) for seed in range(8)]
    shares = [float((one == CLASSES.index('shrub')).mean()) for one in found]
    assert 0 < min(shares) < 0.4 < 0.6 < max(shares) < 1


@pytest.mark.filterwarnings('error')
def test_writes_layouts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Silently: that they lie nowhere on Earth does not matter."""
    maps = np.full((3, 64, 64), 6, np.uint8)
    maps[0, :, :20], maps[1, :32] = 1, 5
    archive = tmp_path / 'labels.npz'
    np.savez(archive, label=maps, chip=np.array(['a', 'b', 'c']))
    main([str(archive), str(tmp_path / 'out')])
    assert 'Wrote 2 of 3 maps' in capsys.readouterr().out
    paths = find_layouts(tmp_path / 'out')
    assert [path.stem for path in paths] == ['a', 'b']
    np.testing.assert_array_equal(read_layout(paths[0])[:, :20], 0)
    assert read_layout(paths[1]).dtype == np.uint8
    assert not varied(maps[2])
