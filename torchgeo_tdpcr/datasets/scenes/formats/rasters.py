# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Opening the rasters of scenes: settings of GDAL, errors, what files say, open files."""

import os
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from multiprocessing import parent_process
from os import PathLike
from typing import Any

import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.warp import transform

from ....kinds import TRUTH
from ...gdal import SCENE_SETTINGS
from ...grids import Grid, epsg_of
from ...plausibility import grid_fault
from ...sources import (
    RASTER_ERRORS,
    DistrustError,
    cause_of,
    is_trusting,
    open_raster,
)
from ..common import SceneError


@contextmanager
def reading(path: str | PathLike[str]) -> Iterator[None]:
    """Set GDAL up for scenes, and turn its errors into one kind.

    Args:
        path: The file that is read.

    Yields:
        None: Control, with the settings in force.

    Raises:
        SceneError: If the file cannot be read.
    """
    settings = dict(SCENE_SETTINGS)
    if parent_process() is not None:
        # GDAL's threads do not survive a fork: a worker would wait for them forever.
        # Workers are many anyway.
        settings['GDAL_NUM_THREADS'] = 1
    with rasterio.Env(**settings):
        try:
            yield
        except DistrustError as error:
            raise SceneError(path, str(error)) from error
        except RASTER_ERRORS as error:
            raise SceneError(path, f'cannot be read ({cause_of(error)}).') from error


@dataclass(frozen=True, slots=True)
class RasterHeader:
    """What a raster says about itself, so that it need not be opened to ask again.

    Args:
        grid: Its pixels; the CRS is None where it has none.
        dtypes: Type of each band.
        nodata: Number of missing pixels of each band, None where none is declared.
        labels: Description of each band, '' where it has none.
        scales: Scale and offset of each band.
        gcps: Whether ground control points tell where it lies.
        masked: Whether a mask tells which pixels are missing.
        alpha: Band that is marked as one, None where there is none. Near infrared often
            is, so it tells missing pixels only if it is not read as a band.
        date: When it was acquired, as its metadata tell; None if they do not.
        picture: Whether its first bands are marked as red, green and blue.
        truth: Whether it is the truth of a synthetic scene.
    """

    grid: Grid
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    labels: tuple[str, ...]
    scales: tuple[tuple[float, float], ...]
    gcps: bool
    masked: bool = False
    alpha: int | None = None
    date: datetime | None = None
    picture: bool = False
    truth: bool = False

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.dtypes)

    def mask(self, used: Collection[int]) -> int | None:
        """Tell what says which pixels are missing, besides numbers.

        Args:
            used: Bands that are read, counted from 1.

        Returns:
            The band that says it, 0 for a mask, None if there is neither.
        """
        if self.masked:
            return 0
        return None if self.alpha in used else self.alpha


#: Headers by the path of their raster, of those that have been opened.
type Headers = dict[str, RasterHeader]


def _header_of(raster: DatasetReader) -> RasterHeader:
    return RasterHeader(
        Grid(raster.crs, raster.transform, raster.width, raster.height),
        tuple(raster.dtypes),
        tuple(raster.nodatavals),
        tuple(label or '' for label in raster.descriptions),
        tuple(zip(raster.scales, raster.offsets, strict=True)),
        bool(raster.gcps[0]),
        # Some flag a band as mask because it is marked as alpha
        any(
            MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
            for flags in raster.mask_flag_enums
        ),
        raster.colorinterp.index(ColorInterp.alpha) + 1
        if ColorInterp.alpha in raster.colorinterp
        else None,
        _date_of(raster),
        tuple(raster.colorinterp[:3])
        == (ColorInterp.red, ColorInterp.green, ColorInterp.blue),
        TRUTH in raster.tags(),
    )


def _date_of(raster: DatasetReader) -> datetime | None:
    """The time that GDAL's domain of imagery metadata has."""
    text = raster.tags(ns='IMAGERY').get('ACQUISITIONDATETIME', '')
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def read_mask(raster: DatasetReader, mask: int, **options: Any) -> NDArray[Any]:
    """Read what tells which pixels are missing, see :meth:`RasterHeader.mask`.

    Args:
        raster: The raster.
        mask: Its band, 0 for a mask.
        **options: Of rasterio's ``read``.

    Returns:
        H×W, 0 where pixels are missing.
    """
    array: NDArray[Any] = (
        raster.read(mask, **options) if mask else raster.read_masks(1, **options)
    )
    return array


