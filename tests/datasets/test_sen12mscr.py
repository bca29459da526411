# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SEN12MS-CR in its official layout."""

import os
from pathlib import Path

import numpy as np
import pytest
from osfcr_files import SIZE, arrays, write_tif
from torchgeo.datasets import DatasetNotFoundError

from torchgeo_tdpcr.datasets import SEN12MSCR, published_split, roi_split
from torchgeo_tdpcr.datasets.chips.verify import verify
from torchgeo_tdpcr.datasets.sen12mscr import OFFICIAL_ROIS

SEASONS = {
    ('ROIs1158_spring', 1): 'train',
    ('ROIs1158_spring', 17): 'val',
    ('ROIs1868_summer', 17): 'val',
    ('ROIs1970_fall', 17): 'train',
    ('ROIs2017_winter', 108): 'test',
}


def write_triple(root: Path, season: str, roi: int, patch: int, x: float) -> None:
    data = arrays(x, offset=0)
    for layer in ('s1', 's2', 's2_cloudy'):
        name = f'{season}_{layer}_{roi}_p{patch}.tif'
        path = root / f'{season}_{layer}' / f'{layer}_{roi}' / name
        write_tif(path, data[layer], x=x)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two triples in each of five regions."""
    for number, (season, roi) in enumerate(SEASONS):
        for patch in (30, 31):
            x = 4e5 + 1e4 * number + 160 * patch
            write_triple(tmp_path, season, roi, patch, x)
    return tmp_path


def test_sample(root: Path) -> None:
    dataset = SEN12MSCR(root)
    assert len(dataset) == 10
    sample = dataset[0]
    assert set(sample) == {
        'image',
        'image_clear',
        'image_sar',
        'bounds',
        'transform',
        'epsg',
    }
    truth = arrays(4e5 + 160 * 30, offset=0)
    np.testing.assert_array_equal(sample['image_clear'], truth['s2'])
    np.testing.assert_array_equal(sample['image_sar'], truth['s1'])
    assert sample['image'].shape == (13, SIZE, SIZE)
    assert len(dataset.plot(sample).axes) == 3


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_official_split(root: Path, split: str) -> None:
    index = SEN12MSCR(root, split).index  # type: ignore[arg-type]
    found = set(zip(index['season'], index['roi'], strict=True))
    assert found == {place for place, part in SEASONS.items() if part == split}


def test_official_split_has_ten_regions_each() -> None:
    for rois in OFFICIAL_ROIS.values():
        assert sum(map(len, rois.values())) == 10


def test_selection(root: Path) -> None:
    assert len(SEN12MSCR(root, season='ROIs1158_spring')) == 4
    dataset = SEN12MSCR(root, bands=['B4'], layers=['s2_cloudy'])
    assert dataset[3]['image'].shape == (1, SIZE, SIZE)
    with pytest.raises(ValueError, match='`season='):
        SEN12MSCR(root, season='spring')
    with pytest.raises(ValueError, match='`split='):
        SEN12MSCR(root, split='dev')  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"split='test'` is empty"):
        SEN12MSCR(root, split='test', season='ROIs1158_spring')


def test_faults(root: Path, tmp_path: Path) -> None:
    assert verify(root) == []
    path = root / 'ROIs1158_spring_s1/s1_1/ROIs1158_spring_s1_1_p30.tif'
    path.unlink()
    (fault,) = verify(root)
    assert (fault.path, fault.kind, fault.skipped) == (str(path), 'missing', True)
    with pytest.warns(UserWarning, match='1 of 10 chips'):
        assert len(SEN12MSCR(root)) == 9
    with pytest.raises(DatasetNotFoundError, match='ROIs1158_spring_s2_cloudy'):
        SEN12MSCR(tmp_path / 'nowhere')


def test_other_splits(root: Path) -> None:
    dataset = SEN12MSCR(root)
    assert sum(map(len, roi_split(dataset).values())) == 10
    with pytest.raises(ValueError, match=r"lacks the columns .*'cover'"):
        published_split(dataset)


def test_real_triple() -> None:
    folder = Path(os.environ.get('TDPCR_SAMPLES', ''), 'sen12mscr')
    if not os.environ.get('TDPCR_SAMPLES') or not folder.is_dir():
        pytest.skip('TDPCR_SAMPLES does not name the folder of real samples')
    assert verify(folder) == []
    dataset = SEN12MSCR(folder, cache=False)
    sample = dataset[0]
    assert len(dataset) == 1
    assert sample['epsg'] == 32631
    assert sample['transform'][2].item() == 704342.595787463
    assert sample['image'].shape == (13, 256, 256)
    assert -40 < sample['image_sar'].mean() < 0
