# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Numbers from all over a Sentinel-2 product, without what stands for missing pixels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from ....plausibility import FILLS
from ...formats.sampling import overview, sample


class BandNumbers(NamedTuple):
    """Numbers from all over a band.

    Args:
        band: Its name.
        path: Its file.
        values: The numbers, without missing pixels.
        cover: Part of what was looked at that is not missing.
    """

    band: str
    path: str
    values: NDArray[Any]
    cover: float = 1.0


def sample_pixels(
    raster: DatasetReader, indexes: Sequence[int]
) -> tuple[NDArray[Any], int]:
    """Read pixels from all over a file, without those where all bands are 0.

    Args:
        raster: The file.
        indexes: Bands, counted from 1.

    Returns:
        The same pixels of each band, C×N, and how many were looked at.
    """
    for read in (sample, overview):
        array = read(raster, indexes)
        there = array.any(axis=0) & ~is_filled(array)
        # What lies between the blocks may be all that there is
        if there.any():
            break
    return array[:, there], array.shape[1]


def is_filled(image: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell where all bands of an image hold one number, which is that of missing pixels.

    It is the largest number of a type, or any below 0. A single band may be saturated.

    Args:
        image: C×N or C×H×W.

    Returns:
        N or H×W.
    """
    filled: NDArray[np.bool_] = np.zeros(image.shape[1:], np.bool_)
    if len(image) < 2:
        return filled
    first = image[0]
    # Below 0, too, where something was subtracted from what is missing
    candidates = np.isin(first, FILLS)
    if image.dtype.kind != 'u':
        candidates |= first < 0
    elif image.dtype.itemsize > 1:
        candidates |= first == np.iinfo(image.dtype).max
    if candidates.any():
        filled = candidates & (image == first).all(axis=0)
    return filled


def numbers_of(
    path: str,
    sample: tuple[NDArray[Any], int],
    bands: Sequence[str],
    nodata: Sequence[float | None],
) -> list[BandNumbers]:
    """Take the numbers of bands from a sample of their file.

    Args:
        path: The file.
        sample: What :func:`sample_pixels` gave.
        bands: Names of its bands.
        nodata: Number of missing pixels of each band; 0 is one where all bands have it.

    Returns:
        The numbers of each band.
    """
    array, count = sample
    parts = []
    for name, values, missing in zip(bands, array, nodata, strict=True):
        kept = values != (0 if missing is None else missing)
        if values.dtype.kind == 'f':
            kept &= np.isfinite(values)
        cover = float(kept.sum()) / max(count, 1)
        parts.append(BandNumbers(name, path, values[kept], cover))
    return parts
