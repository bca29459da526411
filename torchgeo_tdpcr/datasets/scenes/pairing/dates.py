# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The dates of the two of a pair, as far as they are known."""

import os
import warnings
from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path
from typing import NamedTuple

from ..common import SceneError, SceneWarning
from ..formats.naming import date_of, dating, outside_zip, tells_several_days
from ..formats.parts import OpticalProduct
from ..formats.polarisations import RadarProduct


class PairDates(NamedTuple):
    """When the two of a pair were acquired, in UTC; None where nobody knows.

    Args:
        optical: Date of Sentinel-2.
        radar: Date of Sentinel-1.
    """

    optical: datetime | None
    radar: datetime | None

    @property
    def days(self) -> float | None:
        """Days between them, see :func:`days_between`."""
        return days_between(self.optical, self.radar)


def days_between(one: datetime | None, other: datetime | None) -> float | None:
    """Count the days between two dates.

    Args:
        one: A date.
        other: Another one, earlier or later.

    Returns:
        The days, whole ones where a time is unknown; None where a day is.
    """
    if one is None or other is None:
        return None
    if time() in (one.time(), other.time()):
        return float(abs((one.date() - other.date()).days))
    return abs((one - other).total_seconds()) / 86_400


def dates_of(product: OpticalProduct, radar: RadarProduct) -> PairDates:
    """Tell the dates of a pair.

    Dates of metadata and of names count, and those of the names of the two folders
    around a file (:func:`~.naming.dating`), unless such a folder holds both of the pair:
    it may be named after a project, or after the day of one of them.

    Args:
        product: The Sentinel-2 product.
        radar: The Sentinel-1 raster.

    Returns:
        The dates.
    """
    first = next(iter(product.bands.values())).path
    where = product.path if product.form == 'safe' else Path(outside_zip(first))
    inside = Path(outside_zip(radar.bands[0].path))
    return PairDates(
        _own(product.date, (where,), radar.path),
        _own(radar.date, (inside, radar.path), product.path),
    )


def _own(date: datetime | None, paths: Sequence[Path], other: Path) -> datetime | None:
    """The date of a file, unless a folder tells it that holds the other one too."""
    for path in paths:
        told = dating(path)
        if date is not None and told is not None and date == date_of(told.name):
            holds = Path(os.path.abspath(other)).is_relative_to(told)
            return None if holds else date
    return date


def _without_date(product: OpticalProduct, radar: RadarProduct) -> list[Path]:
    """Those of a pair whose date is unknown."""
    paths = product.path, radar.path
    dates = dates_of(product, radar)
    return [path for path, date in zip(paths, dates, strict=True) if date is None]


def undated_error(
    product: OpticalProduct, radar: RadarProduct, days: float
) -> SceneError:
    """Say that a date is unknown where days must be counted.

    Args:
        product: The Sentinel-2 product.
        radar: The Sentinel-1 raster.
        days: How many may lie between them.

    Returns:
        The error to raise.
    """
    path, *_ = _without_date(product, radar)
    other = radar.path if path == product.path else product.path
    return SceneError(
        path,
        f'is of unknown date, so that nobody can say whether `max_days={days:g}` lie '
        f"between it and '{other}'. {_say_date(path)}, or give the pairs in a CSV file, "
        'as `pairs`.',
    )


def warn_of_dates(product: OpticalProduct, radar: RadarProduct) -> None:
    """Warn if a date of a pair is unknown.

    Args:
        product: The Sentinel-2 product.
        radar: The Sentinel-1 raster.

    Warns:
        SceneWarning: If one is.
    """
    if paths := _without_date(product, radar):
        files = ' and '.join(f"'{path}'" for path in paths)
        warnings.warn(
            f'Unknown date of {files}: there may be years between Sentinel-1 and '
            f'Sentinel-2. {_say_date(paths[0])}; with `max_days` such files are refused.',
            SceneWarning,
            stacklevel=3,
        )


def _say_date(path: Path) -> str:
    """How to give a date."""
    if tells_several_days(path.name):
        return 'Its name tells several days; let it tell that of acquisition only'
    return f'Put it into the name, such as {path.stem}_20200604{path.suffix}'
