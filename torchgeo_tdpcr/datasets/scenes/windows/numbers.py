# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whether the numbers of a Sentinel-2 product are digital numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from ...plausibility import DIGITAL_NUMBERS, MEDIAN_NUMBERS, strays, within
from ..common import SceneError
from ..formats.sampling import overview, sample

#: Numbers whose 99th percentile is below this are reflectances.
_REFLECTANCE = 5

#: Part of a band that may be beyond the range of digital numbers.
_STRAYS = 0.01


class BandNumbers(NamedTuple):
    """Numbers from all over a band.

    Args:
        band: Its name.
        path: Its file.
        values: The numbers, without missing pixels.
    """

    band: str
    path: str
    values: NDArray[Any]


def sample_bands(
    raster: DatasetReader, bands: Mapping[str, int], nodata: Sequence[float | None]
) -> list[BandNumbers]:
    """Read numbers from all over some bands of a file.

    Args:
        raster: The file.
        bands: Indexes of the bands by their names.
        nodata: Number of missing pixels of each band; 0 is one where all bands have it.

    Returns:
        The numbers of each band.
    """
    for read in (sample, overview):
        array = read(raster, list(bands.values()))
        there = array.any(axis=0)
        # What lies between the blocks may be all that there is
        if there.any():
            break
    parts = []
    for name, values, missing in zip(bands, array[:, there], nodata, strict=True):
        kept = values != (0 if missing is None else missing)
        if values.dtype.kind == 'f':
            kept &= np.isfinite(values)
        parts.append(BandNumbers(name, raster.name, values[kept]))
    return parts


def check_numbers(numbers: BandNumbers) -> None:
    """Refuse a band that holds no digital numbers.

    Args:
        numbers: What was found in it.

    Raises:
        SceneError: If it does.
    """
    band, path, values = numbers
    if not values.size or values.dtype.kind not in 'uif':
        return
    if (
        values.dtype.kind == 'f'
        and band != 'B10'
        and np.percentile(values, 99) < _REFLECTANCE
        and values.max() > 0
    ):
        raise SceneError(
            path,
            'holds reflectances; digital numbers are needed. Multiply by 10000 (and '
            'give `offset=0`).',
        )
    median = float(np.median(values))
    outside = strays(values, DIGITAL_NUMBERS)
    if outside.size > _STRAYS * values.size:
        told = f'numbers such as {outside[0]:.4g}'
    elif not within(median, MEDIAN_NUMBERS):
        told = f'a median of {median:.4g}'
    else:
        return
    low, high = MEDIAN_NUMBERS
    raise SceneError(
        path,
        f'has {told} in {band}, which are no digital numbers of Sentinel-2: those are '
        f'reflectance × 10000, with a median of {low:g} to {high:g}. Scale it, or '
        'declare the number of missing pixels as nodata.',
    )
