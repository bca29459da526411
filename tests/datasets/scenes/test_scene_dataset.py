# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SceneDataset and SceneDataModule: what comes out of the files of a scene."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from matplotlib import pyplot as plt
from torch.utils.data import DataLoader
from torchgeo.datasets import stack_samples
from torchgeo.samplers import GriddedPatchSampler

from torchgeo_tdpcr import SceneDataModule, SceneDataset, WindowSampler
from torchgeo_tdpcr.datasets import SceneError, ScenePair
from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.dataset import SceneFailure
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair


@pytest.fixture(scope='module')
def paths(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    root = tmp_path_factory.mktemp('scene')
    return write_scene_pair(root, size=(96, 150), seed=1, nodata_corner=True)


@pytest.fixture
def pair(paths: ScenePaths) -> ScenePair:
    return ScenePair('a', paths.s2, paths.s1, paths.clouds)


def arrays(paths: ScenePaths) -> tuple[np.ndarray, np.ndarray]:
    """Digital numbers, and backscatter on their grid as GDAL warps it."""
    with rasterio.open(paths.s2) as s2, rasterio.open(paths.s1) as s1:
        image = s2.read().astype(np.float32)
        sar = np.full((2, *image.shape[1:]), np.nan, np.float32)
        rasterio.warp.reproject(
            s1.read(),
            sar,
            src_transform=s1.transform,
            src_crs=s1.crs,
            dst_transform=s2.transform,
            dst_crs=s2.crs,
            resampling=rasterio.enums.Resampling.bilinear,
        )
    return image, sar


def test_batches(paths: ScenePaths, pair: ScenePair) -> None:
    dataset = SceneDataset([pair])
    image, sar = arrays(paths)
    valid = (image > 0).all(0)
    seen = np.zeros_like(valid)
    for run in WindowSampler(dataset, size=64, overlap=16, batch_size=2):
        batch = dataset[run]
        assert batch['image'].is_contiguous(memory_format=torch.channels_last)
        for i, left in enumerate(batch['left'].tolist()):
            cut = np.s_[..., run.top : run.top + 64, left : left + 64]
            there = valid[cut]
            np.testing.assert_array_equal(batch['valid'][i], there)
            np.testing.assert_array_equal(
                batch['image'][i][:, there], image[cut][:, there] - 1000
            )
            np.testing.assert_allclose(batch['image_sar'][i], sar[cut], atol=0.02)
            origin = batch['transform'][i, [2, 5]].tolist()
            assert origin == [660000 + 10 * left, 5360040 - 10 * run.top]
            seen[cut] = True
        assert batch['epsg'].tolist() == [32632] * len(batch['left'])
        assert batch['bounds'].shape == (len(batch['left']), 9)
    assert seen[valid].all()


def test_workers_give_the_same(pair: ScenePair) -> None:
    dataset = SceneDataset([pair])
    sampler = WindowSampler(dataset, size=64, overlap=16, batch_size=2)
    # The parent has read, so that its files are open when it forks
    here = [dataset[run] for run in sampler]
    loader = DataLoader(dataset, sampler=sampler, batch_size=None, num_workers=2)
    there = list(loader)
    assert len(here) == len(there) == 4
    for one, two in zip(here, there, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_workers_trust_as_well(
    paths: ScenePaths, pair: ScenePair, tmp_path: Path
) -> None:
    vrts = [tmp_path / 'a.vrt', tmp_path / 'a_s1.vrt', tmp_path / 'mask.vrt']
    for path, vrt in zip((paths.s2, paths.s1, paths.clouds), vrts, strict=True):
        rasterio.shutil.copy(path, vrt, driver='VRT')
    with pytest.raises(SceneError, match=r"a\.vrt': is a VRT.*set `trusted`"):
        SceneDataModule(*vrts).setup('predict')
    # The mask alone as well
    with pytest.raises(SceneError, match=r"mask\.vrt': is a VRT"):
        SceneDataModule(paths.s2, paths.s1, vrts[2]).setup('predict')
    size = {'patch_size': 64, 'overlap': 16}
    plain = SceneDataModule(paths.s2, paths.s1, paths.clouds, **size)
    led = SceneDataModule(*vrts, **size, num_workers=1, trusted=True)
    plain.setup('predict')
    led.setup('predict')
    both = zip(plain.predict_dataloader(), led.predict_dataloader(), strict=True)
    for one, two in both:
        assert torch.equal(one['image'], two['image'])
    window = PixelBox(0, 0, 64, 64)
    assert np.array_equal(led.clouds(0, window), plain.clouds(0, window))


def test_torchgeo_queries(paths: ScenePaths, pair: ScenePair) -> None:
    dataset = SceneDataset([pair], bands=['B4', 'B3', 'B2'])
    x, y, _ = dataset.bounds
    sample = dataset[x.start : x.start + 320, y.start : y.start + 320]
    image, _ = arrays(paths)
    assert sample['image'].shape == (3, 32, 32)
    np.testing.assert_array_equal(sample['image'] + 1000, image[[3, 2, 1], -32:, :32])
    with pytest.raises(IndexError, match='not found in dataset'):
        dataset[x.start - 900 : x.start - 600, y.start : y.start + 320]
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=GriddedPatchSampler(dataset, size=32),
        collate_fn=stack_samples,
    )
    assert next(iter(loader))['image_sar'].shape == (2, 2, 32, 32)
    figure = dataset.plot(sample)
    assert len(figure.axes) == 2
    plt.close(figure)


def test_what_was_observed(paths: ScenePaths, pair: ScenePair) -> None:
    dataset = SceneDataset([pair])
    image, _ = arrays(paths)
    window = PixelBox(10, 20, 60, 50)
    observed, valid = dataset.observed(0, window)
    np.testing.assert_array_equal(observed, image[:, 20:50, 10:60])
    np.testing.assert_array_equal(valid, (image > 0).all(0)[20:50, 10:60])
    with rasterio.open(paths.clouds) as file:
        clouds = file.read(1)
    np.testing.assert_array_equal(dataset.clouds(0, window), clouds[20:50, 10:60] > 0)
    info = dataset.info(0)
    assert (info.name, info.offset, len(info.bands)) == ('a', 1000, 13)
    assert set(info.inputs) == {'s2', 's1', 'cloud_mask'}


def test_pixels_without_radar_are_not_valid(paths: ScenePaths, tmp_path: Path) -> None:
    short = tmp_path / 's1.tif'
    with rasterio.open(paths.s1) as file:
        profile, array = file.profile, file.read()
    array[:, :, : array.shape[2] // 2] = np.nan
    with rasterio.open(short, 'w', **profile) as file:
        file.write(array)
    pair = ScenePair('a', paths.s2, short)
    with pytest.raises(
        SceneError, match=r'covers 5\d% of .*lower `min_sar_cover=0\.9`'
    ):
        SceneDataset([pair])
    dataset = SceneDataset([pair], min_sar_cover=0.3)
    observed = dataset.observed(0, PixelBox(0, 0, 150, 96))[1]
    x, y, _ = dataset.bounds
    sample = dataset[x, y]
    assert not sample['valid'][:, :60].any()
    np.testing.assert_array_equal(sample['valid'][:, 80:], observed[:, 80:])
    assert sample['image_sar'].isfinite().all()


def test_one_bad_scene(paths: ScenePaths, pair: ScenePair, tmp_path: Path) -> None:
    (tmp_path / 's1.tif').write_text('no raster')
    bad = ScenePair('b', paths.s2, tmp_path / 's1.tif')
    with pytest.raises(SceneError, match=r"s1\.tif': cannot be read"):
        SceneDataset([bad])
    dataset = SceneDataset([bad, pair])
    assert list(dataset.rejected) == ['b']
    assert dataset.info(0).name == 'a'
    assert len(dataset) == len(dataset.index) == 1


def test_failure_while_reading(paths: ScenePaths, tmp_path: Path) -> None:
    broken = tmp_path / 's2.tif'
    broken.write_bytes(paths.s2.read_bytes())
    dataset = SceneDataset([ScenePair('a', broken, paths.s1)])
    dataset.close()
    with broken.open('r+b') as file:
        file.truncate(broken.stat().st_size // 3)
    results = [dataset[run] for run in WindowSampler(dataset, size=64, overlap=16)]
    assert isinstance(results[-1], SceneFailure)
    assert str(broken) in str(results[-1].error)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({}, 'Give `s2` and `s1`, or a table'),
        ({'s2': 'a'}, 'Give `s2` and `s1`, or a table'),
        ({'s2': 'a', 's1': 'b', 'pairs': 'c'}, 'and not both'),
        ({'s2': 'a', 's1': 'b', 'bands': ['B99']}, 'unknown'),
        ({'s2': 'a', 's1': 'b', 'sar_clip': 'none'}, '`clip='),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SceneDataModule(**arguments)


def test_data_module(paths: ScenePaths, tmp_path: Path) -> None:
    module = SceneDataModule(
        paths.s2, paths.s1, paths.clouds, patch_size=64, overlap=16
    )
    with pytest.raises(ValueError, match='no truth to fit with'):
        module.setup('fit')
    module.setup('predict')
    batches = list(module.predict_dataloader())
    assert len(batches) == len(module.predict_dataloader()) == 2
    batch = module.on_after_batch_transfer(batches[0], 0)
    raw = dict(batch)
    batch = module.aug(batch)
    for key in ('image', 'image_sar'):
        assert 0 <= batch[key].min() <= batch[key].max() <= 1
    back = module.denormalize(batch)
    there = raw['valid'][0] & (raw['image'][0] < 10000).all(0)
    torch.testing.assert_close(back['image'][0][:, there], raw['image'][0][:, there])
    assert module.plot({'image': raw['image'][0]}) is not None
    plt.close('all')
    module.teardown('predict')
    other = write_scene_pair(tmp_path, 'other', size=64, seed=2)
    both = SceneDataModule([paths.s2, other.s2], [paths.s1, other.s1], paths.clouds)
    with pytest.raises(ValueError, match='is of one scene, but there are 2'):
        both.setup('predict')
