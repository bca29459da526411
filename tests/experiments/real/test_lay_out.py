# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Real samples in OSFCR's layout."""

from pathlib import Path

import numpy as np

from experiments.real.lay_out import (
    at_level,
    lay_out_bigearthnet,
    lay_out_pairs,
    lay_out_terramind,
    read,
)
from torchgeo_tdpcr.transforms import SENTINEL2_BANDS

BANDS = list(SENTINEL2_BANDS)


def test_the_air_is_taken_off() -> None:
    image = np.full((13, 4, 4), 2000, np.uint16)
    image[0, 0] = 100
    np.testing.assert_array_equal(at_level(image, '1C'), image)
    found = at_level(image, '2A')
    assert found.dtype == np.uint16
    assert not found[BANDS.index('B10')].any()
    # Most of the air's light is blue; what is darker than the air is black
    assert found[BANDS.index('B1'), -1, -1] < found[BANDS.index('B4'), -1, -1]
    assert not found[0, 0].any()


def test_pairs_at_both_levels(samples: Path, tmp_path: Path) -> None:
    names = lay_out_pairs(samples, tmp_path / '1C')
    assert lay_out_pairs(samples, tmp_path / '2A', '2A') == names
    (one,) = (tmp_path / '1C').rglob('s2/ROIs_01_s2_p1.tif')
    two = tmp_path / '2A' / one.relative_to(tmp_path / '1C')
    stored = read(samples / 'sen12mscr_pairs' / f'{names[0]}_s2.tif')
    np.testing.assert_array_equal(read(one), stored)
    np.testing.assert_array_equal(read(two), at_level(stored, '2A'))


def test_places_under_skies(samples: Path, tmp_path: Path) -> None:
    lay_out_terramind(samples, tmp_path / 'places', skies=1, level='2A')
    places = sorted((tmp_path / 'places').rglob('s2/*.tif'))
    assert len(places) == 6
    assert not any(read(path)[BANDS.index('B10')].any() for path in places)


def test_bigearthnet(samples: Path, tmp_path: Path) -> None:
    """Five patches: the sixth is under snow."""
    assert lay_out_bigearthnet(samples, tmp_path, skies=2) == 5
    clear = sorted(tmp_path.rglob('s2/*.tif'))
    assert len(clear) == 10
    image = read(clear[0])
    assert image.shape == (13, 120, 120)
    # As stored: B1 in pixels of 60 m
    assert (image[0, :6, :6] == image[0, 0, 0]).all()
    radar = read(next(iter(tmp_path.rglob('s1/*.tif'))))
    assert radar.shape == (2, 120, 120)
    assert -40 < radar[1].mean() < radar[0].mean() < 0
