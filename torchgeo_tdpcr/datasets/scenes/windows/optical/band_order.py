# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whether bands that nothing names are in the usual order, as far as pixels tell.

Neighbours in wavelength are alike: in their level, and pixel by pixel. So of the orders
that programs make, the true one puts the most alike side by side. The darkest band of
level 1C is B10, wherever it stands. Thresholds are from real images of level 1C and 2A,
clear and cloudy, see the tests: there the usual order is never refused, and others always
are but for those that only put red before blue, which some images don't tell. Nothing
tells where there is no contrast, as over open water.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .....transforms.bands import BASELINE_OFFSET, SENTINEL2_BANDS

_USUAL = tuple(SENTINEL2_BANDS)
_NUMBERED = tuple(band for band in _USUAL if band != 'B8A')
_COARSE = ('B5', 'B6', 'B7', 'B8A', 'B11', 'B12', 'B1', 'B9', 'B10')

#: Orders that programs make, and by whom they are known.
_ORDERS = {
    'with B8A last, as gdalbuildvrt makes of a folder': (*_NUMBERED, 'B8A'),
    'by resolution, from 10 to 60 m': ('B2', 'B3', 'B4', 'B8', *_COARSE),
    'by resolution, red first': ('B4', 'B3', 'B2', 'B8', *_COARSE),
    'by names without zeros (B1, B10, B11, …)': (
        *('B1', 'B10', 'B11', 'B12', 'B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8'),
        *('B8A', 'B9'),
    ),
    'by names without zeros, B8A last': (
        *('B1', 'B10', 'B11', 'B12', 'B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8'),
        *('B9', 'B8A'),
    ),
    'from long to short wavelengths': _USUAL[::-1],
    'with red, green and blue first': ('B4', 'B3', 'B2', 'B1', *_USUAL[4:]),
    'with red, green, blue and near infrared first': (
        *('B4', 'B3', 'B2', 'B8', 'B1', 'B5', 'B6', 'B7', 'B8A', 'B9', 'B10', 'B11'),
        'B12',
    ),
}

#: Bands that are alike, on the ground and in clouds.
_ALIKE = (
    *(('B1', 'B2'), ('B2', 'B3'), ('B3', 'B4'), ('B4', 'B5'), ('B6', 'B7')),
    *(('B7', 'B8A'), ('B8', 'B8A'), ('B7', 'B8'), ('B11', 'B12')),
)

#: So many times less alike than in another order, the usual order is refused. It never
#: was above 0.99 where it was true, nor below 1.23 where another of these was.
_UNLIKE = 1.1

#: Pixels that tell an order as well as more do.
_PIXELS = 10_000

#: A band is darker than another if this much lower, and a third of it.
_DARKER = 150.0

#: Classes and masks: no more values than this, and none above it but that of all bits.
_CLASSES = 11


def order_fault(image: NDArray[Any]) -> str:
    """Tell why bands cannot be in the usual order.

    Args:
        image: Digital numbers of all bands, 13 or 12 (without B10), at the same pixels,
            none of them missing; of shape C×N.

    Returns:
        What was seen, in words; '' if nothing speaks against it.

    Example:
        >>> noise = np.random.default_rng(0).normal(0, 20, (13, 500))
        >>> level = [1377, 1142, 1029, 1003, 1202, 1690, 1930, 1900, 2126, 744, 16]
        >>> image = np.maximum(np.array([*level, 1898, 1283])[:, None] + noise, 1)
        >>> order_fault(image)
        ''
        >>> order_fault(image[[0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 8]])[:53]
        'the darkest band is number 10, where B9 should stand;'
    """
    image = image[:, :: max(image.shape[1] // _PIXELS, 1)]
    if image.shape[1] < 2 or (np.median(image, axis=1) <= 0).any():
        return ''
    if fault := _classes(image):
        return fault
    usual = tuple(band for band in _USUAL if band != 'B10' or len(image) == len(_USUAL))
    medians = np.median(image, axis=1)
    if fault := _misplaced_b10(medians, usual):
        return fault
    if fault := _red_first(medians, usual):
        return fault
    unlike = _unlikeness(image)

    def total(order: Sequence[str]) -> float:
        place = {
            band: i for i, band in enumerate(band for band in order if band in usual)
        }
        return float(sum(unlike[place[a], place[b]] for a, b in _ALIKE))

    name, least = min(
        ((name, total(order)) for name, order in _ORDERS.items()),
        key=lambda item: item[1],
    )
    ratio = total(usual) / max(least, 1e-9)
    if ratio > _UNLIKE:
        order = [band for band in _ORDERS[name] if band in usual]
        return (
            f'neighbouring bands are {ratio:.1f} times less alike in the usual order than '
            f'in the order {name}: {" ".join(order)}'
        )
    return ''


def _classes(image: NDArray[Any]) -> str:
    for i, band in enumerate(image):
        # B10 of level 1C is as dark as this
        if len(image) == len(_USUAL) and i == _USUAL.index('B10'):
            continue
        values = np.unique(band)
        few = values[values != np.iinfo(np.uint8).max]
        whole = bool((few == np.round(few)).all())
        if (
            len(few) <= _CLASSES + 1
            and whole
            and (not few.size or few.max() <= _CLASSES)
        ):
            if (
                len(values) == 1
                and values[0] != np.iinfo(np.uint8).max
                and values[0] > 1
            ):
                continue
            told = ', '.join(f'{value:g}' for value in values)
            return f'band {i + 1} holds nothing but {told}, which are classes or a mask'
    return ''


def _misplaced_b10(medians: NDArray[np.float64], usual: Sequence[str]) -> str:
    if 'B10' not in usual:
        return ''
    place = usual.index('B10')
    darkest = int(medians.argmin())
    low = float(medians[darkest])
    base = BASELINE_OFFSET if low > 0.9 * BASELINE_OFFSET else 0
    if medians[place] - low <= max(_DARKER, 2 * (low - base)):
        return ''
    return (
        f'the darkest band is number {darkest + 1}, where {usual[darkest]} should stand; '
        f'number {place + 1}, where B10 should stand, has a median of {medians[place]:g}'
    )


def _red_first(medians: NDArray[np.float64], usual: Sequence[str]) -> str:
    """Level 1C brightens from red to coastal blue, as air does; only deserts don't."""
    first = medians[:5]
    rising = bool((np.diff(first[:4]) > 0.02 * first[:3]).all())
    if 'B10' not in usual or not rising or first[4] > 0.97 * first[3]:
        return ''
    told = ', '.join(f'{median:g}' for median in first)
    return f'its first bands have medians of {told}, as red, green, blue and B1 have'


def _unlikeness(image: NDArray[Any]) -> NDArray[np.float64]:
    """How unlike bands are: in level, in contrast, and pixel by pixel; C×C."""
    floor = BASELINE_OFFSET if image.min() > 0.9 * BASELINE_OFFSET else 0
    logs = np.log(np.maximum(image.astype(np.float64) - floor, 10.0))
    with np.errstate(invalid='ignore', divide='ignore'):
        apart = 1 - np.nan_to_num(np.corrcoef(logs))
    levels = np.empty_like(apart)
    contrasts = np.empty_like(apart)
    for i, first in enumerate(logs):
        gaps = first - logs
        middle = np.median(gaps, axis=1)
        levels[i] = np.abs(middle)
        contrasts[i] = np.abs(gaps - middle[:, None]).mean(axis=1)
    total: NDArray[np.float64] = apart + levels + contrasts
    return total
