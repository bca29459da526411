# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What files of metadata say of rasters beside them, put where rasters say it themselves.

All readers go by the headers of rasters. So what a STAC item, a product of SNAP or a Zarr
store says in a file of its own is put into these.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from os import PathLike
from typing import Any

import numpy as np

from ....plausibility import YEARS
from ...common import SceneError
from ..optical.safe import read_bytes
from ..parts import BandFile
from ..rasters import Headers


@dataclass(frozen=True, slots=True)
class Told:
    """What metadata say of the numbers of a band.

    Args:
        scale: What numbers are multiplied with; None if they do not say.
        offset: What is added then; None if they do not say.
        nodata: The number of missing pixels, may be NaN; None if they do not say.
        unit: What they are in; '' if they do not say.
    """

    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None
    unit: str = ''

    @property
    def tags(self) -> tuple[float, float]:
        """Scale and offset, 1 and 0 where nothing is said."""
        return (
            1.0 if self.scale is None else self.scale,
            0.0 if self.offset is None else self.offset,
        )


def _refuse_constant(text: str) -> float:
    raise ValueError(f'{text} is no number of JSON')


def read_json(path: str, strict: bool = True) -> dict[str, Any]:
    """Read a file of JSON that holds an object.

    Args:
        path: The file.
        strict: Whether to refuse NaN and infinity, which JSON has no words for, but
            Python writes.

    Returns:
        The object.

    Raises:
        SceneError: If it cannot be read, is too large, or is none.
    """
    content = read_bytes(path)
    try:
        found = json.loads(
            content.decode('utf-8-sig'),
            parse_constant=_refuse_constant if strict else None,
        )
    except (ValueError, RecursionError) as error:
        raise SceneError(path, f'is no valid JSON ({error}).') from error
    if not isinstance(found, dict):
        raise SceneError(path, f'is JSON, but no object: {type(found).__name__}.')
    return found


def number_of(
    path: str | PathLike[str], what: str, value: object, or_nan: bool = False
) -> float | None:
    """Take a number from metadata.

    Args:
        path: The file that errors name.
        what: What the number is.
        value: What the file has, a text or a number; None where it has none.
        or_nan: Whether it may be NaN.

    Returns:
        The number; None where there is none.

    Raises:
        SceneError: If it is no number, or not finite.

    Example:
        >>> number_of('a.json', 'offset', '-0.1'), number_of('a.json', 'offset', None)
        (-0.1, None)
    """
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise SceneError(path, f'has {what} {value!r}, which is no number.') from error
    if not isfinite(number) and not (or_nan and np.isnan(number)):
        raise SceneError(path, f'has {what} {number}, which is not finite.')
    return number


def date_from(path: str | PathLike[str], text: object) -> datetime | None:
    """Take a date from metadata.

    Args:
        path: The file that errors name.
        text: The date as ISO 8601 has it; None where there is none.

    Returns:
        The date, in UTC if it has no zone; None where there is none.

    Raises:
        SceneError: If it is no date, or none at which Sentinel was in orbit.

    Example:
        >>> date_from('a.json', '2020-06-04T10:00:31.024Z').isoformat()
        '2020-06-04T10:00:31.024000+00:00'
    """
    if text is None:
        return None
    try:
        date = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise SceneError(path, f'has the date {text!r}, which is none.') from error
    if not YEARS[0] <= date.year <= YEARS[1]:
        raise SceneError(
            path,
            f'tells {text} as date, when no Sentinel was in orbit. Fetch the product '
            'anew, or correct it.',
        )
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def put_into_headers(
    bands: Mapping[str, BandFile],
    told: Mapping[str, Told],
    headers: Headers,
    before: bool = False,
) -> None:
    """Put what metadata say into the headers of rasters, where these say nothing.

    Args:
        bands: Bands by name.
        told: What is said of bands, by name.
        headers: Headers of the files of bands; changed.
        before: Whether the number of missing pixels that is told goes before the
            raster's own.
    """
    for name, band in bands.items():
        said, header, i = told.get(name, Told()), headers[band.path], band.index - 1
        scales, nodata = list(header.scales), list(header.nodata)
        if scales[i] == (1, 0):
            scales[i] = said.tags
        if nodata[i] is None or before:
            fits = said.nodata is not None and _fits(said.nodata, header.dtypes[i])
            nodata[i] = said.nodata if fits else nodata[i]
        headers[band.path] = replace(header, scales=tuple(scales), nodata=tuple(nodata))


def _fits(number: float, dtype: str) -> bool:
    """Whether pixels of a type can have a number."""
    if np.dtype(dtype).kind not in 'iu':
        return True
    limits = np.iinfo(dtype)
    return isfinite(number) and number in range(limits.min, limits.max + 1)
