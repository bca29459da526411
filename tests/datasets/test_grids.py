# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Grids and boxes of pixels agree with rasterio's transforms and windows."""

import pickle

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from torchgeo_tdpcr.datasets.grids import GRID_COLUMNS, Grid, PixelBox

NUMBERS = (32755, 404280.0, 5290490.0, 10.0, 20.0, 6, 4)


def test_grid_gives_back_the_numbers_of_its_row() -> None:
    row = dict(zip(GRID_COLUMNS, NUMBERS, strict=True))
    grid = Grid.from_row(row)
    assert grid == Grid.from_epsg(*NUMBERS)
    assert tuple(getattr(grid, name) for name in GRID_COLUMNS) == NUMBERS
    assert grid == Grid(
        CRS.from_epsg(32755), from_origin(404280, 5290490, 10, 20), 6, 4
    )
    assert grid.bounds == (404280, 5290410, 404340, 5290490)
    assert pickle.loads(pickle.dumps(grid)) == grid


def test_crs_without_a_code() -> None:
    odd = CRS.from_proj4('+proj=tmerc +lat_0=1.5 +lon_0=147.2 +ellps=WGS84 +units=m')
    assert Grid(odd, from_origin(0, 0, 1, 1), 2, 2).epsg is None


def test_ranges_are_what_rasterio_reads() -> None:
    array = np.arange(24, dtype='uint8').reshape(1, 4, 6)
    with MemoryFile() as memory:
        with memory.open(
            driver='GTiff', count=1, height=4, width=6, dtype='uint8',
            crs='EPSG:32755', transform=from_origin(0, 40, 10, 10),
        ) as file:  # fmt: skip
            file.write(array)
        with memory.open() as file:
            box = PixelBox(1, 2, 5, 4)
            part = file.read(window=box.ranges)
    np.testing.assert_array_equal(part, array[:, 2:4, 1:5])
    assert part.shape[1:] == (box.height, box.width)


@pytest.mark.parametrize(
    'box', [(0, 0, 7, 4), (0, 0, 6, 5), (-1, 0, 6, 4), (0, -1, 6, 4), (2, 1, 2, 3)]
)
def test_boxes_beyond_the_grid_are_refused(box: tuple[int, int, int, int]) -> None:
    grid = Grid.from_epsg(*NUMBERS)
    grid.check(grid.all)
    with pytest.raises(ValueError, match='reaches beyond the 6×4 pixels'):
        grid.check(PixelBox(*box))
