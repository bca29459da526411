# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which Sentinel-1 rasters are of one pass, so that they may cover a scene together."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import Protocol

from ..formats.polarisations import RadarProduct

#: Time between slices of a pass at most; one after the other they are 25 seconds apart.
_MINUTES = timedelta(minutes=5)


class HasRadar(Protocol):
    """Anything that has a raster."""

    @property
    def radar(self) -> RadarProduct:
        """The raster."""


def of_one_pass(first: datetime | None, second: datetime | None) -> bool:
    """Tell whether rasters of two dates are of one pass.

    Args:
        first: Date of one; at midnight if only the day is known.
        second: Date of the other.

    Returns:
        Whether they are minutes apart, or of the same day if of one only that is known;
        false if a date is unknown.

    Example:
        >>> day = datetime(2020, 6, 4)
        >>> of_one_pass(day, day.replace(hour=5)), of_one_pass(day, None)
        (True, False)
        >>> of_one_pass(day.replace(hour=5), day.replace(hour=17))
        False
    """
    if first is None or second is None:
        return False
    if time() in (first.time(), second.time()):
        return first.date() == second.date()
    return abs(first - second) <= _MINUTES


def passes[T: HasRadar](items: Iterable[T]) -> list[list[T]]:
    """Group rasters by pass.

    Args:
        items: What has the rasters.

    Returns:
        The groups; what is of unknown date is a group of its own.
    """
    groups: list[list[T]] = []
    for item in items:
        for group in groups:
            if all(of_one_pass(item.radar.date, other.radar.date) for other in group):
                group.append(item)
                break
        else:
            groups.append([item])
    return groups
