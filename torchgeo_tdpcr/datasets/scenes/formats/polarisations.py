# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-1 in every form in which people have it: where VV and VH are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from pathlib import Path

from ....files import expanded
from ...grids import Grid
from ...sources import fault_of_place
from ..common import SceneError
from .contents import contents_of, is_zip
from .described.eopf import is_zarr, is_zipped_zarr, refuse_radar_zarr
from .described.from_dimap import radar_dim_of, read_radar_dimap, with_dim
from .described.from_stac import read_radar_item
from .described.stac import is_item
from .form import Form, reading_form
from .naming import date_near, outside_zip
from .parts import BandFile
from .radar.faults import CALIBRATE, check_uncorrected
from .radar.files import (
    Order,
    RadarBands,
    read_folder,
    read_list,
    read_raster,
)
from .radar.names import ScaleTold, level_of
from .rasters import Headers, RasterFiles


@dataclass(frozen=True, slots=True)
class RadarProduct:
    """A Sentinel-1 raster: where VV and VH are, and on which pixels.

    Args:
        path: The file or folder that was given; of two files that of VV.
        bands: The bands VV and VH.
        grid: Their pixels.
        date: Date in its metadata or near its name, None if there is none.
        form: Key of its form, see :data:`RADAR_FORMS`.
        order: What says which band is which: ``'named'``, ``'declared'``, or
            ``'assumed'`` where nothing but the usual order does.
        scale: The scale that names or metadata tell, and which; None if none does.
        headers: What the files say about themselves.
    """

    path: Path
    bands: tuple[BandFile, BandFile]
    grid: Grid
    date: datetime | None
    form: str = ''
    order: Order = 'named'
    scale: ScaleTold | None = None
    headers: Headers = field(default_factory=dict, compare=False, repr=False)


def is_delivered(path: Path) -> bool:
    """Tell whether a path is a product as ESA delivers it: a SAFE folder or its zip."""
    if path.suffix.lower() == '.safe':
        return True
    if is_zip(path):
        names = {file.name.lower() for file in contents_of(path).files}
        return 'manifest.safe' in names
    return path.name.lower() == 'manifest.safe' or (path / 'manifest.safe').exists()


def _refuse_delivered(
    path: Path, rasters: RasterFiles, polarisations: Sequence[str] | None
) -> RadarBands:
    del rasters, polarisations
    level = level_of(str(path)) or level_of(str(path.absolute().parent))
    what = f' ({level})' if level else ''
    raise SceneError(path, f'is a product as ESA delivers it{what}. {CALIBRATE}')


#: Every form of Sentinel-1; the first that fits is read. Further arguments of ``read``
#: are the files to open rasters with, and the declared order of bands.
RADAR_FORMS: tuple[Form[RadarBands], ...] = (
    Form(
        key='delivered',
        title='SAFE, as ESA delivers it: the folder, its zip',
        told='`manifest.safe`',
        bands='refused: it is neither calibrated nor terrain-corrected',
        scale='–',
        offset='–',
        missing='–',
        fits=is_delivered,
        read=_refuse_delivered,
    ),
    Form(
        key='zarr',
        title='Zarr, in a zip or not',
        told='`.zgroup`, `.zmetadata` or `zarr.json` in it',
        bands='refused: what ESA delivers so is not calibrated',
        scale='–',
        offset='–',
        missing='–',
        fits=lambda path: is_zarr(path) or is_zipped_zarr(path),
        read=refuse_radar_zarr,
    ),
    Form(
        key='dimap',
        title='BEAM-DIMAP of SNAP: the `.dim`, its `.data` folder, or the folder of both',
        told='the ending',
        bands='`BAND_NAME`: `Gamma0_VV`, `Sigma0_VH_db`; power before dB, calibrated '
        'quantities before others',
        scale='the name, `PHYSICAL_UNIT`, else the numbers; `SCALING_FACTOR` is applied',
        offset='`SCALING_OFFSET` is applied',
        missing='0 in both, `NO_DATA_VALUE`, numbers that are no backscatter',
        fits=lambda path: radar_dim_of(path) is not None,
        read=read_radar_dimap,
    ),
    Form(
        key='stac',
        title='A STAC item (`.json`) with its files beside it, or elsewhere if `trusted`',
        told='the ending, `stac_version` in it',
        bands='keys of the assets, `vv` and `vh`',
        scale='names of the files, else the numbers; `raster:bands` is applied',
        offset='`raster:bands` is applied',
        missing='0 in both, `nodata`, numbers that are no backscatter',
        fits=is_item,
        read=read_radar_item,
    ),
    Form(
        key='pair',
        title='A raster of VV and one of VH: their folder or zip, a product of HyP3',
        told='a folder or a zip',
        bands='VV and VH as words in the names: `…_VV.tif`, `…_VH_(Raw).tiff`, `vv.tif`; '
        'areas, elevations, angles and masks beside them are left out',
        scale='the name (`…_gauned_…` of HyP3 is amplitude, `…_VV_dB.tif` dB), else the '
        'numbers',
        offset='–',
        missing='0 in both, numbers that are no backscatter',
        fits=lambda path: path.is_dir() or is_zip(path),
        read=read_folder,
    ),
    Form(
        key='raster',
        title='A raster of VV and VH, or one of two rasters beside each other',
        told='any other file',
        bands='descriptions (`VV`, `Sigma0_VH_db`), else `--polarisations`, else VV, VH, '
        'where VH lies below VV',
        scale='descriptions (`Amplitude_VV`), the name, else the numbers',
        offset='–',
        missing='0 in both, numbers that are no backscatter',
        fits=lambda path: True,
        read=lambda path, rasters, polarisations: read_raster(
            str(path), rasters, polarisations
        ),
    ),
)


