# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from pathlib import Path

import numpy as np
import pytest
import rasterio

from experiments.studies.cloud_masks import compare, main
from torchgeo_tdpcr.datasets.synthetic.scene_pair import write_scene_pair


def test_compare() -> None:
    truth = np.array([[True, True, False, False]])
    found = np.array([[True, False, True, True]])
    pairs = [(Path(), truth), (Path(), truth)]
    assert compare(lambda path: found, pairs) == ['50.0', '33.3', '25.0']


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # As the real pairs are: nowhere on the Earth
    pair = write_scene_pair(tmp_path / 'scene', size=64, seed=2, offset=0)
    samples = tmp_path / 'samples'
    samples.mkdir()
    for path, name in ((pair.s2, '1_s2_cloudy'), (pair.clouds, '1_cloud_mask')):
        with rasterio.open(path) as file:
            array, profile = file.read(), file.profile
        del profile['crs'], profile['transform']
        with rasterio.open(samples / f'{name}.tif', 'w', **profile) as file:
            file.write(array)
    out = tmp_path / 'masks.md'
    main(['--size', '64', '--samples', str(samples), '--out', str(out)])
    assert out.read_text() in capsys.readouterr().out
    rows = [line.strip('| ').split(' | ') for line in out.read_text().splitlines()[2:]]
    assert [row[:2] for row in rows[:6]] == [
        [f'ukis-csmask, {metres} m', kind]
        for metres in (10, 20, 30)
        for kind in ('synthetic', 'real')
    ]
    assert all(0 <= float(cell) <= 100 for row in rows for cell in row[2:])
