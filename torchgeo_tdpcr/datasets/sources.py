# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Opening rasters: only of formats that hold their pixels, and only local files.

GDAL tells a format by what a file holds, and some formats are pointers: a ``.tif`` that
holds the text of a VRT leads to other files and to the network. So a raster is opened
with the one driver that its first bytes call for, and what GDAL would look for beside it
is looked at as well. Who trusts the files says so, see :func:`trusting`.
"""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.env import Env
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

#: What opening and reading a raster raises, whatever is wrong with it: errors of GDAL and
#: PROJ, and of Python about text that is none, names, and numbers that are too large.
RASTER_ERRORS = (RasterioError, CPLE_BaseError, OSError, ValueError, OverflowError)

_JP2 = ('JP2OpenJPEG', 'JP2KAK', 'JP2ECW', 'JP2MrSID')

#: Drivers by the bytes that files of their format begin with.
_MAGIC = {
    b'II*\0': ('GTiff',),
    b'MM\0*': ('GTiff',),
    b'II+\0': ('GTiff',),
    b'MM\0+': ('GTiff',),
    b'\0\0\0\x0cjP  \r\n\x87\n': _JP2,
    b'\xffO\xffQ': _JP2,
    b'EHFA_HEADER_TAG': ('HFA',),
}

#: Drivers by the ending of what lies in a zip, and can't be looked at first.
_ENDINGS = {'.jp2': _JP2, '.tif': ('GTiff',), '.tiff': ('GTiff',)}

#: Files beside a raster that GDAL opens with any driver: overviews and masks.
_BESIDE = ('.ovr', '.msk')

_IN_ZIP = re.compile(r'/vsizip/\{(/(?!vsi).+|[A-Za-z]:.+)\}/[^{}]+')

_HOW = 'If you trust it and whatever it leads to, set `trusted`.'

#: Characters of a message of GDAL or PROJ that are passed on.
_LONGEST = 300

_trusting: ContextVar[bool] = ContextVar('trusting', default=False)


class DistrustError(RuntimeError):
    """A raster is of a format, or at a place, that is read only if it is trusted."""


@contextmanager
def trusting(trusted: bool = True) -> Iterator[None]:
    """Open any raster that GDAL can, wherever it lies or leads.

    Within, VRT files and other formats that refer to files and addresses are followed,
    and ``/vsicurl/``, ``/vsis3/`` and the like are paths. Readers that are made within
    keep on doing so, in the worker processes of a loader as well.

    Args:
        trusted: False changes nothing.

    Yields:
        None: Control.

    Example:
        >>> with trusting():
        ...     is_trusting()
        True
        >>> is_trusting()
        False
    """
    token = _trusting.set(trusted or _trusting.get())
    try:
        yield
    finally:
        _trusting.reset(token)


def is_trusting() -> bool:
    """Tell whether any raster may be opened here, see :func:`trusting`."""
    return _trusting.get()


def cause_of(error: BaseException) -> str:
    r"""What an error of :data:`RASTER_ERRORS` says, in one line.

    Example:
        >>> cause_of(ValueError('first line\n  second line'))
        'first line second line'
    """
    cause = error.__cause__ or error
    text = ' '.join(str(cause).split()) or type(cause).__name__
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST]} …'


def fault_of_place(path: str | os.PathLike[str]) -> str:
    """Tell why there is nothing to open at a path, '' if there may be.

    Example:
        >>> fault_of_place('missing.tif')
        'does not exist.'
        >>> fault_of_place('/vsis3/bucket/a.tif')[:20]
        'is no local file. If'
    """
    text = os.fspath(path)
    if _is_virtual(text):
        ours = text.startswith('/vsimem/') or _IN_ZIP.fullmatch(text)
        return '' if ours or is_trusting() else f'is no local file. {_HOW}'
    if os.path.exists(text):
        return ''
    # pathlib has made one slash of two
    if re.match(r'\w{2,}:/', text):
        return 'is no local file. Write its address as /vsicurl/… or /vsis3/….'
    return 'does not exist.'


def open_geotiff(path: str) -> DatasetReader:
    """Open a GeoTIFF of stored chips, fast: nothing else is looked at.

    Call under the settings for chips, which keep GDAL from looking beside the file.
    Chips are read at their full size, so that overviews elsewhere are of no concern.

    Args:
        path: The file, absolute.

    Returns:
        The opened file.
    """
    return rasterio.open(path, driver='GTiff')


def open_raster(
    path: str | os.PathLike[str], trusted: bool | None = None
) -> DatasetReader:
    """Open a raster of a scene.

    Args:
        path: The file, or ``/vsizip/{archive}/name``.
        trusted: Whether it may be of any format, and anywhere (defaults to
            :func:`is_trusting`).

    Returns:
        The opened raster.

    Raises:
        DistrustError: If it is not to be opened unless it is trusted.
        RasterioIOError: If it cannot be read.
    """
    with warnings.catch_warnings():
        # Whether a raster has a place is checked, with an error of its own
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        text = os.fspath(path)
        if not _is_utf8(text):
            raise OSError('its name is not in UTF-8: rename it')
        if is_trusting() if trusted is None else trusted:
            if _is_virtual(text):
                return rasterio.open(_gdal_path(text))
            # ENVI's header lies beside it; the command `torchgeo` says not to look
            with Env(GDAL_DISABLE_READDIR_ON_OPEN='FALSE'):
                return rasterio.open(_gdal_path(text))
        return _open_local(text)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_virtual(path: str) -> bool:
    """Whether a path is one of GDAL's virtual file systems; folders may look like it."""
    return path.startswith('/vsi') and not os.path.exists(path)


