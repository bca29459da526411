# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Rasters on their way: raw numbers on disk first, a Cloud-Optimised GeoTIFF last.

Rows are written as plain numbers, which are with the operating system as soon as they
are written: a process that is killed loses none. A VRT file describes them to GDAL,
which makes the GeoTIFF with its overviews from them.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.shutil import copy

from ...datasets.gdal import SCENE_SETTINGS
from ...datasets.grids import Grid

_GDAL_TYPES = {'uint8': 'Byte', 'uint16': 'UInt16', 'float32': 'Float32'}

# Bands apart compress better and let a viewer read three of 13; GDAL can since 3.11.
_BANDS_APART = tuple(map(int, rasterio.__gdal_version__.split('.')[:2])) >= (3, 11)


@dataclass(frozen=True, slots=True)
class Band:
    """What a file says about one of its bands.

    Args:
        description: Name of the band.
        scale: From stored numbers to *unit*: ``stored * scale + offset``.
        offset: See *scale*.
        unit: Unit of measurement, '' for none.
        classes: Names of the classes, from 0 on.
        colors: Colour of each class, 0 to 255.
        channel: Which colour viewers show it as: ``'Red'``, ``'Green'``, ``'Blue'``.
    """

    description: str
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ''
    classes: tuple[str, ...] = ()
    colors: tuple[tuple[int, int, int], ...] = ()
    channel: str = ''


@dataclass(slots=True)
class RawRaster:
    """Numbers on disk, band after band, row after row.

    Args:
        path: The file.
        count: Number of bands.
        height: Number of rows.
        width: Number of columns.
        dtype: Type of the numbers.
    """

    path: Path
    count: int
    height: int
    width: int
    dtype: str
    _size: int = field(init=False)

    def __post_init__(self) -> None:
        self._size = np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        """Size of the file when it is complete."""
        return self.count * self.height * self.width * self._size

    def create(self) -> None:
        """Make the file, in its full length, with nothing in it."""
        with self.path.open('wb') as file:
            file.truncate(self.nbytes)

    def write(self, top: int, rows: NDArray[Any]) -> None:
        """Write some rows of all bands.

        Args:
            top: The first.
            rows: C×H×W, of the type of the file.
        """
        rows = np.ascontiguousarray(rows, dtype=self.dtype)
        with self.path.open('r+b') as file:
            for band, plane in enumerate(rows):
                file.seek((band * self.height + top) * self.width * self._size)
                file.write(plane.data)

    def read(self, top: int, count: int) -> NDArray[Any]:
        """Read some rows of all bands.

        Args:
            top: The first.
            count: How many.

        Returns:
            C×H×W.
        """
        rows = np.empty((self.count, count, self.width), self.dtype)
        with self.path.open('rb') as file:
            for band in range(self.count):
                file.seek((band * self.height + top) * self.width * self._size)
                file.readinto(rows[band].data)
        return rows


def write_cog(
    raw: RawRaster,
    path: Path,
    grid: Grid,
    bands: Sequence[Band],
    nodata: float,
    resampling: str,
    compress: str,
) -> None:
    """Make a Cloud-Optimised GeoTIFF.

    Names of classes go into a file beside it that ends in ``.aux.xml``, where GDAL and
    QGIS look for them: TIFF has no place for them.

    Args:
        raw: The numbers.
        path: The GeoTIFF.
        grid: Where its pixels lie.
        bands: What to say about each band.
        nodata: Number of missing pixels.
        resampling: How GDAL makes overviews, such as ``'AVERAGE'``.
        compress: Compression of GDAL's COG driver, such as ``'DEFLATE'``.

    Raises:
        OSError: If the disk has no room for the last of it.
    """
    vrt = raw.path.with_suffix('.vrt')
    vrt.write_bytes(_describe(raw, grid, bands, nodata))
    options = {
        'compress': compress,
        # Overviews must not average over missing pixels; GDAL skips them by nodata
        'overview_resampling': resampling,
        'overview_compress': compress,
        'predictor': 'YES' if compress in ('DEFLATE', 'LZW', 'ZSTD') else 'NO',
        'num_threads': 'ALL_CPUS',
        'bigtiff': 'IF_SAFER',
        'blocksize': '512',
    }
    if compress in ('DEFLATE', 'ZSTD'):
        # Higher levels take twice the time and save less than 2 %
        options['level'] = '1'
    if _BANDS_APART:
        options['interleave'] = 'BAND'
    # Overviews are made in a temporary file, which need not be small
    with rasterio.Env(**SCENE_SETTINGS, ZSTD_LEVEL_OVERVIEW=1):
        copy(vrt, path, driver='COG', **options)
        check_whole(path)
    vrt.unlink()


