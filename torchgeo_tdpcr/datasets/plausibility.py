# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What numbers of Sentinel-1 and -2, pixels and places can be: in one place for all.

Scenes, chips and ``verify`` compare with these ranges, which are wide: what lies outside
is no measurement, whatever was measured. Those of single pixels hold for each pixel;
those of medians hold for an image, of which single pixels may be anything.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grids import Grid

type Range = tuple[float, float]

#: Offsets that digital numbers of Sentinel-2 can carry: before and since baseline 04.00,
#: and after it has been removed.
OFFSETS = (0, 1000)

#: Band B10 has hardly any signal of its own: where even its lowest digital number is above
#: this, an offset was added.
B10_WITH_OFFSET = 900

#: The lowest digital numbers of B10 where an offset was added: noise below, and haze above.
#: Below the range there is no offset; above it, cirrus may be all that lifts B10.
B10_OFFSET_RANGE: Range = (998.0, 1_100.0)

#: Digital numbers of single pixels. Level 2A goes below 0 where its offset was removed.
DIGITAL_NUMBERS: Range = (-2_000.0, 65_535.0)

#: Medians of a band's digital numbers. Overcast scenes reach about 9,000.
MEDIAN_NUMBERS: Range = (-500.0, 20_000.0)

#: Backscatter of single pixels in dB, from no signal at all to the corner reflectors. The
#: lowest that was seen in samples of seven sources is −47; −99 stands for missing pixels.
DECIBELS: Range = (-80.0, 45.0)

#: Medians of VV and of VH in dB. Calm water reaches the noise, about −30.
MEDIAN_DECIBELS: tuple[Range, Range] = ((-45.0, 5.0), (-50.0, -2.0))

#: Medians of VV and of VH in dB that no land exceeds, but amplitude does that is taken for
#: power, and so does dB that was scaled to 0…1. In samples they reach −7.9 and −15.4.
BRIGHT_DECIBELS = (-4.0, -10.5)

#: VH in dB below which no median is, so that it is power that was taken for amplitude.
DARK_DECIBELS = -33.0

#: Numbers that programs write where there is no backscatter, declared or not.
RADAR_FILLS = (0.0, -99.0, -999.0, -9999.0, -32768.0, 9999.0)

#: Optical thickness of clouds.
THICKNESS: Range = (0.0, 10_000.0)

#: Side of a pixel in metres.
PIXEL_METRES: Range = (0.05, 5_000.0)

#: Coordinates of an edge, in metres, of any projection of the Earth.
PROJECTED = 1e8

#: Least number that most pixels of B1 and B2 have in level 1C, without offset: air alone
#: reflects about 0.06 there. Of 36 real images the darkest has a median of 743.
AIR_LIGHT = 300.0

#: Numbers of an image that are not above this are percent, or grey values of 8 bits: on
#: the ground, too, some band of visible light has brighter pixels.
GREY = 255.0

#: What hardly a pixel of visible light and near infrared is above. Thick clouds reach
#: 17,000.
TOO_BRIGHT = 30_000.0

#: Numbers above this, beside dark ones, have gone below 0 in a type that has none below.
WRAPPED = 60_000.0

#: Digital numbers that programs write for missing pixels; where all bands have one.
FILLS = (32_767, 65_534, 65_535)

#: Medians of reflectance. Thick clouds reach 1.07.
MEDIAN_REFLECTANCE: Range = (-0.05, 1.3)

#: Near infrared that is this much brighter than red is land, and land has pixels above the
#: number. Of real images, the darkest has 1,230 there.
LAND_RATIO, LAND_NUMBERS = 1.2, 1_000.0

#: Medians that only what is white has, that is snow and clouds: then blue, red and near
#: infrared are alike, and differ by this factor at most.
WHITE_ONLY, WHITENESS = 8_000.0, 1.35

#: Ground size of a pixel of Sentinel-2's finest bands, from nearest to furthest.
TEN_METRES: Range = (6.5, 15.0)

#: Years in which Sentinel-2 can have seen something.
YEARS = (2014, 2100)

_METRES_PER_DEGREE = 111_320.0


def power_of(decibels: Range) -> Range:
    """Turn a range in dB into one of linear power.

    Example:
        >>> power_of((-10.0, 10.0))
        (0.1, 10.0)
    """
    return 10 ** (decibels[0] / 10), 10 ** (decibels[1] / 10)


def check_offset(offset: float | str) -> None:
    """Refuse offsets that no baseline has.

    Args:
        offset: What digital numbers carry on top, or ``'auto'``.

    Raises:
        ValueError: If it is neither 0 nor 1000 nor ``'auto'``.
    """
    if offset != 'auto' and offset not in OFFSETS:
        raise ValueError(
            f'`offset={offset!r}`: no processing baseline has it. Give 1000 '
            "(baseline 04.00 and later), 0 (before, or where it was removed) or 'auto'."
        )


def holds_only(dtype: np.dtype[Any], limits: Range) -> bool:
    """Tell whether a type can hold no number beyond a range, so that none is looked for.

    Example:
        >>> holds_only(np.dtype('uint16'), DIGITAL_NUMBERS)
        True
    """
    if dtype.kind not in 'ui':
        return False
    info = np.iinfo(dtype)
    return limits[0] <= info.min and info.max <= limits[1]


