# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of what rasters may be of, and of folders that hold several kinds."""

from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import from_origin

from torchgeo_tdpcr.datasets.scenes.formats.listing import optical_in, radar_in
from torchgeo_tdpcr.datasets.scenes.formats.raster_kind import kind_of_raster
from torchgeo_tdpcr.datasets.synthetic.safe_writer import write_tiff
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

S2 = tuple(SENTINEL2_BANDS)


def write(
    path: Path, bands: int, labels: tuple[str, ...] = (), **options: bool
) -> Path:
    array = np.ones((bands, 8, 8), np.uint16)
    grid, crs = from_origin(600_000, 5_000_000, 10, 10), CRS.from_epsg(32632)
    write_tiff(path, array, grid, crs, 0, labels, **options)
    return path


@pytest.mark.parametrize(
    ('name', 'bands', 'labels', 'kind'),
    [
        ('a.tif', 13, S2, 's2'),
        ('a.tif', 13, (), None),
        ('a.tif', 2, (), 's1'),
        ('a.tif', 3, ('VV', 'VH', 'angle'), 's1'),
        ('a.tif', 3, (), None),
        ('a_vv.tif', 1, (), 's1'),
        ('a_B02.tif', 1, (), 's2'),
        ('a.tif', 1, (), 'one_band'),
        ('a_clouds.tif', 1, (), 'cloud_mask'),
        ('a_fmask.tif', 1, (), 'cloud_mask'),
        # An image is not a mask because of a word in its name
        ('a_cloudmask.tif', 13, S2, 's2'),
    ],
)
def test_kinds(
    tmp_path: Path, name: str, bands: int, labels: tuple[str, ...], kind: str | None
) -> None:
    assert kind_of_raster(write(tmp_path / name, bands, labels)) == kind


def test_truth_is_told_by_a_tag(tmp_path: Path) -> None:
    assert kind_of_raster(write(tmp_path / 'a.tif', 13, S2, truth=True)) == 'truth'


def test_unreadable(tmp_path: Path) -> None:
    for name, kind in (('a.tif', None), ('a_vh.tif', 's1'), ('a.gml', 'cloud_mask')):
        (tmp_path / name).write_text('nothing')
        assert kind_of_raster(tmp_path / name) == kind


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    return write_scene_pair(tmp_path_factory.mktemp('kinds'), size=96)


def test_each_kind_is_found_in_a_folder_of_all(scene: ScenePaths) -> None:
    assert optical_in(scene.s2.parent) == [scene.s2]
    assert radar_in(scene.s2.parent) == [scene.s1]


def test_what_nothing_tells_is_listed(tmp_path: Path) -> None:
    """Errors say what is missing; nothing is left out for want of a description."""
    labelled = write(tmp_path / 'a.tif', 13, S2)
    unlabelled = write(tmp_path / 'b.tif', 13)
    assert optical_in(tmp_path) == [labelled, unlabelled]
    assert radar_in(tmp_path) == [unlabelled]


def test_where_none_is_of_the_kind_all_are_listed(tmp_path: Path) -> None:
    mask = write(tmp_path / 'a.tif', 1)
    assert optical_in(tmp_path) == radar_in(tmp_path) == [mask]
