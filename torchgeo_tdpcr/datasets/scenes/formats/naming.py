# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the names of files and folders tell about scenes: date, polarisation, mask."""

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePath

from ...plausibility import YEARS

#: Endings of the rasters that scenes come in.
RASTERS = ('.tif', '.tiff', '.jp2', '.vrt', '.img')

#: Bytes of the name of a scene at most: names of files, some of them on their way, are
#: up to 50 longer, and file systems end at 255.
LONGEST_NAME = 200

# A day, as month and day or as day of the year, and perhaps the time: whatever stands
# behind a `T`, six digits, or what has marks between hours, minutes and seconds. Fewer
# digits may count anything. What stands behind a day and a month is the end of a date that
# begins with the day, unless a year stands before these.
_DATE = re.compile(
    r'(?<!\d)(?:(?<!(?:0[1-9]|[1-3]\d)[-_.](?:0[1-9]|[1-3]\d)[-_.])|'
    r'(?<=20\d\d[-_.]\d\d[-_.]\d\d[-_.]))'
    r'(?P<year>20\d{2})'
    r'(?:(?P<mark>[-_.]?)(?P<month>\d{2})(?P=mark)(?P<day>\d{2})|(?P<of_year>\d{3}))'
    r'(?:(?!\d)(?:'
    r'T(?P<t>\d{2}(?P<t_mark>[-_.:]?)\d{2}(?:(?P=t_mark)\d{2})?)(?!\d)|'
    r'[-_. ](?P<six>\d{6})(?!\d)|'
    r'[-_ ](?P<marked>\d{2}:\d{2}(?::\d{2})?|\d{2}-\d{2}-\d{2})(?!\d))?|'
    r'(?P<joined>\d{4}(?:\d{2})?)(?!\d))',
    re.IGNORECASE,
)

# What begins a name that tells the start first, and then when a product ended or was made:
# of ESA, of OPERA, and of Google Earth Engine
_START_FIRST = re.compile(
    r'(?<![A-Za-z0-9])(?:S2[A-D]_MSIL[12][A-C]_|S1[A-D][-_][A-Z0-9]{2,3}[-_]|'
    r'OPERA_L2_RTC-S1_|(?=\d{8}T\d{6}_\d{8}T\d{6}_T\d{2}[A-Z]{3}(?![A-Za-z0-9])))',
    re.IGNORECASE,
)

#: Folders above a file whose names may tell its date. A date further up is that of a
#: project or a disk.
_FOLDERS = 2
_ENDING = re.compile(
    r'\.(?:SAFE|zip|tiff?|jp2|vrt|img|dim|zarr|(?:geo)?json)$', re.IGNORECASE
)

#: VV or VH as a word, perhaps with the mission or the quantity before it, and the scale
#: or the day behind it.
POLARISATION = re.compile(
    r'(?<![A-Z0-9+/&])(?:S1[A-D]?|(?:sigma|gamma|beta)0?)?(VV|VH)'
    r'(?:dB|decibels?|lin(?:ear)?|amp(?:litude)?|pow(?:er)?|20\d{6})?(?![A-Z0-9+/&])',
    re.IGNORECASE,
)
_SCL = re.compile(
    r'(?<![a-z0-9])SCL(?![a-z0-9])(?:.*?(?<![a-z0-9])(\d+)m(?![a-z0-9]))?'
    r'.*\.(?:tiff?|jp2)$',
    re.IGNORECASE,
)
# What people make of the classification keeps its name, and holds other numbers
_MADE_OF_SCL = re.compile(r'cloud|mask|binary|clear|valid', re.IGNORECASE)


def classification_among(names: Iterable[str]) -> str | None:
    """Find ESA's scene classification (SCL) of the finest resolution among files.

    Example:
        >>> classification_among(['R60m/T_SCL_60m.jp2', 'R20m/T_SCL_20m.jp2', 'B02.jp2'])
        'R20m/T_SCL_20m.jp2'
        >>> classification_among(['2020-06-04_Sentinel-2_L2A_SCL_(Raw).tiff'])
        '2020-06-04_Sentinel-2_L2A_SCL_(Raw).tiff'
        >>> classification_among(['SCL_cloudmask.tif'])
    """
    found = [
        (int(match[1] or 0), name)
        for name in names
        if (match := _SCL.search(PurePath(name).name))
        and not _MADE_OF_SCL.search(PurePath(name).name)
    ]
    return min(found)[1] if found else None


