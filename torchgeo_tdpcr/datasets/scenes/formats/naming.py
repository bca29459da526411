# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the names of files and folders tell about scenes: date, polarisation, mask."""

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

_TIME = re.compile(r'(?<!\d)(20\d{6})T(\d{6})(?!\d)')
_DAY = re.compile(r'(?<!\d)(20\d{2})(-?)(\d{2})\2(\d{2})(?!\d)')
_ENDING = re.compile(
    r'\.(?:SAFE|zip|tiff?|jp2|vrt|img|dim|zarr|(?:geo)?json)$', re.IGNORECASE
)

#: VV or VH as a word, perhaps with the quantity before it or the scale behind it.
POLARISATION = re.compile(
    r'(?<![A-Z0-9+/&])(?:(?:sigma|gamma|beta)0?)?(VV|VH)(?:dB|lin|amp)?(?![A-Z0-9+/&])',
    re.IGNORECASE,
)
_SCL = re.compile(r'(?:^|_)SCL(?:_(\d+)m)?\.(?:tiff?|jp2)$', re.IGNORECASE)


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


def date_near(path: PurePath) -> datetime | None:
    """Find the date of a file or folder in its name, or in that of a folder around it.

    Example:
        >>> date_near(PurePath('S2_20200604/bands/B02.tif')).day
        4
    """
    names = (path.name, *(folder.name for folder in path.parents))
    return next((date for name in names if (date := date_of(name))), None)


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


def polarisation_of(name: str) -> str | None:
    """Tell which of VV and VH a name says, None if neither or both.

    ``VV+VH``, which tells the mode, and ``VV/VH``, a ratio, say neither.

    Example:
        >>> polarisation_of('s1_20200604_vv.tif'), polarisation_of('Sigma0_VH_db')
        ('VV', 'VH')
        >>> polarisation_of('Sentinel-1_IW_VV+VH_VH_(Raw).tiff'), polarisation_of('VVdB')
        ('VH', 'VV')
        >>> polarisation_of('s1_VV_VH.tif')
    """
    found = {match[1].upper() for match in POLARISATION.finditer(name)}
    return found.pop() if len(found) == 1 else None