def check_whole(path: Path) -> None:
    """Raise for a GeoTIFF whose last bytes are lacking.

    GDAL does not tell of them: it writes them when it closes a file, and takes what the
    disk has no room for as written.

    Args:
        path: The GeoTIFF.

    Raises:
        OSError: If the file ends before one of its blocks does.
    """
    size = path.stat().st_size
    with rasterio.open(path, driver='GTiff') as raster:
        for band, (height, width) in zip(
            raster.indexes, raster.block_shapes, strict=True
        ):
            for row in range(-(-raster.height // height)):
                for column in range(-(-raster.width // width)):
                    start, count = (
                        int(
                            raster.get_tag_item(f'{key}_{column}_{row}', 'TIFF', band)
                            or 0
                        )
                        for key in ('BLOCK_OFFSET', 'BLOCK_SIZE')
                    )
                    if start + count > size:
                        raise OSError(
                            f"'{path}' could not be written to its end: is the disk "
                            'full? Free some space, and start again.'
                        )


def _describe(
    raw: RawRaster, grid: Grid, bands: Sequence[Band], nodata: float
) -> bytes:
    """The VRT file of a raw raster."""
    size = np.dtype(raw.dtype).itemsize
    root = ElementTree.Element(
        'VRTDataset', rasterXSize=str(raw.width), rasterYSize=str(raw.height)
    )

    def add(
        parent: ElementTree.Element, tag: str, text: object, **attributes: str
    ) -> None:
        ElementTree.SubElement(parent, tag, attributes).text = str(text)

    add(root, 'SRS', grid.crs.to_wkt())
    transform = ', '.join(f'{value!r}' for value in grid.transform.to_gdal())
    add(root, 'GeoTransform', transform)
    for number, band in enumerate(bands, 1):
        element = ElementTree.SubElement(
            root,
            'VRTRasterBand',
            dataType=_GDAL_TYPES[raw.dtype],
            band=str(number),
            subClass='VRTRawRasterBand',
        )
        add(element, 'Description', band.description)
        add(element, 'NoDataValue', nodata)
        if (band.scale, band.offset) != (1.0, 0.0):
            add(element, 'Offset', repr(band.offset))
            add(element, 'Scale', repr(band.scale))
        if band.unit:
            add(element, 'UnitType', band.unit)
        if band.channel:
            add(element, 'ColorInterp', band.channel)
        if band.colors:
            add(element, 'ColorInterp', 'Palette')
            table = ElementTree.SubElement(element, 'ColorTable')
            for red, green, blue in band.colors:
                ElementTree.SubElement(
                    table, 'Entry', c1=str(red), c2=str(green), c3=str(blue), c4='255'
                )
        if band.classes:
            names = ElementTree.SubElement(element, 'CategoryNames')
            for name in band.classes:
                add(names, 'Category', name)
        add(element, 'SourceFilename', raw.path.name, relativetoVRT='1')
        add(element, 'ImageOffset', (number - 1) * raw.height * raw.width * size)
        add(element, 'PixelOffset', size)
        add(element, 'LineOffset', raw.width * size)
        add(element, 'ByteOrder', 'LSB' if sys.byteorder == 'little' else 'MSB')
    text: bytes = ElementTree.tostring(root, encoding='utf-8', xml_declaration=True)
    return text
