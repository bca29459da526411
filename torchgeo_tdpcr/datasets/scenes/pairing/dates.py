# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The dates of the two of a pair, as far as they are known."""

import os
from datetime import datetime, time
from pathlib import Path
from typing import NamedTuple

from ..formats.naming import date_of, dating
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
        """Days between them, whole ones where a time is unknown; None where a day is."""
        if self.optical is None or self.radar is None:
            return None
        if time() in (self.optical.time(), self.radar.time()):
            return float(abs((self.optical.date() - self.radar.date()).days))
        return abs((self.optical - self.radar).total_seconds()) / 86_400


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
    where = product.path if product.form == 'safe' else Path(_outside(first))
    return PairDates(
        _own(product.date, where, radar.path),
        _own(radar.date, radar.path, product.path),
    )


def _outside(path: str) -> str:
    """A path in a zip as if that were a folder."""
    return path.removeprefix('/vsizip/{')


def _own(date: datetime | None, path: Path, other: Path) -> datetime | None:
    """The date of a file, unless a folder tells it that holds the other one too."""
    told = dating(path)
    if date is None or told is None or date != date_of(told.name):
        return date
    return None if Path(os.path.abspath(other)).is_relative_to(told) else date