def crs_name(crs: CRS) -> str:
    """Name a CRS shortly: its EPSG code, or else the name in its definition."""
    code = epsg_of(crs)
    return f'EPSG:{code}' if code else crs.to_wkt().split('"')[1]


@lru_cache(maxsize=256)
def _lies_on_earth(grid: Grid) -> bool:
    """Whether the corners of a raster have longitudes and latitudes."""
    left, bottom, right, top = grid.bounds
    try:
        _, latitudes = transform(grid.crs, 'EPSG:4326', [left, right], [bottom, top])
    except CPLE_BaseError:
        return False
    return all(abs(latitude) <= 90.01 for latitude in latitudes)


#: Readers whose files are open at the same time. A reader has 13 at most, and systems
#: allow a process as few as 256.
_READERS = 16

_recent: list[weakref.ref['RasterFiles']] = []


class RasterFiles:
    """Rasters of a reader that stay open between reads, opened anew in each process.

    The files of the readers that were used least recently are closed when too many are
    open. It may be pickled and forked; threads must not share one.

    Args:
        headers: Headers that are known already; takes those that are read.
        trusted: Whether files may be of any format, and anywhere (defaults to whether
            they may where this is made, see :func:`~.sources.trusting`).
    """

    def __init__(
        self, headers: Headers | None = None, trusted: bool | None = None
    ) -> None:
        self.headers: Headers = {} if headers is None else headers
        self._trusted = is_trusting() if trusted is None else trusted
        self._open: dict[str, DatasetReader] = {}
        self._process = os.getpid()

    def header(self, path: str) -> RasterHeader:
        """Tell what a raster says about itself; it is opened if that is not known.

        Args:
            path: The raster.

        Returns:
            Its header.

        Raises:
            SceneError: If it cannot be read.
        """
        if path not in self.headers:
            with reading(path):
                self.headers[path] = _header_of(self[path])
        return self.headers[path]

    def grid(self, path: str) -> Grid:
        """Tell which pixels a raster has.

        Args:
            path: The raster.

        Returns:
            Its grid.

        Raises:
            SceneError: If it cannot be read, has no CRS, or cannot lie on the Earth.
        """
        grid = self.header(path).grid
        if grid.crs is None:
            raise SceneError(path, 'has no coordinate reference system.')
        if fault := grid_fault(grid):
            raise SceneError(
                path, f'{fault}. Give it the CRS and the geotransform that it has.'
            )
        with reading(path):
            if not _lies_on_earth(grid):
                raise SceneError(
                    path,
                    f'has corners from {grid.bounds[0]:g}, {grid.bounds[3]:g} to '
                    f'{grid.bounds[2]:g}, {grid.bounds[1]:g}, which are nowhere in its '
                    f'coordinate reference system, {crs_name(grid.crs)}. Give it the '
                    'right one.',
                )
        return grid

    def __getitem__(self, path: str) -> DatasetReader:
        """The opened raster *path*; call within :func:`reading`."""
        if self._process != os.getpid():
            # The parent's files share their position with it
            self._open, self._process = {}, os.getpid()
        if path not in self._open:
            self._open[path] = open_raster(path, self._trusted)
        self._note_use()
        return self._open[path]

    def _note_use(self) -> None:
        if _recent and _recent[-1]() is self:
            return
        others = [ref for ref in _recent if ref() not in (None, self)]
        surplus = max(len(others) + 1 - _READERS, 0)
        for ref in others[:surplus]:
            if (files := ref()) is not None:
                files.close()
        _recent[:] = [*others[surplus:], weakref.ref(self)]

    def close(self) -> None:
        """Close all files; the next access opens them again."""
        for source in self._open.values():
            source.close()
        self._open = {}

    def __reduce__(self) -> tuple[type['RasterFiles'], tuple[Headers, bool]]:
        return RasterFiles, (self.headers, self._trusted)