def _gdal_path(path: str) -> str:
    """A path as GDAL takes it: pathlib makes one slash of two."""
    if _is_virtual(path):
        return re.sub(r'(?<=/)(https?|ftp):/(?!/)', r'\1://', path)
    return os.path.abspath(path)


def _open_local(path: str) -> DatasetReader:
    if path.startswith('/vsimem/'):
        # Made by this very process
        return rasterio.open(path, driver='GTiff')
    if _is_virtual(path):
        drivers = _ENDINGS.get(Path(path).suffix.lower())
        if drivers is None or not _IN_ZIP.fullmatch(path):
            raise DistrustError(f'is no local file. {_HOW}')
        # Nothing in the zip but the file itself
        with Env(GDAL_DISABLE_READDIR_ON_OPEN='EMPTY_DIR'):
            return _checked(rasterio.open(path, driver=_registered(drivers)))
    path = os.path.abspath(path)
    drivers = _drivers_of(path)
    # What is checked is what GDAL sees, and a place may be told beside the file. The
    # command `torchgeo` sets this otherwise for its whole process
    with Env(GDAL_DISABLE_READDIR_ON_OPEN='FALSE'):
        for beside in _files_beside(path):
            # These may have files beside them, and lead on, as well
            _open_side_file(beside).close()
        return _checked(rasterio.open(path, driver=_registered(drivers)))


def _open_side_file(path: str) -> DatasetReader:
    try:
        return _checked(rasterio.open(path, driver=_registered(_drivers_of(path))))
    except DistrustError as error:
        name = os.path.basename(path)
        raise DistrustError(f"has '{name}' beside it, which {error}") from error


def _drivers_of(path: str) -> tuple[str, ...]:
    """Drivers of the format of a file, as its first bytes tell, or of an array of Zarr."""
    if os.path.isdir(path):
        return _drivers_of_folder(path)
    with open(path, 'rb') as file:
        start = file.read(512)
    for magic, drivers in _MAGIC.items():
        if start.startswith(magic):
            return drivers
    # Plain numbers, described in a file of its own, as SNAP writes them
    headers = (os.path.splitext(path)[0] + '.hdr', path + '.hdr')
    if any(map(os.path.isfile, headers)) and not start.lstrip().startswith(b'<'):
        return ('ENVI',)
    if not start:
        raise OSError('the file is empty')
    if b'<VRTDataset' in start:
        raise DistrustError(f'is a VRT, which leads to other files. {_HOW}')
    raise DistrustError(
        'cannot be read: it is damaged, or of another format than GeoTIFF, JPEG 2000, ENVI '
        f'and Erdas Imagine. Fetch it anew, or convert it. {_HOW}'
    )


def _drivers_of_folder(path: str) -> tuple[str, ...]:
    """The driver of a folder that is an array of a Zarr store.

    An array holds its pixels in files whose names are numbers, and leads nowhere else.
    GDAL takes what refers to pixels in other places (Kerchunk) for a store by a file
    beside the array's own, which is thus not allowed there.
    """
    names = ('.zarray', 'zarr.json')
    if not any(os.path.isfile(os.path.join(path, name)) for name in names):
        raise OSError('it is a folder')
    if os.path.exists(os.path.join(path, '.zmetadata')):
        raise DistrustError(
            f"has '.zmetadata', which may lead to pixels in other files. {_HOW}"
        )
    return ('Zarr',)


@cache
def _registered(drivers: tuple[str, ...]) -> str:
    """The first of some drivers that GDAL was built with."""
    with Env() as env:
        there = env.drivers()
    return next((name for name in drivers if name in there), drivers[0])


def _files_beside(path: str) -> list[str]:
    """Overviews and masks beside a file, and theirs."""
    folder, name = os.path.split(path)
    start = name.lower()
    return [
        os.path.join(folder, other)
        for other in os.listdir(folder)
        if other.lower().startswith(start)
        and other != name
        and other.lower().endswith(_BESIDE)
    ]


def _checked(raster: DatasetReader) -> DatasetReader:
    """Refuse what says that its overviews lie in any file at all."""
    if 'OVERVIEW_FILE' in raster.tags(ns='OVERVIEWS'):
        raster.close()
        raise DistrustError(f'names another file for its overviews. {_HOW}')
    return raster
