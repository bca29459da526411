# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""M3M-CR: its layers on one grid, its splits, and what is found of it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from m3mcr_files import (
    COARSE,
    COARSE_X,
    COARSE_Y,
    OPTICAL,
    X,
    Y,
    m3mcr_path,
    write_m3mcr,
)
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from torchgeo.datasets import DatasetNotFoundError, stack_samples

from torchgeo_tdpcr import M3MCR
from torchgeo_tdpcr.datasets import ChipQuery, CorruptChipError
from torchgeo_tdpcr.datasets.chips import index
from torchgeo_tdpcr.samplers import ChipSampler

CLASSES = {10: 0, 20: 1, 30: 1, 40: 2, 50: 3, 60: 4, 80: 5, 90: 5}


def centres(first: float, step: float, count: int) -> NDArray[np.float64]:
    return first + step * (np.arange(count) + 0.5)


def at(x: NDArray[np.float64], first: float, step: float) -> NDArray[np.float64]:
    """Position of coordinates in pixels, 0 at the centre of the first pixel."""
    return (x - first) / step - 0.5


def nearest(
    array: NDArray, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray:
    """Take the pixel in which each position lies, or the one at the edge."""
    i = np.floor(rows + 0.5).astype(int).clip(0, array.shape[-2] - 1)
    j = np.floor(columns + 0.5).astype(int).clip(0, array.shape[-1] - 1)
    return array[..., i[:, None], j]


def bilinear(
    array: NDArray, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray:
    """Interpolate along columns and then along rows, constant beyond the centres."""
    count = np.arange(array.shape[-1]), np.arange(array.shape[-2])
    across = np.apply_along_axis(lambda v: np.interp(columns, count[0], v), -1, array)
    return np.apply_along_axis(lambda v: np.interp(rows, count[1], v), -2, across)


def test_sample_on_the_optical_grid(tmp_path: Path) -> None:
    paths = write_m3mcr(tmp_path)
    dataset = M3MCR(tmp_path)
    assert len(dataset) == 1
    sample = dataset[0]
    assert set(sample) == {
        'image', 'image_clear', 'image_sar', 'mask', 'mask_cloud',
        'bounds', 'transform', 'epsg', 'wavelength', 'resolution',
    }  # fmt: skip
    for key, layer in {
        'image': 'planet_cloudy',
        'image_clear': 'planet_cloudfree',
    }.items():
        with rasterio.open(paths[layer]) as file:
            np.testing.assert_array_equal(sample[key], file.read().astype('float32'))
    columns = at(centres(X, 3, OPTICAL), COARSE_X, 10)
    rows = at(centres(Y, -3, OPTICAL), COARSE_Y, -10)
    with rasterio.open(paths['S1']) as file:
        truth = bilinear(file.read(), rows, columns)
    np.testing.assert_allclose(sample['image_sar'], truth, atol=1e-4)
    with rasterio.open(paths['landcover']) as file:
        codes = nearest(file.read(1), rows, columns)
    expected = np.vectorize(lambda code: CLASSES.get(code, 255))(codes)
    np.testing.assert_array_equal(sample['mask'], expected)
    np.testing.assert_array_equal(sample['mask_cloud'], np.load(paths['cloudmask']))

    assert sample['epsg'] == 32646
    assert sample['transform'].tolist() == [3, 0, X, 0, -3, Y, 0, 0, 1]
    assert sample['bounds'][[0, 1, 3, 4]].tolist() == [X, X + 180, Y - 180, Y]
    assert sample['wavelength'].tolist() == [485, 545, 630, 820]
    assert sample['resolution'].tolist() == [3, 10]
    assert stack_samples([sample, dataset[0]])['wavelength'].shape == (2, 4)
    plt.close(dataset.plot(sample))


def test_sample_on_the_radar_grid(tmp_path: Path) -> None:
    paths = write_m3mcr(tmp_path)
    with rasterio.open(paths['planet_cloudfree'], 'r+') as file:
        array = file.read()
        array[:, 20:23, 30:33] = 0  # missing pixels do not count
        file.write(array)
    sample = M3MCR(tmp_path, resolution='sar')[0]
    assert {k: tuple(v.shape) for k, v in sample.items() if k[0] in 'im'} == {
        'image': (4, COARSE, COARSE),
        'image_clear': (4, COARSE, COARSE),
        'image_sar': (2, COARSE, COARSE),
        'mask': (COARSE, COARSE),
        'mask_cloud': (COARSE, COARSE),
    }
    with rasterio.open(paths['S1']) as file:
        np.testing.assert_array_equal(
            sample['image_sar'], file.read().astype('float32')
        )
    with rasterio.open(paths['landcover']) as file:
        expected = np.vectorize(lambda code: CLASSES.get(code, 255))(file.read(1))
    np.testing.assert_array_equal(sample['mask'], expected)

    # Shares of each fine pixel's length in each coarse pixel; 1 m is an exact unit
    def shares(fine: float, coarse: float) -> NDArray[np.float64]:
        metres = np.arange(COARSE * 10) + coarse
        table = np.zeros((COARSE, OPTICAL))
        for metre, pixel in zip(metres, np.repeat(np.arange(COARSE), 10), strict=True):
            place = int((metre - fine) // 3)
            table[pixel, min(max(place, 0), OPTICAL - 1)] += 1
        return table

    down, right = shares(-Y, -COARSE_Y), shares(X, COARSE_X)
    weights = down @ (array > 0) @ right.T
    truth = down @ array.astype(float) @ right.T / weights
    np.testing.assert_allclose(sample['image_clear'], truth, rtol=1e-5)
    columns = at(centres(COARSE_X, 10, COARSE), X, 3)
    rows = at(centres(COARSE_Y, -10, COARSE), Y, -3)
    cloud = nearest(np.load(paths['cloudmask']), rows, columns)
    np.testing.assert_array_equal(sample['mask_cloud'], cloud)
    assert sample['transform'].tolist() == [10, 0, COARSE_X, 0, -10, COARSE_Y, 0, 0, 1]
    assert sample['resolution'].tolist() == [3, 10]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight training areas of two seasons in two zones, one test area."""
    root = tmp_path / 'data'
    for area in range(4):
        for patch in (1, 2):
            write_m3mcr(root, 'train', 'fall', area, patch)
        write_m3mcr(root, 'train', 'summer', area, 7, epsg=32633, shift=500)
    write_m3mcr(root, 'test', 'summer', 33, 1)
    return root


def places(dataset: M3MCR) -> set[tuple[str, int, int]]:
    columns = (dataset.index[name] for name in ('part', 'roi', 'patch'))
    return set(zip(*columns, strict=True))


def test_splits(root: Path) -> None:
    parts = {split: places(M3MCR(root, split)) for split in ('train', 'val', 'test')}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 13
    assert parts['test'] == {('test/summer', 33, 1)}
    areas = [{place[:2] for place in parts[split]} for split in ('train', 'val')]
    assert len(areas[1]) == 1
    assert areas[0].isdisjoint(areas[1])
    assert len(places(M3MCR(root, 'val', val_share=0.5))) > len(parts['val'])
    assert len(M3MCR(root, 'train', val_share=0)) == 12
    assert places(M3MCR(root)) == set.union(*parts.values())
    seeds = {frozenset(places(M3MCR(root, 'val', seed=seed))) for seed in range(8)}
    assert len(seeds) > 1
    with pytest.raises(ValueError, match=r"split='val'` is empty"):
        M3MCR(root, 'val', val_share=0)
    with pytest.raises(ValueError, match='leaves nothing to train'):
        M3MCR(root, 'train', val_share=0.99)
    with pytest.raises(ValueError, match='below 1'):
        M3MCR(root, 'train', val_share=1)


def test_queries_and_windows(root: Path) -> None:
    dataset = M3MCR(root)
    (query,) = [q for q in ChipSampler(dataset) if 'summer_33' in q.chip]
    assert isinstance(query, ChipQuery)
    sample = dataset[query]
    assert sample['image'].shape == (4, OPTICAL, OPTICAL)
    part = M3MCR(root, 'test')[X + 30 : X + 90, Y - 60 : Y - 30]
    assert torch.equal(part['image_sar'], sample['image_sar'][:, 10:20, 10:30])
    assert torch.equal(part['mask'], sample['mask'][10:20, 10:30])
    assert part['bounds'][[0, 1, 3, 4]].tolist() == [X + 30, X + 90, Y - 60, Y - 30]


def test_bands_and_layers(root: Path) -> None:
    whole = M3MCR(root, 'test')[0]
    dataset = M3MCR(root, 'test', bands=['NIR', 'G'], layers=['S1', 'planet_cloudy'])
    sample = dataset[0]
    assert torch.equal(sample['image'], whole['image'][[3, 1]])
    assert sample['wavelength'].tolist() == [820, 545]
    assert 'mask' not in sample
    assert 'image_clear' not in sample
    with pytest.raises(Exception, match='RGB'):
        dataset.plot(sample)
    for arguments, match in {
        ('bands', 'B2'): 'bands=',
        ('layers', 'S2'): 'layers=',
        ('layers', 'S1'): 'no optical layer',
        ('resolution', 'fine'): 'resolution=',
        ('split', 'dev'): 'split=',
        ('missing', 'never'): 'missing=',
    }.items():
        key, value = arguments
        value = [value] if key in ('bands', 'layers') else value
        with pytest.raises(ValueError, match=match):
            M3MCR(root, **{key: value})  # type: ignore[arg-type]


def test_names_are_read_leniently(tmp_path: Path) -> None:
    paths = write_m3mcr(tmp_path, season='late_Winter2')
    for layer, path in paths.items():
        short = f'{layer.upper()}_late_Winter2_p12{path.suffix}'
        path.rename(path.parent.parent / short)
        path.parent.rmdir()
    dataset = M3MCR(tmp_path)
    assert dataset.index[['part', 'roi', 'patch']].iloc[0].tolist() == [
        'train/late_Winter2', 0, 12,
    ]  # fmt: skip
    assert dataset[0]['image_sar'].shape == (2, OPTICAL, OPTICAL)


def test_index_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = M3MCR(root)
    monkeypatch.setattr(index, 'read_header', lambda path: 1 / 0)
    again = M3MCR(root)
    assert again.index.drop(columns='geometry').equals(
        first.index.drop(columns='geometry')
    )
    assert torch.equal(again[3]['image_sar'], first[3]['image_sar'])
    for options in ({'cache': False}, {'resolution': 'sar'}):
        with pytest.raises(ZeroDivisionError):
            M3MCR(root, **options)  # type: ignore[arg-type]


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"nowhere' does not exist.*'train'"):
        M3MCR(tmp_path / 'nowhere')
    (tmp_path / 'pictures').mkdir()
    with pytest.raises(DatasetNotFoundError, match='pictures'):
        M3MCR(tmp_path)
    (tmp_path / 'train/S1_fall').mkdir(parents=True)
    with pytest.raises(DatasetNotFoundError, match='no files'):
        M3MCR(tmp_path)


def test_missing_layers(root: Path) -> None:
    gone = m3mcr_path(root, 'S1', 'train', 'fall', 1, 2)
    gone.unlink()
    with pytest.warns(UserWarning, match=r"1 of 13 .*fall_1_p_2.*no twin in 'S1'"):
        assert len(M3MCR(root)) == 12
    with pytest.raises(CorruptChipError, match="no twin in 'S1'"):
        M3MCR(root, missing='error')
    assert len(M3MCR(root, layers=['planet_cloudy', 'landcover'])) == 13
    m3mcr_path(root, 'planet_cloudy', 'test', 'summer', 33, 1).write_bytes(b'')
    with (
        pytest.warns(UserWarning, match='cannot be opened'),
        pytest.raises(DatasetNotFoundError, match='Of 1 samples none'),
    ):
        M3MCR(root, 'test')


@pytest.mark.parametrize('resolution', ['optical', 'sar'])
def test_real_sample(samples: Path, resolution: str) -> None:
    folder = samples / 'm3mcr'
    if not folder.is_dir():
        pytest.skip('the real samples have none of M3M-CR')
    dataset = M3MCR(folder, 'train', resolution=resolution, val_share=0, cache=False)
    sample = dataset[0]
    size = {'optical': 300, 'sar': 90}[resolution]
    assert sample['image'].shape == (4, size, size)
    stem = folder / 'train'
    names = {
        'image': 'planet_cloudy',
        'image_clear': 'planet_cloudfree',
        'image_sar': 'S1',
    }
    for key, layer in names.items():
        path = stem / f'{layer}_fall/{layer}_fall_1/{layer}_fall_1_p_457.tif'
        with rasterio.open(path) as file:
            truth = file.read().mean(axis=(1, 2))
        means = sample[key].mean(dim=(1, 2)).numpy()
        np.testing.assert_allclose(means, truth, rtol=0.01)
    path = stem / 'landcover_fall/landcover_fall_1/landcover_fall_1_p_457.tif'
    with rasterio.open(path) as file:
        shares = np.bincount(file.read(1).ravel() // 10, minlength=7)[1:] / 8100
    # codes 10, 30, 40, 50 and 60, that is classes 0 to 4
    found = np.bincount(sample['mask'].ravel(), minlength=6) / size**2
    np.testing.assert_allclose(
        found, [shares[0], shares[1] + shares[2], *shares[3:6], 0], atol=0.01
    )
    path = stem / 'cloudmask_fall/cloudmask_fall_1/cloudmask_fall_1_p_457.npy'
    assert abs(sample['mask_cloud'].float().mean() - np.load(path).mean()) < 0.01
    assert sample['epsg'] == 32646
    # The clouds lie where the mask says
    cloudy = (sample['image'] - sample['image_clear'])[0]
    inside = sample['mask_cloud'] == 1
    assert cloudy[inside].mean() > cloudy[~inside].mean() + 500
