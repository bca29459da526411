# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How the numbers of a Sentinel-2 product become digital numbers, and their offset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .....transforms.bands import QUANTIFICATION
from ....plausibility import DIGITAL_NUMBERS, without_fill
from ...common import SceneError
from ...formats.evidence import (
    ADVICE,
    LOW_AT_TOP,
    Evidence,
    is_digital,
    of_numbers,
    settle,
)
from ...formats.parts import OpticalProduct
from ...formats.rasters import RasterFiles
from .band_order import order_fault
from .numbers import BandNumbers
from .units import check_numbers, find_scale

#: Numbers below this are reflectances, not digital.
_UNIT = 10


class Gain(NamedTuple):
    """What makes digital numbers of stored ones.

    Args:
        factor: What they are multiplied with.
        shift: What is added then.
    """

    factor: float = 1.0
    shift: float = 0.0


AS_STORED = Gain()


def find_gains(
    product: OpticalProduct,
    files: RasterFiles,
    samples: Sequence[BandNumbers],
    scale: float | None,
) -> dict[str, Gain]:
    """Find out what makes digital numbers of those of some bands.

    Args:
        product: The product.
        files: Its files.
        samples: Numbers from all over the bands.
        scale: Reflectance of one unit, as the user says; None if tags, or else the
            numbers, are to tell.

    Returns:
        What makes digital numbers of each band.

    Raises:
        SceneError: If the numbers are in nothing known.
    """
    gains: dict[str, Gain] = {}
    untagged = []
    for numbers in samples:
        file = product.bands[numbers.band]
        tags = files.header(file.path).scales[file.index - 1]
        if scale is None and tags == (1, 0):
            untagged.append(numbers)
        else:
            gains[numbers.band] = _gain(*(tags if scale is None else (scale, 0.0)))
    if scale is None:
        _check_tagged([part for part in samples if gains.get(part.band) == AS_STORED])
    if untagged:
        # Of SAFE, metadata have told
        found = 1 / QUANTIFICATION if product.form == 'safe' else _one_scale(untagged)
        gains |= {numbers.band: _gain(found) for numbers in untagged}
    return gains


def _check_tagged(samples: Sequence[BandNumbers]) -> None:
    """Refuse reflectance with the tags of the digital numbers that it was made from."""
    real = [part for part in samples if part.values.dtype.kind == 'f']
    if real and find_scale(real) == 1:
        raise SceneError(
            real[0].path,
            f'has tags that say digital numbers, a scale of {1 / QUANTIFICATION:g}, but '
            'holds reflectance. Say the reflectance of one unit as `scale`: 1, or '
            f'{1 / QUANTIFICATION:g}.',
        )


def _one_scale(samples: Sequence[BandNumbers]) -> float:
    """The one scale of bands, of which some may be real and some whole numbers."""
    kinds: dict[bool, list[BandNumbers]] = {}
    for part in samples:
        kinds.setdefault(part.values.dtype.kind == 'f', []).append(part)
    found = {find_scale(parts): parts[0] for parts in kinds.values()}
    if len(found) > 1:
        told = ' and '.join(
            f"{part.band} of '{Path(part.path).name}' in {scale:g}"
            for scale, part in found.items()
        )
        raise SceneError(
            next(iter(found.values())).path,
            f'is in another unit than other bands ({told} of reflectance). Give all bands '
            'in one.',
        )
    (scale,) = found
    return scale


def _gain(scale: float, shift: float = 0.0) -> Gain:
    # The offset of digital numbers stays on them
    if is_digital(scale):
        return AS_STORED
    return Gain(scale * QUANTIFICATION, shift * QUANTIFICATION)


def as_digital(
    samples: Sequence[BandNumbers], gains: Mapping[str, Gain]
) -> list[BandNumbers]:
    """Make digital numbers of samples, and check that they are some.

    Args:
        samples: Numbers as stored.
        gains: What makes digital numbers of each band.

    Returns:
        The digital numbers, without what fills missing pixels.

    Raises:
        SceneError: If they are none of Sentinel-2.
    """
    found = []
    for numbers in samples:
        values, gain = numbers.values, gains[numbers.band]
        if gain != AS_STORED:
            values = values.astype(np.float64) * gain.factor + gain.shift
        found.append(numbers._replace(values=without_fill(values, DIGITAL_NUMBERS)))
        check_numbers(found[-1])
    return found


