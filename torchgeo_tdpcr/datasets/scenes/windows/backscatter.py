# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whether numbers of a Sentinel-1 raster are backscatter, and in dB or in power."""

from collections.abc import Sequence
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...plausibility import DECIBELS, MEDIAN_DECIBELS, power_of, strays, within
from ..common import SARScale, SceneError

type Scale = Literal['db', 'linear']

#: Backscatter of single pixels, and its medians in VV and in VH, by the scale.
PIXELS = {'db': DECIBELS, 'linear': power_of(DECIBELS)}
_MEDIANS = {
    'db': MEDIAN_DECIBELS,
    'linear': tuple(power_of(limits) for limits in MEDIAN_DECIBELS),
}

#: What is not even between these stands for missing pixels.
_FILLS = (-9_000.0, 1e6)

#: Digital numbers of products that are not calibrated have medians above this.
_UNCALIBRATED = 20.0

_CALIBRATE = 'Calibrate it to sigma0 or gamma0 first.'


def find_scale(
    path: str, values: Sequence[NDArray[Any]], asked: SARScale | Literal['auto']
) -> Scale:
    """Tell what a raster is in, and refuse one that is in nothing that is known.

    Args:
        path: The raster, for errors.
        values: Finite numbers of VV and of VH from all over it, without declared
            missing pixels; at least one of VV. Scale and offset tags are applied.
        asked: What the user says it is in.

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
    # 0 is a border, in power as in dB
    known = [band[band != 0] for band in values]
    _refuse_strays(path, known[0])
    inside = [band[(band > DECIBELS[0]) & (band <= DECIBELS[1])] for band in known]
    if not known[0].size:
        raise SceneError(path, 'holds no values: VV is 0 or missing everywhere.')
    medians = [float(np.median(band)) for band in inside if band.size]
    if not inside[0].size:
        _refuse_all(path, float(np.median(known[0])))
    scale: Scale = 'db' if medians[0] < 0 else 'linear'
    told = ' and '.join(f'{median:.4g}' for median in medians)
    if scale == 'linear' and medians[0] > _UNCALIBRATED:
        raise SceneError(
            path, f'has a median of {told}, which is no backscatter. {_CALIBRATE}'
        )
    if asked not in ('auto', scale):
        names = {'db': 'dB', 'linear': 'power'}
        raise SceneError(
            path,
            f'is in {names[scale]}, for the median is {told}; `sar_scale={asked!r}` '
            f'says {names[asked]}. Leave it out.',
        )
    for name, median, limits in zip(
        ('VV', 'VH'), medians, _MEDIANS[scale], strict=False
    ):
        if not within(median, limits):
            low, high = limits
            raise SceneError(
                path,
                f'has a median of {median:.4g} in {name}, which is no backscatter in '
                f'{"dB" if scale == "db" else "power"}: that would be within {low:.3g} '
                f'to {high:.3g}. {_CALIBRATE}',
            )
    return scale


def _refuse_strays(path: str, values: NDArray[Any]) -> None:
    """Refuse a raster most of whose numbers are in no unit of backscatter."""
    outside = strays(values, DECIBELS)
    inside = values[(values >= DECIBELS[0]) & (values <= DECIBELS[1])]
    if outside.size <= inside.size:
        return
    _refuse_all(path, float(np.median(outside)))


def _refuse_all(path: str, median: float) -> NoReturn:
    """Refuse a raster for what its numbers are like."""
    low, high = _FILLS
    if not low < median < high:
        raise SceneError(
            path,
            f'holds no values, only such as {median:.4g}, which stand for missing ones.',
        )
    if median < 0:
        raise SceneError(
            path,
            f'has a median of {median:.4g}, which looks like dB times 100. Divide '
            'it, or tell so: `dataset.scales = (0.01, 0.01)` in rasterio, opened with '
            "'r+'.",
        )
    raise SceneError(
        path, f'has a median of {median:.4g}, which is no backscatter. {_CALIBRATE}'
    )
