# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""WHU-OPT-SAR: windows of scenes, simulated clouds, splits, and what can be wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import rasterio
import torch
from matplotlib import pyplot as plt
from osfcr_files import write_tif
from torchgeo.datasets import DatasetNotFoundError, stack_samples
from whu_files import write_scene

from torchgeo_tdpcr import WHUOPTSAR
from torchgeo_tdpcr.datasets import CorruptChipError
from torchgeo_tdpcr.datasets.whu_opt_sar.scenes import (
    TEST_SCENES,
    TRAIN_SCENES,
    sheet_bounds,
)
from torchgeo_tdpcr.transforms import simulate_clouds

SIZE = 32


def read(path: Path, top: int, left: int, size: int = SIZE) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()[:, top : top + size, left : left + size]


def test_sample(tmp_path: Path) -> None:
    paths = write_scene(tmp_path)
    dataset = WHUOPTSAR(tmp_path, size=SIZE)
    # 70×100 pixels hold 2×3 windows; 6 rows and 4 columns are left over
    assert len(dataset) == 6
    sample = dataset[4]
    assert set(sample) == {
        'image', 'image_clear', 'image_sar', 'image_thickness', 'mask', 'mask_cloud',
        'bounds', 'transform', 'epsg', 'wavelength', 'resolution',
    }  # fmt: skip
    np.testing.assert_array_equal(
        sample['image_clear'], read(paths['optical'], 32, 32).astype('float32')
    )
    np.testing.assert_array_equal(
        sample['image_sar'], read(paths['sar'], 32, 32).astype('float32')
    )
    labels = read(paths['lbl'], 32, 32)[0]
    np.testing.assert_array_equal(
        sample['mask'], np.where(labels == 0, 255, labels // 10 - 1.0)
    )
    assert sample['image_sar'].shape == (1, SIZE, SIZE)
    assert sample['wavelength'].tolist() == [660, 555, 485, 830]
    assert sample['resolution'].tolist() == [5, 5]
    assert stack_samples([sample, dataset[0]])['image'].shape == (2, 4, SIZE, SIZE)
    assert {
        str(sample[key].dtype) for key in ('image', 'image_sar', 'image_clear')
    } == {'torch.float32'}
    plt.close(dataset.plot(sample | {'prediction': sample['mask']}))


def test_place_by_georeference(tmp_path: Path) -> None:
    write_scene(tmp_path, crs='EPSG:32649')
    dataset = WHUOPTSAR(tmp_path, size=SIZE)
    sample = dataset[4]
    assert sample['epsg'] == 32649
    assert sample['transform'].tolist() == [5, 0, 500160, 0, -5, 3499840, 0, 0, 1]
    assert dataset.res == (5, 5)
    # A query of TorchGeo's: the chip that it overlaps most
    part = dataset[500200:500280, 3499720:3499800]
    assert torch.equal(part['mask'], sample['mask'][8:24, 8:24])


def test_place_by_name(tmp_path: Path) -> None:
    write_scene(tmp_path, 'NI49E021010')
    dataset = WHUOPTSAR(tmp_path, size=SIZE)
    first, last = dataset[0], dataset[5]
    assert first['epsg'] == 4326
    west, south, east, north = sheet_bounds('NI49E021010')  # type: ignore[misc]
    assert first['bounds'][0] == west
    assert first['bounds'][4] == north
    # 64 of 70 rows and 96 of 100 columns are in chips
    assert last['bounds'][1].item() == pytest.approx(west + 0.96 * (east - west))
    assert last['bounds'][3].item() == pytest.approx(north - 64 / 70 * (north - south))
    assert dataset.res[0] == pytest.approx((east - west) / 100)


def test_sheets_are_in_hubei() -> None:
    # The rows of a map of the world begin at the equator, columns at 180° W
    assert sheet_bounds('NA31E001001') == (0, 4 - 1 / 6, 0.25, 4)
    for name in (*TRAIN_SCENES, *TEST_SCENES):
        west, south, east, north = sheet_bounds(name)  # type: ignore[misc]
        assert 108 <= west < east <= 117
        assert 29 <= south < north <= 34
        # Scenes of 5556×3704 pixels of about 5 m have these proportions
        assert (east - west) / 5556 == pytest.approx((north - south) / 3704)
    for name in ('NH49E025013', 'NH61E001013', 'NH49D001013', 'scene'):
        assert sheet_bounds(name) is None


def test_stride_and_size(tmp_path: Path) -> None:
    paths = write_scene(tmp_path)
    dataset = WHUOPTSAR(tmp_path, size=48, stride=16)
    assert len(dataset) == 2 * 4
    np.testing.assert_array_equal(
        dataset[5]['image_sar'], read(paths['sar'], 16, 16, 48).astype('float32')
    )
    for name, value in {'size': 0, 'stride': -1, 'white': 0, 'optical_max': 0}.items():
        with pytest.raises(ValueError, match=f'{name}={value}'):
            WHUOPTSAR(tmp_path, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(DatasetNotFoundError, match='`size=71`'):
        WHUOPTSAR(tmp_path, size=71)


def test_only_the_window_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scene(tmp_path)
    shapes: list[tuple[int, ...]] = []
    actual = rasterio.io.DatasetReader.read

    def spy(self: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        shapes.append((array := actual(self, *args, **kwargs)).shape)
        return array

    monkeypatch.setattr(rasterio.io.DatasetReader, 'read', spy)
    WHUOPTSAR(tmp_path, size=SIZE)[1]
    assert shapes == [(4, SIZE, SIZE), (1, SIZE, SIZE), (1, SIZE, SIZE)]


def test_clouds_are_those_of_the_simulation(tmp_path: Path) -> None:
    paths = write_scene(tmp_path)
    dataset = WHUOPTSAR(tmp_path, size=SIZE, cover=(0.5, 0.5), white=0.5)
    sample = dataset[0]
    clear = read(paths['optical'], 0, 0).astype('float32')
    # 255 is a reflectance of 0.5, 5000 in digital numbers of Sentinel-2
    reflectance = (torch.from_numpy(clear) * (5000 / 255)).numpy()
    rng = np.random.default_rng([42, crc32(reflectance.tobytes())])
    rng.uniform(0.5, 0.5)
    sky = simulate_clouds(reflectance, rng, 0.5, ['B4', 'B3', 'B2', 'B8'])
    expected = (sky.image * (255 / 5000)).clip(0, 255)
    np.testing.assert_allclose(sample['image'], expected, rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(sample['mask_cloud'], sky.mask)
    np.testing.assert_array_equal(sample['image_thickness'][0], sky.thickness)
    assert abs(sample['mask_cloud'].float().mean() - 0.5) < 0.05
    assert sample['image'].max() <= 255


def test_clouds_are_fixed_or_fresh(tmp_path: Path) -> None:
    write_scene(tmp_path)
    options: dict[str, Any] = {'size': SIZE, 'cover': (0.3, 0.9)}
    one, two = WHUOPTSAR(tmp_path, **options), WHUOPTSAR(tmp_path, **options)
    assert torch.equal(one[2]['image'], two[2]['image'])
    assert torch.equal(one[2]['image'], one[2]['image'])
    assert not torch.equal(one[2]['mask_cloud'], one[3]['mask_cloud'])
    other = WHUOPTSAR(tmp_path, **options, seed=1)[2]
    assert not torch.equal(one[2]['mask_cloud'], other['mask_cloud'])
    fresh = WHUOPTSAR(tmp_path, **options, fresh_clouds=True)
    torch.manual_seed(0)
    first, second = fresh[2], fresh[2]
    assert not torch.equal(first['mask_cloud'], second['mask_cloud'])
    assert torch.equal(first['image_clear'], second['image_clear'])
    torch.manual_seed(0)
    assert torch.equal(first['image'], fresh[2]['image'])


def test_published_split(tmp_path: Path) -> None:
    assert (len(TRAIN_SCENES), len(TEST_SCENES)) == (80, 20)
    assert len({*TRAIN_SCENES, *TEST_SCENES}) == 100
    for name in ('mine', *TRAIN_SCENES, *TEST_SCENES):
        # Nothing is read but headers
        write_scene(tmp_path, name, (8, 8), crs='EPSG:32649')
    scenes = {
        split: set(WHUOPTSAR(tmp_path, split, size=8).index['scene'])
        for split in ('train', 'val', 'test')
    }
    assert scenes['test'] == set(TEST_SCENES)
    assert scenes['train'] | scenes['val'] == set(TRAIN_SCENES)
    assert (len(scenes['train']), len(scenes['val'])) == (72, 8)
    everything = WHUOPTSAR(tmp_path, 'train', size=8, val_share=0)
    assert set(everything.index['scene']) == set(TRAIN_SCENES)
    assert len(WHUOPTSAR(tmp_path, size=8)) == 101
    with pytest.raises(ValueError, match=r"split='val'` is empty"):
        WHUOPTSAR(tmp_path, 'val', size=8, val_share=0)


def test_other_folder_names_bands_and_layers(tmp_path: Path) -> None:
    write_scene(tmp_path / 'whu', folders=('Images', 'SAR', 'label'))
    dataset = WHUOPTSAR(tmp_path, size=SIZE)
    bands = WHUOPTSAR(
        tmp_path, size=SIZE, bands=['NIR', 'R'], layers=['sar', 'optical'], cover=(0, 0)
    )
    sample = bands[0]
    assert torch.equal(sample['image_clear'], dataset[0]['image_clear'][[3, 0]])
    assert sample['image'].shape == (2, SIZE, SIZE)
    assert 'mask' not in sample
    with pytest.raises(Exception, match='RGB'):
        bands.plot(sample)
    for key, value in {'bands': ['B2'], 'layers': ['s1'], 'split': 'dev'}.items():
        with pytest.raises(ValueError, match=f'{key}='):
            WHUOPTSAR(tmp_path, **{key: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='cover='):
        WHUOPTSAR(tmp_path, cover=(0.5, 2.0))


def test_deeper_files(tmp_path: Path) -> None:
    write_scene(tmp_path, kind='uint16')
    with pytest.raises(CorruptChipError, match='uint16, but `optical_max=255`'):
        WHUOPTSAR(tmp_path, size=SIZE)[0]
    sample = WHUOPTSAR(tmp_path, size=SIZE, optical_max=1023, cover=(1, 1))[0]
    assert 255 < sample['image'].max() <= 1023


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"nowhere' does not exist.*'lbl'"):
        WHUOPTSAR(tmp_path / 'nowhere')
    (tmp_path / 'pictures').mkdir()
    with pytest.raises(DatasetNotFoundError, match='pictures'):
        WHUOPTSAR(tmp_path)
    for folder in ('optical', 'sar'):
        (tmp_path / folder).mkdir()
    with pytest.raises(DatasetNotFoundError, match='no GeoTIFFs'):
        WHUOPTSAR(tmp_path)


def test_missing_layers(tmp_path: Path) -> None:
    write_scene(tmp_path)
    paths = write_scene(tmp_path, 'NH50E008003')
    paths['lbl'].unlink()
    with pytest.warns(UserWarning, match=r"1 of 2 .*NH50E008003.*no twin in 'lbl'"):
        assert len(WHUOPTSAR(tmp_path, size=SIZE)) == 6
    with pytest.raises(CorruptChipError, match=r"NH50E008003\.tif.*'lbl'"):
        WHUOPTSAR(tmp_path, size=SIZE, missing='error')
    assert len(WHUOPTSAR(tmp_path, size=SIZE, layers=['optical', 'sar'])) == 12
    paths['optical'].unlink()
    with pytest.warns(UserWarning, match='no twin in'):
        assert len(WHUOPTSAR(tmp_path, size=SIZE)) == 6


@pytest.mark.parametrize(
    ('name', 'match'),
    [('NH49E001013', 'cannot be opened'), ('nameless', 'nor is its name')],
)
def test_scene_without_a_place(tmp_path: Path, name: str, match: str) -> None:
    paths = write_scene(tmp_path, name)
    if name != 'nameless':
        paths['optical'].write_bytes(b'no picture')
    with (
        pytest.warns(UserWarning, match=match),
        pytest.raises(DatasetNotFoundError, match='Of 1 scenes none'),
    ):
        WHUOPTSAR(tmp_path, size=SIZE)


LABELS = np.full((1, 70, 100), 15, 'uint8')
HOLE = np.ones((1, 70, 100), 'float32')
HOLE[0, 0, 0] = np.inf
FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    'label': ('lbl', lambda p: write_tif(p, LABELS), r'codes \[15\]'),
    'size': ('lbl', lambda p: write_tif(p, LABELS[:, 3:]), '100×67 pixels'),
    'bands': ('sar', lambda p: write_tif(p, np.zeros((2, 70, 100), 'u1')), '2 bands'),
    'radar type': ('sar', lambda p: write_tif(p, HOLE), 'float32, but `sar_max=255`'),
    'garbage': ('sar', lambda p: p.write_bytes(b'no picture'), 'cannot be read'),
    'vanished': ('optical', lambda p: p.unlink(), 'cannot be read'),
}


@pytest.mark.parametrize('name', FAULTS)
def test_faults_name_the_file(tmp_path: Path, name: str) -> None:
    layer, break_it, match = FAULTS[name]
    paths = write_scene(tmp_path)
    dataset = WHUOPTSAR(tmp_path, size=SIZE)
    break_it(paths[layer])
    with pytest.raises(CorruptChipError, match=match) as error:
        dataset[0]
    assert str(paths[layer]) in str(error.value)


def test_infinite_backscatter(tmp_path: Path) -> None:
    write_tif(write_scene(tmp_path)['sar'], HOLE)
    with pytest.raises(CorruptChipError, match='1 NaN or infinite'):
        WHUOPTSAR(tmp_path, size=SIZE, sar_max=5)[0]
