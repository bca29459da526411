# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the numbers of a Sentinel-2 product are in, or that they are in nothing known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .....transforms.bands import BASELINE_OFFSET, QUANTIFICATION
from ....plausibility import (
    AIR_LIGHT,
    DIGITAL_NUMBERS,
    FILLS,
    GREY,
    LAND_NUMBERS,
    LAND_RATIO,
    MEDIAN_NUMBERS,
    MEDIAN_REFLECTANCE,
    TOO_BRIGHT,
    WHITE_ONLY,
    WHITENESS,
    WRAPPED,
    strays,
    within,
)
from ...common import SceneError
from ...formats.evidence import LOW_AT_TOP
from .numbers import BandNumbers

#: Numbers whose 99th percentile is below this are reflectances.
_REFLECTANCE = 3.0

#: Reflectance is below this.
_UNITS = 10.0

#: Part of a band that may be beyond the range of digital numbers.
_STRAYS = 0.01

#: Part of a band that is too much to be noise.
_FEW = 0.001

#: Bands that are bright enough, on any ground, to tell what numbers are in.
_TELLING = ('B1', 'B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8', 'B8A')


def find_scale(samples: Sequence[BandNumbers]) -> float:
    """Tell what numbers are in that nothing says of, and refuse what is nothing known.

    Args:
        samples: Numbers of the bands that are read.

    Returns:
        Reflectance of one unit: 1, or 0.0001 for digital numbers.

    Raises:
        SceneError: If they seem to be neither.

    Example:
        >>> dark, bright = np.array([0.03, 0.05]), np.array([0.2, 0.3])
        >>> find_scale([BandNumbers('B2', 'a', dark), BandNumbers('B8', 'a', bright)])
        1.0
        >>> find_scale([BandNumbers('B8', 'a', np.array([1900, 2200], np.uint16))])
        0.0001
    """
    digital = 1 / QUANTIFICATION
    telling = [part for part in samples if part.values.size and part.band in _TELLING]
    if not telling:
        return _scale_of_dark(samples)
    for part in telling:
        if part.values.dtype.itemsize == 1:
            raise SceneError(
                part.path,
                f'holds {part.values.dtype}: a picture, of which nobody knows how it was '
                'stretched. Give the digital numbers or the reflectance; or, if you know '
                'the reflectance of one unit, say it as `scale`.',
            )
    # Of each what is bright, but not what is out of range
    tops = [(_top(part.values), part) for part in telling]
    top, part = max(tops, key=lambda item: item[0])
    if top <= 0:
        return digital  # and refused, for what they are
    real = all(part.values.dtype.kind == 'f' for part in telling)
    if real and top < _REFLECTANCE:
        _refuse_normalised(telling)
        return 1.0
    if top <= GREY:
        raise SceneError(
            part.path,
            f'has hardly any number above {top:.4g} in {part.band}, its brightest band: '
            'percent, or grey values of 8 bits, rather than digital numbers, which are '
            f'reflectance × {QUANTIFICATION}. Say the reflectance of one unit as `scale`: '
            f'0.01 for percent, {digital:g} if they are digital numbers after all.',
        )
    _refuse_wrapped(samples)
    _refuse_stretched(telling)
    _refuse_thousands(telling)
    _refuse_dark_air(samples)
    return digital


def _refuse_normalised(samples: Sequence[BandNumbers]) -> None:
    """Refuse real numbers around 0 and 1 that are no reflectance."""
    low, high = MEDIAN_REFLECTANCE
    for part in samples:
        # Without what stands for missing pixels
        inside = part.values[(part.values > -1) & (part.values < _UNITS)]
        median = float(np.median(inside)) if inside.size else 0.0
        if not within(median, (low, high)):
            raise SceneError(
                part.path,
                f'has a median of {median:.3g} in {part.band}, which is no reflectance: '
                f'that would be within {low:g} to {high:g}. It may have been normalised. '
                'Give the reflectance; or, if you know the reflectance of one unit, say '
                'it as `scale`.',
            )


