# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Raw rasters, Cloud-Optimised GeoTIFFs, and what GDAL reads of them."""

import ctypes
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rio_cogeo import cog_validate

from torchgeo_tdpcr.callbacks.geotiff.raster import (
    Band,
    RawRaster,
    check_whole,
    write_cog,
)
from torchgeo_tdpcr.datasets.grids import Grid

HEIGHT, WIDTH = 700, 1100
GRID = Grid(CRS.from_epsg(32632), from_origin(660000, 5360040, 10, 10), WIDTH, HEIGHT)


def category_names(path: Path) -> list[str] | None:
    """Names of the classes as GDAL's C library reads them, which rasterio does not."""
    folder = Path(rasterio.__file__).parents[1] / 'rasterio.libs'
    libraries = sorted(folder.glob('libgdal*'))
    if not libraries:
        pytest.skip('needs the GDAL library of the rasterio wheel')
    gdal = ctypes.CDLL(str(libraries[0]))
    pointer = ctypes.c_void_p
    gdal.GDALOpen.restype = gdal.GDALGetRasterBand.restype = pointer
    gdal.GDALGetMetadata.restype = pointer
    gdal.GDALGetRasterCategoryNames.restype = ctypes.POINTER(ctypes.c_char_p)
    # Else it does not look beside the file, where the torchgeo command has run before
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN='FALSE'):
        source = pointer(gdal.GDALOpen(os.fsencode(path), 0))
        # GDAL reads the file beside only when asked for metadata, as gdalinfo and QGIS do
        gdal.GDALGetMetadata(source, None)
        band = pointer(gdal.GDALGetRasterBand(source, 1))
        names = gdal.GDALGetRasterCategoryNames(band)
        result: list[str] = []
        while names and names[len(result)]:
            result.append(names[len(result)].decode())
        gdal.GDALClose(source)
    return result or None


def test_last_bytes_that_are_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = RawRaster(tmp_path / 'x.raw', 2, HEIGHT, WIDTH, 'uint16')
    raw.create()
    raw.write(0, np.random.default_rng(0).integers(1, 99, (2, HEIGHT, WIDTH), 'uint16'))
    path = tmp_path / 'x.tif'
    arguments = (raw, path, GRID, [Band('a'), Band('b')], 0, 'NEAREST', 'DEFLATE')
    write_cog(*arguments)
    whole = path.read_bytes()

    def lose(*_: object, **__: object) -> None:
        # As GDAL leaves it on a disk that is full by then
        path.write_bytes(whole[:-1000])

    monkeypatch.setattr('torchgeo_tdpcr.callbacks.geotiff.raster.copy', lose)
    with pytest.raises(OSError, match=r"x\.tif' could not be written to its end"):
        write_cog(*arguments)
    path.write_bytes(whole)
    check_whole(path)


def test_raw_rows_are_on_disk_at_once(tmp_path: Path) -> None:
    raw = RawRaster(tmp_path / 'x.raw', 3, 5, 7, 'uint16')
    raw.create()
    rows = np.arange(3 * 2 * 7, dtype=np.uint16).reshape(3, 2, 7)
    raw.write(2, rows)
    assert raw.path.stat().st_size == raw.nbytes == 3 * 5 * 7 * 2
    np.testing.assert_array_equal(raw.read(2, 2), rows)
    whole = np.fromfile(raw.path, np.uint16).reshape(3, 5, 7)
    np.testing.assert_array_equal(whole[:, 2:4], rows)
    assert not whole[:, :2].any()


@pytest.mark.parametrize('compress', ['DEFLATE', 'ZSTD', 'NONE'])
def test_image(tmp_path: Path, compress: str) -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(5000, 20000, (3, HEIGHT, WIDTH), dtype=np.uint16)
    array[:, :50] = 0
    raw = RawRaster(tmp_path / 'image.raw', 3, HEIGHT, WIDTH, 'uint16')
    raw.create()
    raw.write(0, array)
    bands = [Band(name, scale=1e-4, offset=-0.1) for name in ('B2', 'B3', 'B4')]
    path = tmp_path / 'image.tif'
    write_cog(raw, path, GRID, bands, 0, 'AVERAGE', compress)
    valid, errors, warnings = cog_validate(path)
    assert valid, (errors, warnings)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(), array)
        assert file.crs == GRID.crs
        assert file.transform == GRID.transform
        assert file.descriptions == ('B2', 'B3', 'B4')
        assert file.nodata == 0
        assert file.scales == (1e-4,) * 3
        assert file.offsets == (-0.1,) * 3
        assert file.overviews(1) == [2, 4]
        # Overviews average what is there, not what is missing
        small = file.read(1, out_shape=(HEIGHT // 2, WIDTH // 2))
        assert small[25:].min() >= 5000
    assert not list(tmp_path.glob('*.vrt'))


def test_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 3, (1, HEIGHT, WIDTH), dtype=np.uint8)
    array[0, 0, 0] = 255
    raw = RawRaster(tmp_path / 'classes.raw', 1, HEIGHT, WIDTH, 'uint8')
    raw.create()
    raw.write(0, array)
    names, colors = (
        ('water', 'trees & shrubs', 'built'),
        ((0, 0, 255), (0, 99, 0), (9, 9, 9)),
    )
    band = Band('class', classes=names, colors=colors)
    path = tmp_path / 'classes.tif'
    write_cog(raw, path, GRID, [band], 255, 'MODE', 'DEFLATE')
    assert cog_validate(path)[0]
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(), array)
        assert file.nodata == 255
        table = file.colormap(1)
        assert [table[value][:3] for value in range(3)] == list(colors)
        overview = file.read(1, out_shape=(HEIGHT // 2, WIDTH // 2))
        assert set(np.unique(overview)) <= {0, 1, 2, 255}
    assert category_names(path) == list(names)


def test_float_with_nan(tmp_path: Path) -> None:
    array = np.ones((1, HEIGHT, WIDTH), np.float32)
    array[:, :100] = np.nan
    raw = RawRaster(tmp_path / 'x.raw', 1, HEIGHT, WIDTH, 'float32')
    raw.create()
    raw.write(0, array)
    path = tmp_path / 'x.tif'
    write_cog(
        raw, path, GRID, [Band('x', unit='m')], float('nan'), 'AVERAGE', 'DEFLATE'
    )
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(), array)
        assert np.isnan(file.nodata)
        assert file.units == ('m',)
