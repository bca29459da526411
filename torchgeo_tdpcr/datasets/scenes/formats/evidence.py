# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What tells the offset of a product's digital numbers, and whether all that agrees.

A piece of evidence is a name, metadata, tags, or the numbers themselves. None is believed
against another: where two disagree, only the user can say what holds.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....transforms.bands import BASELINE_OFFSET, QUANTIFICATION
from ...plausibility import B10_OFFSET_RANGE, B10_WITH_OFFSET, OFFSETS, Range, within
from ..common import SceneError

#: First processing baseline whose numbers carry an offset.
_FIRST = (4, 0)

#: Products that people process themselves are of this baseline, which tells nothing.
_UNKNOWN = (99, 99)

_BASELINE = re.compile(r'S2[A-Z]_.*MSI.*_N(\d{2})\.?(\d{2})(?=[_.]|$)')

#: Of a reduced B10, this part may be mixed with missing pixels: overviews of files that
#: do not declare them are averages.
_MIXED = 0.01

#: Part of a band's pixels, and a number. With an offset, fewer are as low, for they would
#: reflect less than nothing: hardly any at the top of the atmosphere; on the ground, where
#: correction may take too much, not as many.
LOW_AT_TOP, _LOW_ON_GROUND = (0.03, 980.0), (0.25, 500.0)

#: Scale of the reflectance of Landsat's Collection 2.
_LANDSAT_SCALE = 2.75e-5

#: Cirrus that lifts B10 lifts the other short-wave bands by more than this times as much.
_CIRRUS_RATIO = 1.3

#: Where the lowest numbers of an image lie that carries an offset: dark ground reflects
#: little more than nothing.
_LOW_WITH_OFFSET: Range = (960.0, 1_300.0)

