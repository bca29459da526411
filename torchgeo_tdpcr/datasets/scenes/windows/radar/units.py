# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Numbers of a Sentinel-1 raster that are in no unit of backscatter: which, and why."""

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .....kinds import SARScale
from ....plausibility import (
    BRIGHT_DECIBELS,
    DARK_DECIBELS,
    DECIBELS,
    MEDIAN_DECIBELS,
    RADAR_FILLS,
    strays,
    within,
)
from ...common import SceneError

#: Digital numbers of products that are not calibrated have medians above this.
_UNCALIBRATED = 20.0

#: What is not even between these stands for missing pixels.
_FILLS = (-1e6, 1e6)

#: One number everywhere that is not above this stands for missing pixels.
_LOWEST = -9_000.0

CALIBRATE = 'Calibrate it to sigma0 or gamma0 first.'

#: dB between VV and VH that are too few where VH is above the level. In samples they are
#: at least 4.9, and VH at most −15.4.
_NEAR, _NEAR_LEVEL = 4.5, -13.0

#: What is multiplied by the logarithm of a number to get dB.
_LOGARITHMS: dict[SARScale, float] = {'linear': 10.0, 'amplitude': 20.0}

#: Units in words.
UNITS: dict[SARScale, str] = {'db': 'dB', 'linear': 'power', 'amplitude': 'amplitude'}

_TAGS = (
    "tell so: `dataset.scales = ({0}, {0})` in rasterio, opened with 'r+', so that number "
    '× scale is {1}'
)

_SCALED = _TAGS.format('gain', 'dB or power, and `dataset.offsets` likewise')


