# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of clear pixels of other dates of a scene."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import calculate_default_transform, reproject

from torchgeo_tdpcr.callbacks.geotiff.fingerprint import fingerprint
from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes import ScenePair
from torchgeo_tdpcr.datasets.scenes.common import SceneError, SceneWarning
from torchgeo_tdpcr.datasets.scenes.composite import ClearDates, OtherDate
from torchgeo_tdpcr.datasets.scenes.dataset import SceneDataset
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.pairing.pairs import OtherProduct
from torchgeo_tdpcr.datasets.scenes.windows.clouds import CloudReader
from torchgeo_tdpcr.datasets.scenes.windows.optical.reader import OpticalReader
from torchgeo_tdpcr.datasets.synthetic.scene_dates import DatePaths, write_scene_dates
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair

SIZE = {'size': 160, 'seed': 1}


@pytest.fixture(scope='module')
def pair(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    return write_scene_pair(tmp_path_factory.mktemp('pair'), **SIZE)


@pytest.fixture(scope='module')
def dates(tmp_path_factory: pytest.TempPathFactory) -> list[DatePaths]:
    return write_scene_dates(tmp_path_factory.mktemp('dates'), [0, 40, -8], **SIZE)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        array: np.ndarray = file.read()
    return array


def open_date(paths: DatePaths, grid, days=None):
    optical = OpticalReader(find_optical(paths.s2))
    return OtherDate(optical, CloudReader(paths.clouds, optical.grid), grid, days)


def test_own_pixels(pair, dates):
    grid = OpticalReader(find_optical(pair.s2)).grid
    box = PixelBox(10, 20, 90, 80)
    numbers, clear = open_date(dates[1], grid).read(box)
    cut = np.s_[:, 20:80, 10:90]
    np.testing.assert_array_equal(numbers, read(dates[1].s2)[cut].astype(float) - 1000)
    np.testing.assert_array_equal(clear, read(dates[1].clouds)[cut][0] == 0)


def test_other_pixels_are_warped(pair, dates, tmp_path):
    grid = OpticalReader(find_optical(pair.s2)).grid
    # As a product of the neighbouring zone would have it, and of a crop
    image, moved = read(dates[1].clear), []
    with rasterio.open(dates[1].clear) as file:
        target, width, height = calculate_default_transform(
            file.crs, 'EPSG:32633', file.width, file.height, *file.bounds, resolution=10
        )
        profile = file.profile | {
            'crs': 'EPSG:32633',
            'transform': target,
            'width': width,
            'height': height,
        }
        for array, resampling in (
            (image.astype(np.float32), Resampling.cubic),
            (np.zeros((1, *image.shape[1:]), np.uint8), Resampling.nearest),
        ):
            out = np.zeros((len(array), height, width), array.dtype)
            reproject(
                array,
                out,
                src_transform=file.transform,
                src_crs=file.crs,
                dst_transform=target,
                dst_crs='EPSG:32633',
                resampling=resampling,
                init_dest_nodata=True,
            )
            moved.append(out)
    s2, clouds = tmp_path / 's2.tif', tmp_path / 'clouds.tif'
    with rasterio.open(s2, 'w', **profile) as file:
        file.write(moved[0].round().astype(np.uint16))
    with rasterio.open(
        clouds, 'w', **(profile | {'count': 1, 'dtype': 'uint8', 'nodata': None})
    ) as file:
        moved[1][0, :, :40] = 1
        file.write(moved[1])
    date = open_date(DatePaths(s2, s2, clouds), grid)
    numbers, clear = date.read(grid.all)
    assert 0.5 < clear.mean() < 0.9
    assert not numbers[:, ~clear].any()
    error = (numbers - (image.astype(float) - 1000))[:, clear]
    assert np.abs(error[7]).mean() < 60
    assert abs(error[7].mean()) < 5
    beyond = grid._replace(
        transform=grid.transform @ rasterio.Affine.translation(9e3, 0)
    )
    assert not open_date(DatePaths(s2, s2, clouds), beyond).read(beyond.all)[1].any()


def test_nearest_date_first_and_as_bright(pair, dates):
    optical = OpticalReader(find_optical(pair.s2))
    clouds = CloudReader(pair.clouds, optical.grid)
    far, near = (
        open_date(paths, optical.grid, days)
        for paths, days in zip(dates[1:], (40, -8), strict=True)
    )
    unknown = open_date(dates[0], optical.grid)
    found = ClearDates(optical, clouds, [unknown, far, near])
    assert found.dates == [near, far, unknown]
    two = ClearDates(optical, clouds, [far, near])
    numbers, there = two.read(optical.grid.all)
    clear = [read(paths.clouds)[0] == 0 for paths in dates]
    np.testing.assert_array_equal(there, clear[1] | clear[2])
    scene = read(pair.s2).astype(float) - 1000
    seen = read(pair.clouds)[0] == 0
    for paths, part in ((dates[2], clear[2]), (dates[1], clear[1] & ~clear[2])):
        plain = read(paths.s2).astype(float) - 1000
        apart, matched = (
            np.abs((image - scene)[:, part & seen].mean(1))
            for image in (plain, numbers)
        )
        assert matched.mean() < 0.4 * apart.mean()
    window = PixelBox(40, 30, 130, 99)
    cut = np.s_[:, 30:99, 40:130]
    np.testing.assert_allclose(two.read(window)[0], numbers[cut], rtol=1e-5)
    two.close()
    np.testing.assert_allclose(two.read(window)[0], numbers[cut], rtol=1e-5)


def test_nothing_clear_in_both_is_told(pair, dates, tmp_path):
    """Another date is taken as bright as it is then, which may leave seams."""
    covered = tmp_path / 'all.tif'
    shutil.copy(pair.clouds, covered)
    with rasterio.open(covered, 'r+') as file:
        file.write(np.ones_like(file.read()))
    optical = OpticalReader(find_optical(pair.s2))
    date = open_date(dates[1], optical.grid)
    found = ClearDates(optical, CloudReader(covered, optical.grid), [date])
    with pytest.warns(SceneWarning, match='hardly a clear pixel in common') as told:
        both = [found.read(optical.grid.all) for _ in range(2)]
    assert len(told) == 1
    numbers, there = both[0]
    plain = read(dates[1].s2).astype(float) - 1000
    np.testing.assert_array_equal(numbers[:, there], plain[:, there])


def test_another_place_is_refused(pair, dates, tmp_path):
    scene = ScenePair('a', pair.s2, pair.s1, pair.clouds)
    moved = [tmp_path / name for name in ('moved.tif', 'clouds.tif')]
    for path, target in zip((dates[1].s2, dates[1].clouds), moved, strict=True):
        shutil.copy(path, target)
        with rasterio.open(target, 'r+') as file:
            file.transform @= rasterio.Affine.translation(5000, 0)
    with pytest.raises(SceneError, match=r"moved\.tif'.*lies elsewhere"):
        SceneDataset([replace(scene, others=(OtherProduct(*moved),))])


def test_another_level_is_told(pair, dates, tmp_path):
    scene = ScenePair('a', pair.s2, pair.s1, pair.clouds)
    surface = tmp_path / 'S2A_MSIL2A_20200714T101031.tif'
    shutil.copy(dates[1].s2, surface)
    other = OtherProduct(surface, dates[1].clouds)
    with pytest.warns(SceneWarning, match='is of level 2A.*of 1C'):
        SceneDataset([replace(scene, others=(other,))])


def test_masks_are_needed(pair, dates):
    scene = ScenePair('a', pair.s2, pair.s1, pair.clouds)
    other = OtherProduct(dates[1].s2, dates[1].clouds)
    dataset = SceneDataset([replace(scene, others=(other,))])
    info = dataset.info(0)
    assert info.composite
    assert info.inputs['s2_2'] == str(dates[1].s2.resolve())
    assert info.inputs['cloud_mask_2'] == str(dates[1].clouds.resolve())
    box = PixelBox(0, 0, 20, 20)
    assert dataset.other_dates(0, box)[0].shape == (13, 20, 20)
    dataset.close()

    plain = SceneDataset([scene])
    assert not plain.info(0).composite
    with pytest.raises(SceneError, match='has no other dates'):
        plain.other_dates(0, box)
    found = OtherProduct(dates[1].s2, 'auto')
    by_detector = SceneDataset([replace(scene, others=(found,))]).info(0)
    assert by_detector.other_detectors[0].startswith('ukis-csmask')
    assert by_detector.detector == ''
    assert fingerprint(by_detector, '', {}) != fingerprint(
        replace(by_detector, other_detectors=('',)), '', {}
    )
    twice = OtherProduct(pair.s2, pair.clouds)
    with pytest.raises(SceneError, match='given twice'):
        SceneDataset([replace(scene, others=(twice,))])
    unmasked = OtherProduct(dates[1].s2)
    with pytest.raises(SceneError, match='of another date and has no cloud mask'):
        SceneDataset([replace(scene, others=(unmasked,))])
    bare = ScenePair('a', pair.s2, pair.s1, others=(other,))
    with pytest.raises(
        SceneError, match='nothing tells where other dates are to stand'
    ):
        SceneDataset([bare])