ADVICE = (
    'Give `offset`: 1000 of processing baseline 04.00 and later, whatever the day of the '
    'image, for old ones have been processed anew; 0 of those before, or where it was '
    'removed.'
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that tells the offset.

    Args:
        what: What it is and where it is from.
        offset: The offset that it means; None if it means none that there is.
        decides: Whether it suffices by itself. What does not is only compared.
        tags: Whether it is tags, which say nothing where the user says the scale.

    Example:
        >>> str(Evidence('baseline 02.09', 0))
        'baseline 02.09 means offset 0'
    """

    what: str
    offset: int | None
    decides: bool = True
    tags: bool = False

    def __str__(self) -> str:
        """Say it."""
        return f'{self.what} means offset {self.offset}'


def of_baseline(where: str, major: int, minor: int) -> list[Evidence]:
    """Evidence of a processing baseline; none of one that tells nothing.

    It does not suffice: names outlive what is done to numbers.

    Example:
        >>> of_baseline("'a.xml'", 5, 9)[0].offset
        1000
    """
    if (major, minor) >= _UNKNOWN:
        return []
    what = f'baseline {major:02d}.{minor:02d} in {where}'
    return [Evidence(what, BASELINE_OFFSET if (major, minor) >= _FIRST else 0, False)]


def of_name(name: str) -> list[Evidence]:
    """Evidence of the processing baseline in a name; none where it has none.

    Example:
        >>> name = 'S2A_MSIL1C_20190604T100031_N0207_R122_T32TQM_20190604T121222.SAFE'
        >>> of_name(name)[0].offset, of_name('site_N4807_E1133.tif')
        (0, [])
    """
    match = _BASELINE.search(name)
    if match is None:
        return []
    return of_baseline(f"the name '{name}'", int(match[1]), int(match[2]))


def of_values(what: str, values: Sequence[float]) -> Evidence:
    """Evidence of the offsets of bands, which must be one, and one that there is.

    Example:
        >>> of_values('the list', [1000.0, 1000.0]).offset, of_values('it', [500]).offset
        (1000, None)
        >>> of_values('the list', [1000.0, 999.0]).what
        'the list (999 to 1000)'
    """
    low, high = min(values), max(values)
    told = f'{low:g}' if low == high else f'{low:g} to {high:g}'
    known = low if low == high and low in OFFSETS else None
    return Evidence(f'{what} ({told})', None if known is None else int(known))


def is_digital(scale: float) -> bool:
    """Tell whether a scale is that of digital numbers, 0.0001.

    Example:
        >>> is_digital(1e-4), is_digital(1.0)
        (True, False)
    """
    return isclose(scale, 1 / QUANTIFICATION, rel_tol=1e-3)


def of_tags(tags: Sequence[tuple[str, float, float]]) -> list[Evidence]:
    """Evidence of the scale and offset that bands are tagged with; none where they are not.

    Args:
        tags: File, scale and offset of each band; 1 and 0 are no tags. Tags of another
            scale than that of digital numbers are applied, so that no offset is left.

    Raises:
        SceneError: If a scale is none.

    Example:
        >>> of_tags([('a.tif', 1e-4, -0.1)] * 13)[0].offset
        1000
    """
    offsets = []
    for path, scale, offset in tags:
        if not 0 < scale <= 1:
            raise SceneError(
                path,
                f'has the scale {scale:g} and the offset {offset:g} as tags, which make no '
                f'reflectance of numbers; those of digital numbers are '
                f'{1 / QUANTIFICATION:g} and 0 or -0.1. Correct them, or take them off.',
            )
        if (scale, offset) == (1, 0):
            continue
        if isclose(scale, _LANDSAT_SCALE):
            raise SceneError(
                path,
                f'has the scale {scale:g}, which is that of Landsat. Give Sentinel-2.',
            )
        # To a digit, for scales are rarely exact; −0 is 0
        shift = float(np.round(-offset / scale)) + 0.0
        offsets.append(shift if is_digital(scale) or not np.isfinite(shift) else 0.0)
    if not offsets:
        return []
    if len(offsets) < len(tags):
        what = f'scale and offset tags of {len(offsets)} of {len(tags)} bands only'
        return [Evidence(what, None, tags=True)]
    found = of_values('the scale and offset tags of its bands', offsets)
    return [replace(found, tags=True)]


def of_numbers(samples: Mapping[str, NDArray[Any]]) -> list[Evidence]:
    """Evidence of the digital numbers.

    B10 decides where it is as low as it is without clouds. Where cirrus may be what lifts
    it, the other bands tell, which cirrus lifts even more.

    Args:
        samples: Numbers of bands, without missing pixels. B10, where it is among them,
            tells of level 1C. Low numbers of the others tell that there is no offset.

    Returns:
        What they tell; nothing where they leave it open.

    Example:
        >>> samples = {'B10': np.array([1012, 1015]), 'B12': np.array([1300, 420])}
        >>> [piece.offset for piece in of_numbers(samples)]
        [1000, 0]
        >>> cirrus = {'B10': np.array([960, 966]), 'B12': np.array([1300, 1420])}
        >>> of_numbers(cirrus)
        []
        >>> of_numbers(cirrus | {'B11': np.array([2300, 700])})[0].offset
        0
    """
    pieces = []
    b10 = samples.get('B10')
    part, limit = _LOW_ON_GROUND if b10 is None else LOW_AT_TOP
    lows = {
        band: float(np.quantile(numbers, part, method='lower'))
        for band, numbers in samples.items()
        if band != 'B10' and numbers.size
    }
    if b10 is not None and b10.size:
        lowest = float(np.quantile(b10, _MIXED, method='lower'))
        pieces += _of_b10(lowest, lows)
    band = min(lows, key=lambda band: lows[band], default='')
    if lows and lows[band] < limit:
        what = f'band {band} ({part:.0%} of it at most {lows[band]:g})'
        pieces.append(Evidence(what, 0))
    return pieces


def _of_b10(lowest: float, lows: Mapping[str, float]) -> list[Evidence]:
    what = f'band B10 (not below {lowest:g})'
    if lowest <= B10_WITH_OFFSET:
        return [Evidence(what, 0)]
    low, high = B10_OFFSET_RANGE
    if lowest < low:
        return []
    if lowest <= high:
        return [Evidence(what, BASELINE_OFFSET)]
    short = [lows[band] for band in ('B11', 'B12') if band in lows]
    if short and min(short) < _CIRRUS_RATIO * lowest:
        return [Evidence(what, BASELINE_OFFSET)]
    return []


def doubt_of(offset: float, samples: Mapping[str, NDArray[Any]]) -> str:
    """Tell what digital numbers have against an offset that the user says.

    Args:
        offset: The offset.
        samples: Numbers of bands, without missing pixels.

    Returns:
        What speaks against it in words, '' if nothing.

    Example:
        >>> doubt_of(0, {'B2': np.array([1102, 1530]), 'B8': np.array([3000, 3500])})
        'no band has numbers below 1102, as where 1000 is on top'
        >>> doubt_of(0, {'B2': np.array([410, 830]), 'B8': np.array([3000, 3500])})
        ''
    """
    for piece in of_numbers(samples):
        if piece.offset != offset:
            return str(piece)
    lows = [
        float(np.quantile(numbers, _MIXED, method='lower'))
        for band, numbers in samples.items()
        if band != 'B10' and numbers.size
    ]
    if offset == 0 and lows and within(min(lows), _LOW_WITH_OFFSET):
        return f'no band has numbers below {min(lows):g}, as where 1000 is on top'
    return ''


def settle(path: str | PathLike[str], pieces: Sequence[Evidence]) -> int | None:
    """Compare all evidence.

    Args:
        path: The product.
        pieces: What tells its offset.

    Returns:
        The offset that all agree upon; None if nothing that suffices is among them.

    Raises:
        SceneError: If two pieces disagree, or one tells an offset that no baseline has.

    Example:
        >>> pieces = [*of_name('S2A_MSIL1C_N0209'), of_values('its tags', [1000.0])]
        >>> try:
        ...     settle('S2A_MSIL1C_N0209', pieces)
        ... except SceneError as error:
        ...     print(error.fault[:80])
        contradicts itself: baseline 02.09 in the name 'S2A_MSIL1C_N0209' means offset 0
    """
    for piece in pieces:
        if piece.offset is None:
            raise SceneError(
                path, f'tells no offset that there is: {piece.what}. {ADVICE}'
            )
        if piece.offset != pieces[0].offset:
            raise SceneError(
                path, f'contradicts itself: {pieces[0]}, but {piece}. {ADVICE}'
            )
    return next((piece.offset for piece in pieces if piece.decides), None)
