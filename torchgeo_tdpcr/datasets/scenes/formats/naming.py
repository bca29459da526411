# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the names of files and folders tell about scenes: band, date, polarisation."""

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePath

#: Endings of the rasters that scenes come in.
RASTERS = ('.tif', '.tiff', '.jp2', '.vrt', '.img')

#: Bytes of the name of a scene at most: names of files, some of them on their way, are
#: up to 50 longer, and file systems end at 255.
LONGEST_NAME = 200

_BAND = r'B(?:0?([1-9])|(1[0-2])|0?(8A))'
_BAND_FILE = re.compile(
    rf'(?:^|[_.\- ]){_BAND}(?:_(\d+)m)?\.(?:tiff?|jp2)$', re.IGNORECASE
)
_BAND_LABEL = re.compile(rf'\s*{_BAND}(?![A-Za-z0-9])', re.IGNORECASE)
_TIME = re.compile(r'(?<!\d)(20\d{6})T(\d{6})(?!\d)')
_DAY = re.compile(r'(?<!\d)(20\d{2})(-?)(\d{2})\2(\d{2})(?!\d)')
_ENDING = re.compile(r'\.(?:SAFE|zip|tiff?|jp2|vrt|img)$', re.IGNORECASE)
_SCL = re.compile(r'(?:^|_)SCL(?:_(\d+)m)?\.(?:tiff?|jp2)$', re.IGNORECASE)


def _band(match: re.Match[str]) -> str:
    return 'B' + next(group for group in match.groups()[:3] if group).upper()


def band_of_file(name: str) -> tuple[str, int | None] | None:
    """Tell which band a file holds.

    Args:
        name: Name of the file, without folders.

    Returns:
        The band, and its resolution in metres if the name has it; None if the name
        does not end in a band. ESA's quality masks (``MSK_…``) are no bands.

    Example:
        >>> band_of_file('T32TQM_20200604T100031_B02_10m.jp2'), band_of_file('x_b8a.tif')
        (('B2', 10), ('B8A', None))
        >>> band_of_file('T32TQM_20200604T100031_TCI.jp2')
    """
    match = _BAND_FILE.search(name)
    if not match or name.upper().startswith('MSK_'):
        return None
    return _band(match), int(match[4]) if match[4] else None


def band_of_label(label: str | None) -> str | None:
    """Tell which band a description of a raster band names.

    Example:
        >>> band_of_label('B08, central wavelength 842 nm'), band_of_label('B8A')
        ('B8', 'B8A')
        >>> band_of_label('NDVI')
    """
    match = _BAND_LABEL.match(label or '')
    return _band(match) if match else None


def classification_among(names: Iterable[str]) -> str | None:
    """Find ESA's scene classification (SCL) of the finest resolution among files.

    Example:
        >>> classification_among(['R60m/T_SCL_60m.jp2', 'R20m/T_SCL_20m.jp2', 'B02.jp2'])
        'R20m/T_SCL_20m.jp2'
    """
    found = [
        (int(match[1] or 0), name)
        for name in names
        if (match := _SCL.search(PurePath(name).name))
    ]
    return min(found)[1] if found else None


def date_of(name: str) -> datetime | None:
    """Find the first date in a name.

    Args:
        name: Name of a file or folder.

    Returns:
        The time in UTC, at midnight if the name has a day only; None if it has none.

    Example:
        >>> date_of('S2A_MSIL1C_20200604T100031_N0209_R122_T32TQM').isoformat()
        '2020-06-04T10:00:31+00:00'
        >>> date_of('s1_2020-06-05.tif').day, date_of('scene_20209999.tif')
        (5, None)
    """
    texts = [f'{time[1]}{time[2]}' for time in _TIME.finditer(name)]
    texts += [f'{day[1]}{day[3]}{day[4]}000000' for day in _DAY.finditer(name)]
    for text in texts:
        try:
            return datetime.strptime(text, '%Y%m%d%H%M%S').replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def product_name(path: PurePath) -> str:
    """Name a product after its file or folder, without the endings.

    Example:
        >>> product_name(PurePath('in/S2A_T32TQM.SAFE.zip'))
        'S2A_T32TQM'
    """
    name = path.name
    while match := _ENDING.search(name):
        name = name[: match.start()]
    return name


def name_fault(name: str) -> str:
    """Tell why a scene cannot have a name, of which folders and files are made.

    Returns:
        The fault in words, '' if there is none.

    Example:
        >>> name_fault('S2A_T32TQM'), name_fault('a/b')
        ('', "the name 'a/b' cannot be that of a folder.")
    """
    size = len(os.fsencode(name))
    if size > LONGEST_NAME:
        return (
            f'the name {name[:40] + "…"!r} has {size} bytes; {LONGEST_NAME} are allowed. '
            'Rename the product, or give a name in the column `name` of a CSV file.'
        )
    if (
        not name
        or name in ('.', '..')
        or set(name) & set('/\\')
        or not name.isprintable()
    ):
        return f'the name {name!r} cannot be that of a folder.'
    return ''


def strip_band(name: str) -> str:
    """Remove the band from the name of a file.

    Example:
        >>> strip_band('T32TQM_20200604_B02_10m.jp2')
        'T32TQM_20200604'
    """
    return _BAND_FILE.sub('', name)


def polarisation_of(name: str) -> str | None:
    """Tell which of VV and VH a name says, None if neither or both.

    Example:
        >>> polarisation_of('s1_20200604_vv.tif'), polarisation_of('Sigma0_VH_db')
        ('VV', 'VH')
        >>> polarisation_of('s1_VV_VH.tif')
    """
    found = {
        word for word in re.split(r'[^A-Z0-9]+', name.upper()) if word in ('VV', 'VH')
    }
    return found.pop() if len(found) == 1 else None
