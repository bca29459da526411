# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How often the files of a scene are opened before its first window is read."""

import pickle
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rasterio

from torchgeo_tdpcr.datasets.scenes import ScenePair, pair_scenes, read_pairs
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.dataset import SceneDataset
from torchgeo_tdpcr.datasets.synthetic.scene_pair import (
    Kind,
    ScenePaths,
    write_scene_pair,
)
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, ScenePaths]:
    kinds: tuple[Kind, ...] = ('geotiff', 'bands', 'safe', 'zip')
    return {
        kind: write_scene_pair(
            tmp_path_factory.mktemp(kind), kind, 60, kind=kind, sar_margin=12
        )
        for kind in kinds
    }


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts what is opened: XML, SAR, each band by its file, and the cloud mask."""
    counts: Counter[str] = Counter()
    open_raster, parse = rasterio.open, ET.fromstring

    def counting_open(path: Any, *args: Any, **kwargs: Any) -> Any:
        counts[_what(str(path))] += 1
        return open_raster(path, *args, **kwargs)

    def counting_parse(*args: Any, **kwargs: Any) -> Any:
        counts['xml'] += 1
        return parse(*args, **kwargs)

    monkeypatch.setattr(rasterio, 'open', counting_open)
    monkeypatch.setattr(ET, 'fromstring', counting_parse)
    return counts


def _what(path: str) -> str:
    name = Path(path).stem
    if name.endswith('_s1'):
        return 'sar'
    if name.startswith('MSK'):
        return 'mask'
    return 'stack' if name.endswith('_s2') else name[-3:]


#: Each band once.
BANDS = {f'B{name[1:]:0>2}': 1 for name in SENTINEL2_BANDS}


@pytest.mark.parametrize(
    ('kind', 'expected'),
    [
        # B10 tells the offset where no metadata do; the mask is not in a GeoTIFF
        ('geotiff', {'stack': 2, 'sar': 2}),
        # Files of a folder once to find out what they are, once for their numbers
        ('bands', {**dict.fromkeys(BANDS, 2), 'sar': 2}),
        # SAR: once to choose it, once to measure it on the pixels of the scene
        # B1: once more to tell where the product lies
        ('safe', {**BANDS, 'B01': 2, 'xml': 1, 'sar': 2, 'mask': 1}),
        ('zip', {**BANDS, 'B01': 2, 'xml': 1, 'sar': 2, 'mask': 1}),
    ],
)
def test_paired(
    scenes: dict[Kind, ScenePaths],
    opened: Counter[str],
    kind: Kind,
    expected: dict[str, int],
) -> None:
    dataset = SceneDataset(pair_scenes(scenes[kind].s2, scenes[kind].s1))
    assert opened == expected
    # And nothing stays open: reading a window opens each file anew, once
    opened.clear()
    dataset.observed(0, dataset.info(0).grid.all)
    assert set(opened.values()) == {1}
    assert set(opened) == ({'stack'} if kind == 'geotiff' else set(BANDS))


def test_of_a_table(
    tmp_path: Path, scenes: dict[Kind, ScenePaths], opened: Counter[str]
) -> None:
    paths = scenes['safe']
    table = tmp_path / 'pairs.csv'
    table.write_text(f's2,s1\n{paths.s2},{paths.s1}\n')
    pairs = read_pairs(table)
    assert not opened
    SceneDataset(pairs)
    assert opened == {**BANDS, 'xml': 1, 'sar': 1, 'mask': 1}


def test_only_the_bands_that_are_wanted(
    scenes: dict[Kind, ScenePaths], opened: Counter[str]
) -> None:
    paths = scenes['safe']
    SceneDataset([ScenePair('a', paths.s2, paths.s1)], ['B4', 'B3'])
    assert opened == {'B04': 1, 'B03': 1, 'xml': 1, 'sar': 1, 'mask': 1}


def test_what_was_found_goes_with_the_pair(
    scenes: dict[Kind, ScenePaths], opened: Counter[str]
) -> None:
    paths = scenes['safe']
    (pair,) = pair_scenes(paths.s2, paths.s1)
    by_hand = ScenePair(pair.name, paths.s2, paths.s1)
    # What is known of the files makes no other pair of it
    assert (pair, hash(pair), repr(pair)) == (by_hand, hash(by_hand), repr(by_hand))
    copy = pickle.loads(pickle.dumps(pair))
    assert copy == pair
    opened.clear()
    SceneDataset([replace(copy, cloud_mask=paths.clouds)])
    assert opened['xml'] == 0
    assert opened['sar'] == 1


def test_the_mask_that_is_asked_for(scenes: dict[Kind, ScenePaths]) -> None:
    own, none = (
        ScenePair('a', scenes[kind].s2, scenes[kind].s1) for kind in ('safe', 'geotiff')
    )
    usual = SceneDataset([own])
    asked = SceneDataset([replace(own, cloud_mask='product')])
    assert asked.info(0) == usual.info(0)
    found = SceneDataset([replace(own, cloud_mask='auto')])
    assert found.info(0).detector.startswith('ukis-csmask')
    assert replace(found.info(0), detector='') == usual.info(0)
    with pytest.raises(
        SceneError, match='no cloud mask of its own, as `cloud_mask=pro'
    ):
        SceneDataset([replace(none, cloud_mask='product')])


def test_other_files_put_into_a_pair(scenes: dict[Kind, ScenePaths]) -> None:
    paths, other = scenes['safe'], scenes['geotiff']
    (pair,) = pair_scenes(paths.s2, paths.s1)
    mixed = SceneDataset([replace(pair, s2=other.s2, s1=other.s1)])
    assert mixed.info(0).inputs == {
        's2': str(other.s2.resolve()),
        's1': str(other.s1.resolve()),
    }
    window = mixed.info(0).grid.all
    by_hand = SceneDataset([ScenePair('b', other.s2, other.s1)])
    assert (mixed.observed(0, window)[0] == by_hand.observed(0, window)[0]).all()
