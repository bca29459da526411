# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the numbers of a Sentinel-1 raster are in: dB, power or amplitude."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .....kinds import SARScale
from ....plausibility import DECIBELS, power_of
from ...common import SceneError
from ...formats.radar.names import ScaleTold
from .units import (
    UNITS,
    are_data,
    check_brightness,
    check_darkness,
    check_medians,
    refuse_fill,
    refuse_units,
)

#: Backscatter of single pixels in dB and in power.
PIXELS = {'db': DECIBELS, 'linear': power_of(DECIBELS)}


def find_scale(
    path: str,
    values: Sequence[NDArray[Any]],
    asked: SARScale | Literal['auto'],
    told: ScaleTold | None = None,
    dtype: str | None = None,
) -> SARScale:
    """Tell what a raster is in, and refuse one that is in nothing that is known.

    Args:
        path: The raster, for errors.
        values: Numbers of VV and of VH from all over it. Scale and offset tags are
            applied. NaN, and what programs write for missing pixels, does not count.
        asked: What the user says it is in, which is taken at its word as long as the
            signs of the numbers do not contradict.
        told: What names or metadata say it is in.
        dtype: Type of the numbers; None where a scale tag says what they mean.

    Returns:
        What it is in.

    Raises:
        SceneError: If it holds no backscatter, or is in something else than is said.

    Example:
        >>> find_scale('s1.tif', [np.array([-11.0]), np.array([-17.0])], 'auto')
        'db'
        >>> find_scale('s1.tif', [np.array([0.08]), np.array([0.02])], 'auto')
        'linear'
    """
    known = [band[are_data(band)] for band in values]
    if not known[0].size:
        others = values[0][np.isfinite(values[0]) & (values[0] != 0)]
        if others.size:
            refuse_fill(path, others[0])
        raise SceneError(path, 'holds no values: VV is 0 or missing in all pixels.')
    refuse_units(path, known[0], dtype)
    medians = medians_of(known)
    figures = ' and '.join(f'{median:.4g}' for median in medians)
    negative = medians[0] < 0
    found: SARScale = 'db' if negative else 'linear'
    if asked == 'auto' and told and (told.scale == 'db') != negative:
        also = '' if negative else ", or `sar_scale='amplitude'`"
        raise SceneError(
            path,
            f'contradicts itself: {told.where} means {UNITS[told.scale]}, but the median '
            f'is {figures}, which {"is dB" if negative else "is not dB"}. If the numbers '
            f'are right, give `sar_scale={found!r}`{also}.',
        )
    if asked != 'auto' and (asked == 'db') != negative:
        raise SceneError(
            path,
            f'is in {UNITS[found]}, for the median is {figures}; `sar_scale={asked!r}` '
            f'says {UNITS[asked]}. Leave it out.',
        )
    if negative:
        return 'db'
    if asked != 'auto':
        return asked
    return told.scale if told else 'linear'


def check_levels(
    path: str,
    values: Sequence[NDArray[Any]],
    scale: SARScale,
    asked: SARScale | Literal['auto'],
    told: ScaleTold | None = None,
) -> None:
    """Refuse a raster that no place is as bright or as dark as, in its scale.

    Args:
        path: The raster, for errors.
        values: See :func:`find_scale`.
        scale: What it is in, as found.
        asked: What the user says it is in, of which brightness is no proof.
        told: What names or metadata say it is in.

    Raises:
        SceneError: If it is so.
    """
    medians = medians_of(values)
    where = told.where if told else ''
    if asked == 'auto' and scale == 'amplitude':
        check_darkness(path, medians, where)
    elif asked == 'auto':
        check_brightness(path, medians, where, scale)
    check_medians(path, medians, scale)


def medians_of(values: Sequence[NDArray[Any]]) -> tuple[float, ...]:
    """Medians of what can be backscatter in any unit, of VV and, if it has any, of VH."""
    medians = []
    for band in values:
        kept = band[are_data(band)]
        kept = kept[(kept >= DECIBELS[0]) & (kept <= DECIBELS[1])]
        # What is added to power, so that it has a logarithm, is no signal
        signal = kept[np.abs(kept) >= PIXELS['linear'][0]]
        if (kept := signal if signal.size else kept).size:
            medians.append(float(np.median(kept)))
    return tuple(medians)
