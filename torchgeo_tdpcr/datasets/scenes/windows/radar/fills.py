# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Numbers that stand for missing pixels though nobody says so, as both bands tell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...common import SceneError
from .units import are_data

#: Pixels of a sample from which on one number in both bands is no chance.
_MANY = 5

#: Part of the pixels with that number in a band which have it in the other as well. Whole
#: dB of both bands are often equal over water, but as often not.
_MOST = 0.9

#: Of more numbers, several that are equal in both bands are no fills.
_FEW = 3


def fills_of(values: Sequence[NDArray[Any]]) -> tuple[float, ...]:
    """Find numbers that both bands have at once in many pixels: no backscatter does.

    Args:
        values: Numbers of VV and of VH of the same pixels.

    Returns:
        The numbers; none if nothing else is left. The lowest number does not count where
        others are close above it: there backscatter was cut off.

    Example:
        >>> vv = np.array([-9.0, -11, -12, *[-40] * 6])
        >>> vh = np.array([-15.0, -18, -19, *[-40] * 6])
        >>> fills_of([vv, vh])
        (-40.0,)
    """
    vv, vh = values
    there = are_data(vv) & are_data(vh)
    vv, vh = vv[there], vh[there]
    numbers, counts = np.unique(vv[vv == vh], return_counts=True)
    found = [
        float(number)
        for number, count in zip(numbers, counts, strict=True)
        if count >= _MANY
        and count >= _MOST * max((vv == number).sum(), (vh == number).sum())
        and not _is_cut(number, np.concatenate([vv, vh]))
    ]
    if len(found) > _FEW or np.isin(vv[vv == vh], found).sum() == vv.size:
        return ()
    return tuple(found)


def _is_cut(number: float, values: NDArray[Any]) -> bool:
    """Whether a number is the end of others, which come as close as 1 dB."""
    above = values[values > number]
    near = number + 1 if number < 0 else number * 1.26
    return bool(above.size and above.min() < near and not (values < number).any())


def check_bands(path: str, values: Sequence[NDArray[Any]]) -> None:
    """Refuse a raster without VH, or with one band written twice.

    Args:
        path: The raster, for errors.
        values: Numbers of VV and of VH of the same pixels, fills as NaN.

    Raises:
        SceneError: If it is one.
    """
    vv, vh = values
    if not are_data(vv).any():
        return
    if not are_data(vh).any():
        raise SceneError(
            path,
            'holds no values in what is taken for VH: it is 0 or missing in all pixels. '
            'If VH is another band, say so by `polarisations`; else export it anew.',
        )
    there = are_data(vv) & are_data(vh)
    equal = int((vv[there] == vh[there]).sum())
    # One number everywhere tells nothing of what it stands for
    varied = np.ptp(vv[there]) > 0 if equal else False
    if varied and equal >= _MANY and 2 * equal > there.sum():
        raise SceneError(
            path,
            f'has the same number in what is taken for VV and for VH in {equal} of '
            f'{there.sum()} pixels: one band was written twice. Export it anew, or, if '
            'VV and VH are other bands, say so by `polarisations`.',
        )
