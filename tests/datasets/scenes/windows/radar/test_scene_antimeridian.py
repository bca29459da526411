# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Scenes across 180°, with radar in longitudes that go on, or jump, there."""

import numpy as np
import pytest
import rasterio
from optical_files import numbers
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import from_origin
from scene_files import write

from torchgeo_tdpcr.datasets.grids import Grid, PixelBox
from torchgeo_tdpcr.datasets.scenes import ScenePair, pair_scenes
from torchgeo_tdpcr.datasets.scenes.dataset import SceneDataset
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader

STEP = 1e-4
SIZE = 60
#: First longitude and columns: beyond 180°, beyond −180°, a whole turn, east of 180° only.
EXTENTS = {
    'to 181': (179.97, 600),
    'from -181': (-180.03, 600),
    'whole turn': (-180.0, 3_600_000),
    'east only': (-180.0, 300),
    'west only': (179.97, 300),
}


def backscatter(longitudes, latitudes):
    """VV and VH in dB that differ from place to place, and go on across 180°."""
    east = np.mod(longitudes, 360) - 180
    vv = -12 + 3 * np.sin(east * 900) * np.cos(latitudes * 700)
    return np.stack([vv, vv - 6]).astype(np.float32)


def grid_at(epsg, shift=0):
    """A scene of 600 m across 180°, shifted to the east by metres."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(180, -17)
    left, top = round(x / 10) * 10 - 300 + shift, round(y / 10) * 10
    return Grid(CRS.from_epsg(epsg), from_origin(left, top, 10, 10), SIZE, SIZE)


def places(grid):
    """Longitudes and latitudes of the centres of pixels."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    x, y = grid.x + 10 * columns, grid.y - 10 * rows
    return Transformer.from_crs(grid.epsg, 4326, always_xy=True).transform(x, y)


def radar(path, extent, grid):
    left, width = EXTENTS[extent]
    _, latitudes = places(grid)
    top = round(latitudes.max() + 0.003, 4)
    height = int((top - latitudes.min() + 0.003) / STEP)
    profile = {'width': width, 'height': height, 'count': 2, 'dtype': 'float32'}
    profile |= {'crs': 'EPSG:4326', 'transform': from_origin(left, top, STEP, STEP)}
    profile |= {'tiled': True, 'sparse_ok': True, 'nodata': np.nan}
    # Of a whole turn only what lies at both its ends is written
    parts = [(0, width)] if width < 1000 else [(0, 512), (width - 512, width)]
    with rasterio.open(path, 'w', driver='GTiff', bigtiff='yes', **profile) as file:
        for first, last in parts:
            longitudes = left + (np.arange(first, last) + 0.5) * STEP
            rows = top - (np.arange(height) + 0.5) * STEP
            file.write(
                backscatter(*np.meshgrid(longitudes, rows)),
                window=((0, height), (first, last)),
            )
    return path


@pytest.mark.parametrize('extent', EXTENTS)
@pytest.mark.parametrize('epsg', [32760, 32701])
@pytest.mark.parametrize('shift', [-2000, -290, 0, 290, 2000])
def test_values_and_coverage(tmp_path, extent, epsg, shift):
    grid = grid_at(epsg, shift)
    reader = RadarReader(radar(tmp_path / 'a.tif', extent, grid), grid)
    longitudes, latitudes = places(grid)
    # A pixel's width from where a raster ends, half of the neighbours are missing
    inside, sure = np.full((2, SIZE, SIZE), True)
    if extent.endswith('only'):
        inside = (longitudes < 0) == (extent == 'east only')
        sure = np.abs(longitudes) < 180 - STEP
    image = reader.read(grid.all)
    there = np.isfinite(image).all(axis=0)
    np.testing.assert_array_equal(there[sure], inside[sure])
    expected = backscatter(longitudes, latitudes)
    # Bilinear interpolation of these values is that exact
    error = np.abs(image - expected)[:, inside & sure]
    assert error.max(initial=0) < 0.006
    assert reader.coverage() == pytest.approx(inside.mean(), abs=0.01)
    assert reader.meets == inside.any()
    window = PixelBox(20, 10, 47, 33)
    np.testing.assert_allclose(
        reader.read(window), image[:, 10:33, 20:47], atol=1e-3, equal_nan=True
    )


@pytest.mark.parametrize('extent', ['to 181', 'from -181', 'whole turn'])
@pytest.mark.parametrize('left', [-180.003, 179.997])
def test_a_scene_in_longitudes(tmp_path, extent, left):
    grid = Grid(CRS.from_epsg(4326), from_origin(left, -17, STEP, STEP), SIZE, SIZE)
    like = grid_at(32760)
    reader = RadarReader(radar(tmp_path / 'a.tif', extent, like), grid)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    expected = backscatter(left + STEP * columns, -17 - STEP * rows)
    np.testing.assert_allclose(reader.read(grid.all), expected, atol=0.01)
    assert reader.coverage() == 1


@pytest.mark.parametrize('extent', ['to 181', 'from -181', 'whole turn'])
@pytest.mark.parametrize('epsg', [32760, 32701])
def test_pairing_and_index(tmp_path, extent, epsg):
    grid = grid_at(epsg)
    image = numbers(size=SIZE)
    s2 = write(tmp_path / 's2_20200604.tif', image, grid.transform, grid.crs)
    (tmp_path / 's1').mkdir()
    s1 = radar(tmp_path / 's1' / 'whole_20200601.tif', extent, grid)
    radar(tmp_path / 's1' / 'half_20200604.tif', 'east only', grid)
    (pair,) = pair_scenes(s2, tmp_path / 's1')
    assert pair.s1 == s1
    # Of the index, which is in the CRS of its first scene
    place = from_origin(179.99, -16.999, STEP, STEP)
    first = write(tmp_path / 'first.tif', numbers(size=80), place, 'EPSG:4326')
    dataset = SceneDataset(
        [ScenePair('a', first, s1), pair], min_sar_cover=0.0, any_res=True
    )
    assert not dataset.rejected
    left, _, right, _ = dataset.index.geometry.iloc[1].bounds
    longitudes, _ = places(grid)
    assert left == pytest.approx(np.mod(longitudes, 360).min(), abs=1e-3)
    assert right == pytest.approx(np.mod(longitudes, 360).max(), abs=1e-3)
