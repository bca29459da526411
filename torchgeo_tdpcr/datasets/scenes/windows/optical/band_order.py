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
from functools import cache
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
    'by resolution, from 20 m': (
        *('B5', 'B6', 'B7', 'B8A', 'B11', 'B12', 'B2', 'B3', 'B4', 'B8', 'B1', 'B9'),
        'B10',
    ),
    'by resolution, from 60 m': (
        *('B1', 'B9', 'B10', 'B2', 'B3', 'B4', 'B8', 'B5', 'B6', 'B7', 'B8A', 'B11'),
        'B12',
    ),
    'with the bands of 60 m last': (
        *('B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8', 'B8A', 'B11', 'B12', 'B1', 'B9'),
        'B10',
    ),
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

#: The same, of any order in which some neighbours stand elsewhere: the usual one never was
#: above 1.46 where it was true, over snow.
_FAR_UNLIKE = 1.7

#: Median of B10 without clouds at most, and how many times brighter all others are.
_B10_LEVEL, _B10_FACTOR = 60.0, 4.0

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
    usual = tuple(band for band in _USUAL if band != 'B10' or len(image) == len(_USUAL))
    if image.shape[1] < 2 or image.max() <= 0:
        return ''
    if fault := _empty(image, usual) or _classes(image):
        return fault
    medians = np.median(image, axis=1)
    if (medians <= 0).any():
        return ''
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
    base = total(usual)
    ratio = base / max(least, 1e-9)
    if base / max(_best_of_moves(unlike, usual), 1e-9) > _FAR_UNLIKE:
        return (
            'neighbouring bands are far less alike than if some were at other places'
            if ratio <= _UNLIKE
            else _told(ratio, name, usual)
        )
    if ratio > _UNLIKE:
        return _told(ratio, name, usual)
    return ''


def _told(ratio: float, name: str, usual: Sequence[str]) -> str:
    order = ' '.join(band for band in _ORDERS[name] if band in usual)
    return (
        f'neighbouring bands are {ratio:.1f} times less alike in the usual order than in '
        f'the order {name}: {order}'
    )


def _empty(image: NDArray[Any], usual: Sequence[str]) -> str:
    """Tell which band holds one number only, where others do not."""
    flat = [bool((band == band[0]).all()) for band in image]
    for i, (name, alone) in enumerate(zip(usual, flat, strict=True)):
        if alone and name != 'B10' and sum(flat) <= len(flat) // 2:
            return f'band {i + 1} holds nothing but {image[i, 0]:g}: a mask or classes'
    return ''


@cache
def _moves(count: int) -> NDArray[np.intp]:
    """Orders of as many bands, of which some neighbours stand elsewhere, turned or not."""
    orders = set()
    for first in range(count):
        for last in range(first + 1, count + 1):
            block = tuple(range(first, last))
            rest = (*range(first), *range(last, count))
            for place in range(len(rest) + 1):
                for part in (block, block[::-1]):
                    orders.add((*rest[:place], *part, *rest[place:]))
    return np.array(sorted(orders))


def _best_of_moves(unlike: NDArray[np.float64], usual: Sequence[str]) -> float:
    """How unlike neighbours are in the best of those orders."""
    orders = _moves(len(usual))
    first, second = ([usual.index(pair[i]) for pair in _ALIKE] for i in range(2))
    totals = unlike[orders[:, first], orders[:, second]].sum(axis=1)
    return float(totals.min())


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
    darkest = int(medians.argmin())
    low = float(medians[darkest])
    base = BASELINE_OFFSET if low > 0.9 * BASELINE_OFFSET else 0
    if 'B10' not in usual:
        second = float(np.sort(medians)[1])
        if 0 <= low - base < _B10_LEVEL and second - base > _B10_FACTOR * _B10_LEVEL:
            return (
                f'band {darkest + 1} has a median of {low:g}, the others of {second:g} and '
                'more, as B10 of level 1C and the others have'
            )
        return ''
    place = usual.index('B10')
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