def pixel_fault(array: NDArray[Any], limits: Range, what: str) -> str:
    """Tell which numbers of an array are none, or beyond their range.

    Args:
        array: Any shape.
        limits: The range.
        what: What the numbers are.

    Returns:
        The fault in words, '' if none.

    Example:
        >>> pixel_fault(np.array([-9.0, 1e30]), DECIBELS, 'backscatter in dB')
        'holds 1 values such as 1e+30; backscatter in dB is within -80 to 45'
        >>> pixel_fault(np.array([-9.0, np.nan]), DECIBELS, 'backscatter in dB')
        'holds 1 NaN or infinite values'
    """
    low, high = limits
    # Two passes without copies for what is right; a NaN makes both ends NaN
    if (
        not array.size
        or holds_only(array.dtype, limits)
        or (array.min() >= low and array.max() <= high)
    ):
        return ''
    if array.dtype.kind == 'f' and (bad := int((~np.isfinite(array)).sum())):
        return f'holds {bad} NaN or infinite values'
    outside = array[(array < low) | (array > high)]
    return (
        f'holds {outside.size} values such as {outside.flat[0]:g}; {what} is within '
        f'{low:g} to {high:g}'
    )


def without_fill(values: NDArray[Any], limits: Range) -> NDArray[Any]:
    """Leave out the number that stands for missing pixels, where one does.

    Args:
        values: A sample of an image, all finite.
        limits: The range of what was measured.

    Returns:
        The sample without the most frequent number beyond the range, if that is half of
        all beyond.

    Example:
        >>> without_fill(np.array([-9.0, -9999.0, -9999.0, -1200.0]), DECIBELS).tolist()
        [-9.0, -1200.0]
    """
    outside = values[(values < limits[0]) | (values > limits[1])]
    if outside.size:
        numbers, counts = np.unique(outside, return_counts=True)
        if 2 * counts.max() >= outside.size:
            kept: NDArray[Any] = values[values != numbers[counts.argmax()]]
            return kept
    return values


def strays(values: NDArray[Any], limits: Range) -> NDArray[Any]:
    """Numbers beyond a range, without the one that stands for missing pixels.

    Args:
        values: A sample of an image, all finite.
        limits: The range.

    Returns:
        The numbers beyond, see :func:`without_fill`.

    Example:
        >>> strays(np.array([-9.0, -9999.0, -9999.0, -1200.0]), DECIBELS).tolist()
        [-1200.0]
    """
    known = without_fill(values, limits)
    outside: NDArray[Any] = known[(known < limits[0]) | (known > limits[1])]
    return outside


def within(value: float, limits: Range) -> bool:
    """Tell whether a number is within a range; NaN is not."""
    return bool(limits[0] <= value <= limits[1])


def grid_fault(grid: Grid) -> str:
    """Tell why a grid cannot lie on the Earth.

    Args:
        grid: The pixels; the CRS may be None, then only the numbers are looked at.

    Returns:
        The fault in words, '' if none.

    Example:
        >>> grid_fault(Grid.from_epsg(32632, 6e5, 5e6, 1e-30, 1e-30, 256, 256))
        'has pixels of 1e-30×1e-30 m; 0.05 to 5000 m are possible'
        >>> grid_fault(Grid.from_epsg(4326, 6e5, 5e6, 1e-4, 1e-4, 256, 256))
        'lies at 600000, 5e+06, which is no longitude and latitude'
    """
    numbers = tuple(grid.transform)[:6]
    if not np.isfinite(numbers).all():
        return f'has a geotransform that is no number: {numbers}'
    a, b, _, d, e, _ = numbers
    geographic = grid.crs is not None and grid.crs.is_geographic
    metres = _METRES_PER_DEGREE if geographic else _unit(grid)
    across, down = float(np.hypot(a, d)), float(np.hypot(b, e))
    low, high = PIXEL_METRES
    if not all(within(side * metres, PIXEL_METRES) for side in (across, down)):
        unit = '°' if geographic else ' m' if metres == 1 else f'×{metres:g} m'
        limits = (
            f'{low / metres:.1g} to {high / metres:.1g}°'
            if geographic
            else f'{low:g} to {high:g} m'
        )
        return f'has pixels of {across:g}×{down:g}{unit}; {limits} are possible'
    corners = _corners(grid)
    x, y = np.abs(corners).max(axis=0)
    if geographic and (x > 540 or y > 91):
        west, north = corners[0]
        return f'lies at {west:g}, {north:g}, which is no longitude and latitude'
    if not geographic and max(x, y) * metres > PROJECTED:
        return f'lies at {grid.x:g}, {grid.y:g}, which is nowhere on the Earth'
    return ''


def _unit(grid: Grid) -> float:
    """Metres of a unit of a CRS that is no longitude and latitude."""
    if grid.crs is None:
        return 1.0
    try:
        return float(grid.crs.linear_units_factor[1])
    except Exception:  # of rasterio, for a CRS that tells no unit
        return 1.0


def _corners(grid: Grid) -> NDArray[np.float64]:
    places: Sequence[tuple[int, int]] = (
        (0, 0),
        (grid.width, 0),
        (0, grid.height),
        (grid.width, grid.height),
    )
    return np.array([grid.transform @ place for place in places], np.float64)
