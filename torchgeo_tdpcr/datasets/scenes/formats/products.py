# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-2 products in every form in which people have them: where which band is."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import cast

from ....files import expanded
from ...sources import fault_of_place
from ..common import SceneError
from .contents import is_zip
from .described.dimap import is_dimap
from .described.eopf import is_zarr, is_zipped_zarr, read_eopf, refuse_zipped_zarr
from .described.from_dimap import read_optical_dimap
from .described.from_stac import read_optical_item
from .described.stac import is_item
from .form import Form, reading_form
from .naming import date_near, product_name
from .optical.band_files import finest, from_list, ordered, read_band_files, read_raster
from .optical.safe import is_metadata, is_safe, read_safe
from .parts import BandFile, CloudMask, MaskKind, OpticalProduct
from .rasters import RasterFiles


def _read_safe(path: Path, all_bands: Sequence[str] | None = None) -> OpticalProduct:
    del all_bands  # its names tell
    if is_metadata(path):
        path = path.absolute().parent
    contents = read_safe(path)
    rasters = RasterFiles()
    bands = {
        band: BandFile(finest(band, files, rasters))
        for band, files in contents.bands.items()
    }
    rasters.close()
    clouds = contents.clouds
    return OpticalProduct(
        path,
        product_name(path),
        ordered(bands),
        tuple(contents.evidence),
        contents.date or date_near(path),
        # As the specification of the format has it; its files do not say
        0.0,
        CloudMask(clouds[0], cast(MaskKind, clouds[1])) if clouds else None,
        form='safe',
        headers=rasters.headers,
    )


def _read_band_files(
    path: Path, all_bands: Sequence[str] | None = None
) -> OpticalProduct:
    del all_bands  # their names tell
    return read_band_files(path)


#: Every form of Sentinel-2; the first that fits is read.
OPTICAL_FORMS: tuple[Form[OpticalProduct], ...] = (
    Form(
        key='safe',
        title='SAFE: the folder, its zip, or its `MTD_MSIL1C.xml` or `MTD_MSIL2A.xml`',
        told='the metadata file in it, of any baseline',
        bands='names of the files',
        scale='`QUANTIFICATION_VALUE`, which must be 10,000',
        offset='`RADIO_ADD_OFFSET` or `BOA_ADD_OFFSET`',
        missing='0 in all bands',
        fits=lambda path: is_metadata(path) or is_safe(path),
        read=_read_safe,
    ),
    Form(
        key='eopf-zip',
        title='EOPF Zarr in a zip',
        told='`.zarr` in the name, or a Zarr store in it',
        bands='refused: unpack it',
        scale='–',
        offset='–',
        missing='–',
        fits=is_zipped_zarr,
        read=refuse_zipped_zarr,
    ),
    Form(
        key='eopf',
        title='EOPF Zarr: the folder `….zarr`, of Zarr 2 or 3',
        told='`.zgroup`, `.zmetadata` or `zarr.json` in it',
        bands='names in `measurements/reflectance`, of several resolutions the finest',
        scale='`scale_factor`, else the numbers',
        offset='`add_offset`, compared with the baseline and the numbers',
        missing='0 in all bands, `_FillValue`',
        fits=is_zarr,
        read=read_eopf,
    ),
    Form(
        key='dimap',
        title='BEAM-DIMAP of SNAP: the `.dim`, or the `.data` folder beside it',
        told='the ending',
        bands='`BAND_NAME`; of several resolutions the finest',
        scale='`SCALING_FACTOR`, else the numbers',
        offset='`SCALING_OFFSET`, compared with the name and the numbers',
        missing='0 in all bands, `NO_DATA_VALUE`',
        fits=is_dimap,
        read=read_optical_dimap,
    ),
    Form(
        key='stac',
        title='A STAC item (`.json`) with its files beside it, or elsewhere if `trusted`',
        told='the ending, `stac_version` in it',
        bands='names in `eo:bands` or `bands`, else keys of the assets (`blue`, `B02`), '
        'else common names; of several resolutions the finest',
        scale='`raster:bands` or `raster:scale`, else the numbers',
        offset='`…:boa_offset_applied`, `raster:bands` or `raster:offset`, else '
        '`s2:processing_baseline`; compared with each other and the numbers',
        missing='0 in all bands, `nodata`',
        fits=is_item,
        read=read_optical_item,
    ),
    Form(
        key='bands',
        title='A raster a band: their folder or zip, `IMG_DATA` of a SAFE product, a list',
        told='a folder or a zip',
        bands='a code or a common name in the name of each: `…_B02_10m.jp2`, '
        '`…_B8A_(Raw).tiff`, `blue.tif`; of several resolutions the finest',
        scale='tags, else the numbers',
        offset='tags, the name, the numbers',
        missing='0 in all bands',
        fits=lambda path: path.is_dir() or is_zip(path),
        read=_read_band_files,
    ),
    Form(
        key='raster',
        title='A raster with all bands',
        told='any other file',
        bands='`--bands`, else descriptions, else the usual order: 13 bands, or 12 '
        'without B10, checked by the numbers',
        scale='tags, else the numbers',
        offset='tags, the name, the numbers',
        missing='0 in all bands',
        fits=lambda path: True,
        read=read_raster,
    ),
)


def find_optical(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    all_bands: Sequence[str] | None = None,
) -> OpticalProduct:
    """Find the bands of a Sentinel-2 product.

    No pixels are read.

    Args:
        path: A product of one of the forms in :data:`OPTICAL_FORMS`, or a list of rasters
            of one band each.
        all_bands: Order of the bands of a raster, with ``'other'`` for what is none of
            Sentinel-2; None if their descriptions, or the usual order, are to tell.

    Returns:
        The product.

    Raises:
        SceneError: If it is of no form, or its files do not go together.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import rasterio
        >>> profile = {'driver': 'GTiff', 'count': 1, 'dtype': 'uint16'}
        >>> profile |= {'width': 8, 'height': 8, 'crs': 'EPSG:32632'}
        >>> profile |= {'transform': rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)}
        >>> with TemporaryDirectory() as folder:
        ...     for band in ('B8A', 'B04'):
        ...         path = f'{folder}/S2_20200604_{band}.tif'
        ...         rasterio.open(path, 'w', **profile).close()
        ...     product = find_optical(folder)
        >>> list(product.bands), product.date.year, product.offset
        (['B4', 'B8A'], 2020, None)
    """
    if not isinstance(path, (str, PathLike)):
        files = [expanded(file) for file in path]
        if not files:
            raise ValueError('`path=[]`: give at least one file.')
        return from_list(files)
    path = expanded(path)
    if fault := fault_of_place(path):
        raise SceneError(path, fault)
    return reading_form(OPTICAL_FORMS, path).read(path, all_bands)