def describe_radar(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    rasters: RasterFiles | None = None,
    polarisations: Sequence[str] | None = None,
) -> RadarProduct:
    """Find VV and VH, and check that they hold backscatter and lie somewhere.

    No pixels are read.

    Args:
        path: See :func:`find_radar`.
        rasters: To open the files with (defaults to some that are closed again).
        polarisations: Order of the bands of a raster, such as ``('VH', 'VV')``; None to
            find out.

    Returns:
        The raster.

    Raises:
        SceneError: If there are no such bands, or they are of no use.
    """
    files = RasterFiles() if rasters is None else rasters
    form, found = _read(path, files, polarisations)
    check_radar(found.bands, files)
    if rasters is None:
        files.close()
    given = expanded(path if isinstance(path, (str, PathLike)) else found.bands[0].path)
    first = found.bands[0].path
    return RadarProduct(
        given,
        found.bands,
        files.grid(first),
        found.date
        or files.header(first).date
        or date_near(Path(outside_zip(first)))
        or date_near(given),
        form,
        found.order,
        found.scale,
        files.headers,
    )


def find_radar(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    rasters: RasterFiles | None = None,
    polarisations: Sequence[str] | None = None,
) -> tuple[BandFile, BandFile]:
    """Find VV and VH.

    Args:
        path: Something of one of the forms in :data:`RADAR_FORMS`, or two rasters of one
            band, whose names hold VV and VH as words (``a_vv.tif``, ``a_vh.tif``), or else
            in this order.
        rasters: To open the files with (defaults to some that are closed again).
        polarisations: See :func:`describe_radar`.

    Returns:
        The bands VV and VH.

    Raises:
        SceneError: If it is none of these.
    """
    files = RasterFiles() if rasters is None else rasters
    _, found = _read(path, files, polarisations)
    if rasters is None:
        files.close()
    return found.bands


def _read(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    rasters: RasterFiles,
    polarisations: Sequence[str] | None,
) -> tuple[str, RadarBands]:
    """Key of the form of a path, and its bands."""
    if not isinstance(path, (str, PathLike)):
        files = [expanded(file) for file in path]
        return 'pair', with_dim(read_list(files, rasters, polarisations), rasters)
    path = expanded(path)
    if fault := fault_of_place(path):
        raise SceneError(path, fault)
    form = reading_form(RADAR_FORMS, path)
    found = form.read(path, rasters, polarisations)
    return form.key, found if form.key == 'dimap' else with_dim(found, rasters)


def check_radar(bands: tuple[BandFile, BandFile], rasters: RasterFiles) -> None:
    """Refuse rasters that hold no backscatter, or lie nowhere or apart.

    Args:
        bands: VV and VH.
        rasters: To open them with.

    Raises:
        SceneError: If they do.
    """
    grids = []
    for band in bands:
        check_uncorrected(band.path, rasters)
        grids.append(rasters.grid(band.path))
    if grids[0] != grids[1]:
        raise SceneError(
            bands[1].path,
            f"does not have the pixels of '{bands[0].path}': place, CRS or size "
            'differ. Give VV and VH of one product.',
        )
