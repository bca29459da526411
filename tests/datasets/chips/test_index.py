# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The index is built once, kept, and rebuilt when files change."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from osfcr_files import X, Y, arrays, path_of, write_chip, write_strip, write_tif

from torchgeo_tdpcr.datasets import OSFCR
from torchgeo_tdpcr.datasets.chips import index
from torchgeo_tdpcr.datasets.chips.index import CACHE_NAME, build_table, load_table
from torchgeo_tdpcr.datasets.chips.layout import Layout
from torchgeo_tdpcr.datasets.osfcr import OSFCRLayout

LAYOUT = OSFCRLayout()


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Count how often an index is built."""
    calls: list[Path] = []

    def counted(layout: Layout, root: Path, *args: Any) -> pd.DataFrame:
        calls.append(root)
        return build_table(layout, root, *args)

    monkeypatch.setattr(index, 'build_table', counted)
    return calls


def test_reads_where_chips_lie(world: Path) -> None:
    table = build_table(LAYOUT, world)
    assert table['epsg'].tolist() == [32755, 32755, 32633, 32633, 32760]
    first = table.iloc[0]
    assert (first['x'], first['y'], first['xres'], first['width']) == (X, Y, 10, 32)
    assert first['reference'] == os.path.join(
        '0-20%', 's2_cloudy', 'ROIs_01_s2_cloudy_p0.tif'
    )
    assert (table['fault'] == '').all()


def test_kept_beside_the_data_and_reloaded(world: Path, builds: list[Path]) -> None:
    # A grid that is not on whole numbers must come back exactly
    write_chip(world, '0-20%', 9, 9, x=704342.595787463, y=5631401.982979552)
    first = load_table(LAYOUT, world)
    assert (world / CACHE_NAME).is_file()
    assert [path.name for path in world.iterdir() if path.is_file()] == [CACHE_NAME]
    second = load_table(LAYOUT, world)
    assert len(builds) == 1
    pd.testing.assert_frame_equal(first, second)
    assert second['x'].tolist() == first['x'].tolist()


def test_rebuilt_when_a_file_is_added_or_removed(
    strip: Path, builds: list[Path]
) -> None:
    assert len(OSFCR(strip)) == 4
    write_chip(strip, patch=9)
    assert len(OSFCR(strip)) == 5
    path_of(strip, 's1').unlink()
    with pytest.warns(UserWarning, match='1 of 5 chips'):
        assert len(OSFCR(strip)) == 4
    assert len(builds) == 3


def test_rebuilt_when_a_file_is_replaced(strip: Path, builds: list[Path]) -> None:
    OSFCR(strip)
    path = path_of(strip, 's2_cloudy', patch=0)
    # Written in place: the time of the folder stays
    write_tif(path, arrays()['s2_cloudy'], x=X + 5000)
    assert OSFCR(strip, layers=['s2_cloudy']).index['x'].iloc[0] == X + 5000
    assert len(builds) == 2


def test_damaged_cache_is_rebuilt(strip: Path, builds: list[Path]) -> None:
    OSFCR(strip)
    state = (strip / CACHE_NAME).read_text().splitlines()[0]
    for text in ('', 'not JSON\n1,2\n', f'{state}\n', f'{state}\ncover,roi\na,1\n'):
        (strip / CACHE_NAME).write_text(text)
        assert len(OSFCR(strip)) == 4
    assert len(builds) == 5


def test_kept_elsewhere_where_data_are_read_only(
    strip: Path,
    builds: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    write = index._write

    def read_only(place: Path, *args: Any) -> bool:
        return place.parent != strip and write(place, *args)

    monkeypatch.setattr(index, '_write', read_only)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    for _ in range(2):
        OSFCR(strip)
    assert len(builds) == 1
    assert not (strip / CACHE_NAME).exists()
    (kept,) = (tmp_path / 'cache' / 'torchgeo_tdpcr').iterdir()
    assert kept.name.startswith('index_')


def test_unwritable_everywhere_warns(
    strip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / 'file'
    blocked.write_text('')
    with pytest.warns(UserWarning, match='could not be kept'):
        assert len(OSFCR(strip, cache=blocked)) == 4
    monkeypatch.setattr(index, '_write', lambda *args: False)
    with pytest.warns(UserWarning, match='`cache`'):
        assert len(OSFCR(strip)) == 4


def test_own_folder_and_none(strip: Path, builds: list[Path], tmp_path: Path) -> None:
    for _ in range(2):
        OSFCR(strip, cache=tmp_path / 'cache')
    assert len(builds) == 1
    for _ in range(2):
        OSFCR(strip, cache=False)
    assert len(builds) == 3
    assert not (strip / CACHE_NAME).exists()


def test_two_data_sets_share_a_cache_folder(tmp_path: Path) -> None:
    cache = tmp_path / 'cache'
    for name, chips in (('a', 1), ('b', 2)):
        write_strip(tmp_path / name, chips)
        OSFCR(tmp_path / name, cache=cache)
    assert len(OSFCR(tmp_path / 'a', cache=cache)) == 1
    assert len(list(cache.iterdir())) == 2


def test_files_that_change_while_the_index_is_built(
    strip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(layout: Layout, root: Path, *args: Any) -> pd.DataFrame:
        table = build_table(layout, root, *args)
        write_chip(strip, patch=11)
        return table

    monkeypatch.setattr(index, 'build_table', slow)
    assert len(OSFCR(strip)) == 4
    assert not (strip / CACHE_NAME).exists()