def convert(image: NDArray[Any], gains: Sequence[Gain]) -> NDArray[np.float32]:
    """Make digital numbers of an image.

    Args:
        image: C×H×W as stored.
        gains: What makes digital numbers of each band.

    Returns:
        C×H×W.
    """
    pairs = np.array(gains, np.float32)[..., None, None]
    # Numbers that stand for missing pixels may be as large as the type allows
    with np.errstate(over='ignore', invalid='ignore'):
        result: NDArray[np.float32] = (
            image.astype(np.float32) * pairs[:, 0] + pairs[:, 1]
        )
    return result


def check_order(path: Path, image: NDArray[Any]) -> None:
    """Refuse bands that are not in the usual order, where nothing tells their order.

    Args:
        path: The product, which errors name.
        image: Pixels from all over all its bands, as stored, C×N.

    Raises:
        SceneError: If they are in another.
    """
    low, high = DIGITAL_NUMBERS
    image = image[:, ((image >= low) & (image <= high)).all(axis=0)]
    if image.size and image.max() < _UNIT:
        image = image * QUANTIFICATION
    if fault := order_fault(image):
        raise SceneError(
            path,
            f'does not say which band is which, and is not in the usual order: {fault}. '
            'Say the order as `all_bands`, or describe the bands: '
            "`dataset.descriptions = ('B2', 'B3', …)` in rasterio, opened with 'r+'.",
        )


def evidence_of(
    product: OpticalProduct,
    samples: Sequence[BandNumbers],
    digital: bool,
    declared: bool = False,
) -> list[Evidence]:
    """What tells the offset of a product.

    Args:
        product: The product.
        samples: Digital numbers of its bands.
        digital: Whether the product holds digital numbers, rather than reflectance.
        declared: Whether the user says the scale, so that tags don't.

    Returns:
        All evidence.
    """
    numbers = {sample.band: sample.values for sample in samples}
    # Names outlive that reflectance was made of numbers
    told = [
        piece
        for piece in product.evidence
        if digital or (piece.decides and not (piece.tags and declared))
    ]
    pieces = [*told, *of_numbers(numbers)]
    if not digital and not any(piece.decides for piece in pieces):
        part, limit = LOW_AT_TOP
        lows = {
            band: float(np.quantile(values, part))
            for band, values in numbers.items()
            if values.size
        }
        # Whoever made reflectance of them has taken it off, as low numbers show
        band = min(lows, key=lambda band: lows[band], default='')
        if lows and lows[band] < limit:
            pieces.append(Evidence(f'reflectance down to {lows[band] / 1e4:.3f}', 0))
    return pieces


def find_offset(
    product: OpticalProduct,
    samples: Sequence[BandNumbers],
    pieces: Sequence[Evidence],
) -> int:
    """Find out what digital numbers carry on top.

    Args:
        product: The product.
        samples: Digital numbers of its bands.
        pieces: What tells it, see :func:`evidence_of`.

    Returns:
        0 or 1000.

    Raises:
        SceneError: If nothing tells, or what tells it disagrees.
    """
    offset = settle(product.path, pieces)
    if offset is not None:
        return offset
    numbers = {sample.band: sample.values for sample in samples}
    b10 = numbers.get('B10')
    if b10 is None:
        raise SceneError(
            product.path,
            'has no B10 and no metadata to tell which offset it has'
            + ''.join(f' ({piece}, but names outlive it)' for piece in pieces[:1])
            + f'. {ADVICE}',
        )
    if b10.size:
        raise SceneError(
            product.bands['B10'].path,
            f'leaves open whether an offset or cirrus lifts B10, whose lowest numbers '
            f'are {np.quantile(b10, 0.01):g}. {ADVICE}',
        )
    raise SceneError(
        product.bands['B10'].path,
        f'is missing everywhere, so that nothing tells the offset. {ADVICE}',
    )
