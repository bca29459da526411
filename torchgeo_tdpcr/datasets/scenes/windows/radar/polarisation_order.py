# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whether what is taken for VH can be VH, by its numbers."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from .....kinds import SARScale
from ....plausibility import MEDIAN_DECIBELS
from ...common import SceneError
from ...formats.polarisations import RadarProduct
from .backscatter import medians_of
from .units import decibels_of

#: dB by which VH may lie above VV: over calm water both are noise.
_ABOVE = 0.5

#: dB below which all may be noise, and by which VH may lie above VV there.
_NOISE, _ABOVE_NOISE = -22.0, 3.0


def check_order(
    product: RadarProduct, values: Sequence[NDArray[Any]], scale: SARScale
) -> None:
    """Refuse a raster whose VH is brighter than its VV, which is so nowhere.

    Over land and water VH lies 5 to 8 dB below VV. What the user declares is not checked.

    Args:
        product: The raster.
        values: Numbers of VV and of VH from all over it.
        scale: What they are in; None to compare them as power.

    Raises:
        SceneError: If it is so here.
    """
    medians = medians_of(values)
    if product.order == 'declared' or len(medians) < 2:
        return
    vv, vh = (decibels_of(median, scale) for median in medians)
    above = _ABOVE if vh > _NOISE else _ABOVE_NOISE
    if not vv + above < vh <= MEDIAN_DECIBELS[1][1]:
        return
    first, second = product.bands
    told = (
        f'has a median of {vh:.1f} dB in what is taken for VH, and of {vv:.1f} dB in what '
        'is taken for VV; but VH lies below VV, over land and over water.'
    )
    if first.path != second.path and product.order == 'assumed':
        raise SceneError(
            second.path,
            f"{told} VV would be '{first.path}'. Only their order in the list tells which "
            'is which: give them in the other one, or, if it is right, '
            "`polarisations=['VV', 'VH']`.",
        )
    if first.path != second.path:
        raise SceneError(
            second.path,
            f"{told} VV would be '{first.path}'. The names are swapped: correct them. "
            "If they are right, say so by `polarisations=['VV', 'VH']`.",
        )
    order = ['other'] * product.headers[first.path].count
    order[first.index - 1], order[second.index - 1] = 'VH', 'VV'
    by = (
        'its descriptions' if product.order == 'named' else 'the usual order, VV and VH'
    )
    right = ['VH' if name == 'VV' else 'VV' if name == 'VH' else name for name in order]
    raise SceneError(
        first.path,
        f'{told} Which is which was told by {by}. Give `polarisations={order}`, the order '
        f'that the numbers have, or `polarisations={right}` if it is right as it is.',
    )