def _refuse_thousands(samples: Sequence[BandNumbers]) -> None:
    """Refuse land that is too dark for any, as reflectance × 1000 is."""
    numbers = {part.band: part for part in samples}
    bright = next(
        (numbers[band] for band in ('B8', 'B8A', 'B7') if band in numbers), None
    )
    if bright is None or 'B4' not in numbers:
        return
    median = float(np.median(bright.values))
    red = float(np.median(numbers['B4'].values))
    top = float(np.quantile(bright.values, 0.95))
    if median > LAND_RATIO * red and top < LAND_NUMBERS:
        raise SceneError(
            bright.path,
            f'has a median of {median:g} in {bright.band}, and 95 % of it up to {top:g}, '
            f'beside {red:g} in B4: land, which is brighter in digital numbers. '
            'Reflectance × 1000 looks so. Say the reflectance of one unit as `scale`: '
            f'0.001, or {1 / QUANTIFICATION:g} if they are digital numbers after all.',
        )


def _refuse_wrapped(samples: Sequence[BandNumbers]) -> None:
    """Refuse numbers that went below 0 in a type that has none below."""
    for part in samples:
        if part.values.dtype != np.uint16:
            continue
        high = float(((part.values > WRAPPED) & (part.values < FILLS[-1])).mean())
        if high > _FEW and np.quantile(part.values, 0.9) < TOO_BRIGHT:
            raise SceneError(
                part.path,
                f'has {high:.1%} of numbers above {WRAPPED:g} in {part.band}, beside dark '
                'ones: numbers below 0 of a type that has none, as when an offset was '
                'subtracted. Make it anew as int16 or float32.',
            )


def _scale_of_dark(samples: Sequence[BandNumbers]) -> float:
    """Of bands that may be dark anywhere, only the type tells."""
    known = [part.values for part in samples if part.values.size]
    real = bool(known) and all(values.dtype.kind == 'f' for values in known)
    return 1.0 if real and max(map(_top, known)) < _REFLECTANCE else 1 / QUANTIFICATION


def _top(values: NDArray[Any]) -> float:
    inside = values[(values >= DIGITAL_NUMBERS[0]) & (values <= DIGITAL_NUMBERS[1])]
    return float(np.quantile(inside, 0.99)) if inside.size else 0.0


def _refuse_stretched(samples: Sequence[BandNumbers]) -> None:
    """Refuse reflectance × 65535 and the like, as darker things would be white."""
    medians = {part.band: float(np.median(part.values)) for part in samples}
    band = max(medians, key=lambda band: medians[band])
    highest = medians[band]
    top = max(_top(part.values) for part in samples)
    colours = [medians[name] for name in ('B2', 'B4', 'B8') if name in medians]
    coloured = len(colours) > 1 and max(colours) > WHITENESS * min(colours)
    if not (
        highest <= MEDIAN_NUMBERS[1]
        and (top > TOO_BRIGHT or (highest > WHITE_ONLY and coloured))
    ):
        return
    told = ', '.join(f'{name} {median:g}' for name, median in medians.items())
    raise SceneError(
        next(part.path for part in samples if part.band == band),
        f'has medians of {told}, and numbers up to {top:.4g}, which are no digital '
        'numbers: only snow and clouds are nearly as bright, and those are white. '
        'Reflectance × 65535 looks so. Say the reflectance of one unit as `scale`, '
        'such as 1/65535.',
    )


def _refuse_dark_air(samples: Sequence[BandNumbers]) -> None:
    """Refuse level 1C whose blue is darker than the air above."""
    numbers = {part.band: part for part in samples if part.values.size}
    if 'B10' not in numbers:
        return
    lowest = min(
        float(np.quantile(part.values, LOW_AT_TOP[0])) for part in numbers.values()
    )
    base = BASELINE_OFFSET if lowest > 0.9 * BASELINE_OFFSET else 0
    for band in ('B1', 'B2'):
        if band not in numbers:
            continue
        median = float(np.median(numbers[band].values)) - base
        if median < AIR_LIGHT:
            raise SceneError(
                numbers[band].path,
                f'has a median of {median:g} in {band}, which is less than air alone '
                f'reflects at level 1C; digital numbers are reflectance × '
                f'{QUANTIFICATION}. Say the reflectance of one unit as `scale`.',
            )


def check_numbers(numbers: BandNumbers) -> None:
    """Refuse a band that holds no digital numbers.

    Args:
        numbers: What was found in it, as digital numbers.

    Raises:
        SceneError: If it does.
    """
    band, path, values, _ = numbers
    if not values.size or values.dtype.kind not in 'uif':
        return
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
        f'reflectance × {QUANTIFICATION}, with a median of {low:g} to {high:g}. Say the '
        'reflectance of one unit as `scale`, such as 1/65535, or declare the number of '
        'missing pixels as nodata.',
    )