def date_of(name: str) -> datetime | None:
    """Find the date that a name tells.

    Args:
        name: Name of a file or folder.

    Returns:
        The time in UTC, at midnight if the name has a day only. None if it has none, or
        none since the Sentinels fly, or several days, such as a range; but where ESA,
        OPERA or Earth Engine name a product, the first is that of its start.

    Example:
        >>> date_of('S2A_MSIL1C_20200604T100031_N0209_R122_T32TQM').isoformat()
        '2020-06-04T10:00:31+00:00'
        >>> date_of('HLS.S30.T32TQM.2020156T100031').isoformat()
        '2020-06-04T10:00:31+00:00'
        >>> date_of('s1_20200604_051422').isoformat()
        '2020-06-04T05:14:22+00:00'
        >>> date_of('s1_2020-06-05.tif').day, date_of('scene_20209999.tif')
        (5, None)

        Neither which of them is the month of others is guessed, nor which day of a range:

        >>> date_of('s1_04-06-2020.tif')
        >>> date_of('s1_2020-05-25_2020-06-04.tif')
    """
    if start := _START_FIRST.search(name):
        date, timed = next(iter(dates_in(name[start.end() :])), (None, False))
        # Days alone are of somebody else, who may mean a range
        if timed:
            return date
    dates = dates_in(name)
    if not dates or tells_several_days(name):
        return None
    # The time may stand behind another mention of the day
    same = [(date, timed) for date, timed in dates if date.date() == dates[0][0].date()]
    return next((date for date, timed in same if timed), same[0][0])


def tells_several_days(name: str) -> bool:
    """Tell whether a name has the dates of different days.

    Example:
        >>> tells_several_days('2020-05-25_2020-12-31_S1'), tells_several_days('s1.tif')
        (True, False)
    """
    return len({date.date() for date, _ in dates_in(name)}) > 1


def dates_in(name: str) -> list[tuple[datetime, bool]]:
    """Find all dates in a name.

    Returns:
        The times in UTC, and whether it has more than the day.

    Example:
        >>> [(date.day, timed) for date, timed in dates_in('20200604_20200605T100031')]
        [(4, False), (5, True)]
    """
    found = []
    for match in _DATE.finditer(name):
        of_year = match['of_year']
        text, form = (
            (match['year'] + match['month'] + match['day'], '%Y%m%d')
            if of_year is None
            else (match['year'] + of_year, '%Y%j')
        )
        told = match['t'] or match['six'] or match['marked'] or match['joined'] or ''
        clock = re.sub(r'\D', '', told).ljust(6, '0') if told else ''
        # Digits that are no time leave the day, unless they go on with it
        for time in (clock, '') if not match['joined'] else (clock,):
            try:
                date = datetime.strptime(text + (time or '000000'), f'{form}%H%M%S')
            except ValueError:
                continue
            # Day 366 of other years is the first of the next
            if date.year == int(match['year']) >= YEARS[0]:
                found.append((date.replace(tzinfo=UTC), bool(time)))
            break
    return found


def dating(path: PurePath) -> PurePath | None:
    """Find what tells the date of a file or folder: its name, or that of a folder.

    Args:
        path: The file or folder. The two folders that it lies in count, the nearest
            first; what is further up is a project or a disk, whose date is another.

    Returns:
        The file or folder whose name has a date, None if there is none.

    Example:
        >>> str(dating(PurePath('/data/S2_20200604/bands/B02.tif')))
        '/data/S2_20200604'
        >>> dating(PurePath('/20200101_project/tile/S2/bands/B02.tif'))
    """
    if isinstance(path, Path):
        # The folder where a command is given may be one of them
        path = Path(os.path.abspath(path))
    near = (path, *tuple(path.parents)[:_FOLDERS])
    told = next((part for part in near if dates_in(part.name)), None)
    # What tells several days is not overruled by a folder around it
    return told if told is not None and date_of(told.name) else None


def date_near(path: PurePath) -> datetime | None:
    """Find the date of a file or folder in its name or near it, see :func:`dating`.

    Example:
        >>> date_near(PurePath('S2_20200604/bands/B02.tif')).day
        4
    """
    part = dating(path)
    return None if part is None else date_of(part.name)


def outside_zip(path: str) -> str:
    """Write a path in a zip as if that were a folder, whose name tells as well.

    Example:
        >>> outside_zip('/vsizip/{in/a.zip}/B02.tif'), outside_zip('in/B02.tif')
        ('in/a.zip}/B02.tif', 'in/B02.tif')
    """
    return path.removeprefix('/vsizip/{')


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
        >>> polarisation_of('s1VV.tif'), polarisation_of('S1_VH20200604.tif')
        ('VV', 'VH')
        >>> polarisation_of('s1_VV_VH.tif')
    """
    found = {match[1].upper() for match in POLARISATION.finditer(name)}
    return found.pop() if len(found) == 1 else None