def are_data(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which numbers of a raster are none that programs write for missing pixels.

    Args:
        values: Any shape.

    Returns:
        As many; false for what is not finite as well.

    Example:
        >>> are_data(np.array([-9.5, 0, -9999, 1e9, np.inf, -99], np.float32)).tolist()
        [True, False, False, False, False, False]
    """
    low, high = _FILLS
    data: NDArray[np.bool_] = (values > low) & (values < high)
    for number in RADAR_FILLS:
        data &= values != number
    return data


def decibels_of(value: float, scale: SARScale) -> float:
    """Turn a number of a scale into dB.

    Example:
        >>> decibels_of(0.1, 'linear'), decibels_of(0.1, 'amplitude')
        (-10.0, -20.0)
    """
    if scale == 'db':
        return value
    return float(_LOGARITHMS[scale] * np.log10(value)) if value > 0 else -np.inf


def refuse_units(path: str, values: NDArray[Any], dtype: str | None) -> None:
    """Refuse a raster whose numbers are in no unit of backscatter.

    Args:
        path: The raster.
        values: Numbers of VV without those for missing pixels, see :func:`are_data`.
        dtype: Their type; None where a scale tag says what they mean.

    Raises:
        SceneError: If they are in none.
    """
    outside = strays(values, DECIBELS)
    inside = values[(values >= DECIBELS[0]) & (values <= DECIBELS[1])]
    integers = dtype is not None and np.dtype(dtype).kind in 'ui'
    if outside.size > inside.size:
        _refuse(path, float(np.median(outside)), dtype if integers else None)
    if not inside.size:
        if values[0] <= _LOWEST:
            refuse_fill(path, values[0])
        _refuse(path, float(values[0]), dtype if integers else None)
    median = float(np.median(inside))
    if median > _UNCALIBRATED or (integers and median > 0):
        _refuse(path, median, dtype if integers else None)


def refuse_fill(path: str, value: float) -> NoReturn:
    """Refuse a raster that holds nothing but what stands for missing pixels."""
    raise SceneError(
        path,
        f'holds no values, only such as {value:.4g}, which stand for missing ones.',
    )


def _refuse(path: str, median: float, integers: str | None) -> NoReturn:
    told = f'has a median of {median:.4g} in VV'
    if median < 0:
        factor = next(
            (factor for factor in (10, 100, 1000) if -40 < median / factor < -2), 100
        )
        raise SceneError(
            path,
            f'{told}, which looks like dB times {factor}. Divide it by {factor}, or '
            f'{_TAGS.format(1 / factor, "dB")}.',
        )
    if integers == 'uint8':
        raise SceneError(
            path,
            f'holds uint8 without a scale tag, and {told}: backscatter that was scaled to '
            f'be looked at. Export it as float32, or, if you know how it was scaled, '
            f'{_SCALED}.',
        )
    if integers:
        raise SceneError(
            path,
            f'holds {integers} without a scale tag, and {told}: digital numbers as ESA '
            'delivers them, or backscatter that was scaled. If it was scaled, '
            f'{_SCALED}. Else: {CALIBRATE}',
        )
    raise SceneError(
        path,
        f'{told}, which is no backscatter: digital numbers as ESA delivers them have such '
        f'amplitudes or intensities. {CALIBRATE}',
    )


def check_medians(path: str, medians: tuple[float, ...], scale: SARScale) -> None:
    """Refuse medians that no place has.

    Args:
        path: The raster.
        medians: Of VV and of VH, as stored.
        scale: What they are in.

    Raises:
        SceneError: If they are such.
    """
    for name, median, limits in zip(
        ('VV', 'VH'), medians, MEDIAN_DECIBELS, strict=False
    ):
        level = decibels_of(median, scale)
        if not within(level, limits):
            low, high = limits
            as_dB = '' if scale == 'db' else f' ({level:.1f} dB)'
            raise SceneError(
                path,
                f'has a median of {median:.4g}{as_dB} in {name}, which is no backscatter '
                f'in {UNITS[scale]}: that would be within {low:g} to {high:g} dB. '
                f'{CALIBRATE} If the band is none of {name}, say the order of bands by '
                '`polarisations`.',
            )


def is_bright(medians: tuple[float, ...], scale: SARScale = 'linear') -> bool:
    """Tell whether power or dB is brighter than any land, so that it may be none.

    Args:
        medians: Of VV and of VH, as stored.
        scale: Which of them it is.

    Example:
        >>> is_bright((0.08, 0.02)), is_bright((0.28, 0.14))
        (False, True)
        >>> is_bright((-11.0, -17.0), 'db'), is_bright((-2.5, -3.9), 'db')
        (False, True)
    """
    # Which is which is another question, which the user may have settled
    levels = sorted((decibels_of(median, scale) for median in medians), reverse=True)
    bright = any(
        level > most for level, most in zip(levels, BRIGHT_DECIBELS, strict=False)
    )
    # Differences in dB are halved as well
    near = levels[0] - levels[-1] < _NEAR and levels[-1] > _NEAR_LEVEL
    return max(levels) <= 0 and (bright or (near and len(levels) > 1))


def check_brightness(
    path: str, medians: tuple[float, ...], where: str, scale: SARScale = 'linear'
) -> None:
    """Refuse power or dB that is brighter than any land: it is in something else.

    Args:
        path: The raster.
        medians: Of VV and of VH, as stored.
        where: What tells the scale, '' if nothing but the sign does.
        scale: Power or dB.

    Raises:
        SceneError: If it is.
    """
    if not is_bright(medians, scale):
        return
    if scale == 'db' and len(set(medians)) == 1:
        # One number everywhere is no logarithm of something else
        return
    if scale == 'db':
        _refuse_bright_decibels(path, medians, where)
    levels = [decibels_of(median, 'linear') for median in medians]
    told = ' and '.join(
        f'{median:.3g} ({level:.1f} dB) in {name}'
        for name, median, level in zip(('VV', 'VH'), medians, levels, strict=False)
    )
    halves = ' and '.join(f'{2 * level:.1f}' for level in levels)
    says = f', as {where} says' if where else ''
    raise SceneError(
        path,
        f'has medians of {told} if it is power{says}: no land is as bright in both (at '
        f'most {BRIGHT_DECIBELS[0]:g} and {BRIGHT_DECIBELS[1]:g} dB, and VH some 5 to 8 dB '
        'below VV). It may be amplitude '
        f"({halves} dB): say so by `sar_scale='amplitude'`. It may be dB that was scaled "
        'to 0…1: turn that back into dB, or tell how by `dataset.scales` and '
        "`dataset.offsets` in rasterio. If it is power even so, give `sar_scale='linear'`.",
    )


def _refuse_bright_decibels(
    path: str, medians: tuple[float, ...], where: str
) -> NoReturn:
    told, natural, twice = (
        ' and '.join(f'{factor * median:.1f}' for median in medians)
        for factor in (1, 10 / np.log(10), 2)
    )
    says = f', as {where} says' if where else ''
    raise SceneError(
        path,
        f'has medians of {told} dB in VV and VH if it is dB{says}: no land is as bright '
        f'in both (at most {BRIGHT_DECIBELS[0]:g} and {BRIGHT_DECIBELS[1]:g} dB, and VH '
        'some 5 to 8 dB below VV). It may be the natural logarithm of power '
        f'({natural} dB): multiply it by 4.343. It may be 10 × log10 of amplitude '
        f'({twice} dB): multiply it by 2. It may have been scaled otherwise. Correct it, '
        'or tell the factor by `dataset.scales` in rasterio. If it is dB even so, give '
        "`sar_scale='db'`.",
    )


def check_darkness(path: str, medians: tuple[float, ...], where: str) -> None:
    """Refuse amplitude that is darker than any place, which is power.

    Args:
        path: The raster.
        medians: Of VV and of VH, as stored.
        where: What tells that it is amplitude.

    Raises:
        SceneError: If it is.
    """
    level = decibels_of(medians[-1], 'amplitude')
    if len(medians) > 1 and level < DARK_DECIBELS:
        raise SceneError(
            path,
            f'has a median of {medians[-1]:.3g} in VH. As amplitude, which {where} means, '
            f'that is {level:.1f} dB, darker than any place; as power it is '
            f"{level / 2:.1f} dB. Say what it is by `sar_scale='linear'` or "
            "`sar_scale='amplitude'`.",
        )
