# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of synthetic scenes on several days."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from torchgeo_tdpcr.datasets.synthetic.scene_dates import write_scene_dates
from torchgeo_tdpcr.datasets.synthetic.scene_pair import write_scene_pair

SIZE = {'size': 96, 'sar_margin': 6, 'seed': 3}


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        array: np.ndarray = file.read().astype(np.float64)
    return array


def test_the_place_of_the_pair(tmp_path: Path) -> None:
    pair = write_scene_pair(tmp_path, **SIZE)
    same, near, far = write_scene_dates(tmp_path, [0, 10, -150], **SIZE)
    assert near.s2.name == 'scene_20200614_s2.tif'
    assert far.clear.name == 'scene_20200106_clear.tif'
    ground = read(same.clear)
    # What the pair's product sees where there is no cloud, but for haze
    clear = (read(pair.clouds)[0] == 0) & (read(same.clouds)[0] == 0)
    assert np.corrcoef(read(pair.s2)[7, clear], ground[7, clear])[0, 1] > 0.99
    # The farther off, the more has changed; the air, and so all of it, changes anyhow
    structure = [
        np.corrcoef(read(paths.clear)[7].ravel(), ground[7].ravel())[0, 1]
        for paths in (near, far)
    ]
    assert structure[1] < structure[0] < 1
    assert structure[1] > 0.7
    with rasterio.open(near.s2) as file:
        tags = file.tags(ns='IMAGERY')
        assert tags['ACQUISITIONDATETIME'].startswith('2020-06-14')
    # Other clouds on each day, of the cover that was asked for
    masks = [read(paths.clouds)[0] > 0 for paths in (same, near, far)]
    assert not np.array_equal(masks[0], masks[1])
    assert np.mean(masks) == pytest.approx(0.4, abs=0.05)


def test_days_do_not_depend_on_each_other(tmp_path: Path) -> None:
    both = write_scene_dates(tmp_path / 'a', [5, 20], **SIZE)
    alone = write_scene_dates(tmp_path / 'b', [20], **SIZE)
    assert both[1].s2.read_bytes() == alone[0].s2.read_bytes()


@pytest.mark.parametrize('days', [[3, 3], [4000]])
def test_faults(tmp_path: Path, days: list[int]) -> None:
    with pytest.raises(ValueError, match=r'`other_days=\['):
        write_scene_dates(tmp_path, days, **SIZE)
    assert not list(tmp_path.iterdir())


def test_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / 'scene_20200609_clouds.tif').touch()
    with pytest.raises(FileExistsError, match='scene_20200609_clouds'):
        write_scene_dates(tmp_path, [5], **SIZE)
    assert len(list(tmp_path.iterdir())) == 1


def test_level_2a_of_a_day_is_what_the_pair_is_at_day_0(tmp_path: Path) -> None:
    """The air that is taken off does not depend on clouds: clear pixels are the truth."""
    (paths,) = write_scene_dates(
        tmp_path, [9], size=96, seed=1, cover=0.2, sar_margin=12, level='2A'
    )
    with (
        rasterio.open(paths.s2) as image,
        rasterio.open(paths.clear) as truth,
        rasterio.open(paths.clouds) as clouds,
    ):
        assert image.count == truth.count == 12
        clear = clouds.read(1) == 0
        apart = np.abs(image.read().astype(int) - truth.read())[:, clear]
        assert np.median(apart) < 100
    with pytest.raises(ValueError, match='`level='):
        write_scene_dates(tmp_path, [20], size=96, level='1B')
