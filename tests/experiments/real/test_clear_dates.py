# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from pathlib import Path

import numpy as np
import pytest
import rasterio

from experiments.real.clear_dates import main, matched, psnr


def write(folder: Path, month: int, image: np.ndarray, cloud: np.ndarray) -> None:
    array = np.concatenate([image, cloud[None]]).astype(np.uint16)
    profile = {'driver': 'GTiff', 'dtype': 'uint16', 'count': 11}
    profile |= {'width': array.shape[2], 'height': array.shape[1]}
    with rasterio.open(folder / f'place_S2_{month:02d}.tif', 'w', **profile) as file:
        file.write(array)


def test_matched() -> None:
    truth = np.random.default_rng(0).uniform(0.1, 0.4, (2, 500))
    other = (truth - 0.05) / 1.4
    found = matched(other[:, 250:], other[:, :250], truth[:, :250])
    np.testing.assert_allclose(found, truth[:, 250:])


def test_psnr() -> None:
    truth = np.full((2, 9), 0.3)
    assert psnr(truth + 0.1, truth) == pytest.approx(20)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    ground = rng.uniform(500, 3000, (10, 32, 32))
    clear = np.zeros((32, 32))
    cloud = clear.copy()
    cloud[:20] = 90
    bright = np.where(cloud > 0, 9000, ground * 1.2)
    write(tmp_path, 0, ground, clear)
    # Half a year off, a fifth brighter, and cloudy for the most part; a month off, shifted
    write(tmp_path, 6, bright, cloud)
    write(tmp_path, 11, ground + 100, clear)
    out = tmp_path / 'dates.md'
    main(['--samples', str(tmp_path), '--out', str(out)])
    assert out.read_text() in capsys.readouterr().out
    rows = [line.strip('| ').split(' | ') for line in out.read_text().splitlines()[2:]]
    names = [row[0] for row in rows]
    assert names == [
        'a date 1 month off',
        'a date 5 months off',
        'a date 6 months off',
        'median of all other clear dates',
    ]
    assert rows[0][2] == '40.0 (40.0)'
    assert float(rows[0][3].split()[0]) > 70
    assert float(rows[2][3].split()[0]) > 70 > 40 > float(rows[2][2].split()[0])


def test_nothing_to_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(['--samples', str(tmp_path)])
    assert 'holds fewer than two' in capsys.readouterr().err
