# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whether restored images are as far off as their model expects."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from torchgeo_tdpcr import OSFCR, TDPCRTask

from ..real.job import predictions

#: Digital numbers of a reflectance of 1.
_SCALE = 10_000
#: Parts of the pixels, by what is expected, that are compared with what is found.
PARTS = 5

#: Expected and found absolute errors of pixels, in digital numbers.
type Errors = tuple[NDArray[np.float32], NDArray[np.float32]]


def errors(task: TDPCRTask, pairs: OSFCR) -> list[Errors]:
    """Expected and found absolute errors of cloudy pixels, means over the bands.

    Args:
        task: The task.
        pairs: Pairs of cloudy and clear images with a mask of clouds.

    Returns:
        Both of the cloudy pixels of each pair, the expected ones before any calibration;
        nothing if the model does not tell what it expects.
    """
    factor = (task.hparams['model_kwargs'] or {}).get('uncertainty_factor', 1.0)
    known = []
    for batch, out in predictions(task, pairs):
        if 'uncertainty' not in out:
            return []
        cloudy = batch['mask_cloud'][0] == 1
        apart = (out['reconstruction'] - batch['image_clear']).abs().mean(1)
        expected = out['uncertainty'][0, 0][cloudy] * (_SCALE / factor)
        known.append((expected.numpy(), _SCALE * apart[0][cloudy].numpy()))
    return known


def factor_of(known: Sequence[Errors]) -> float:
    """What expected errors are to be multiplied by, to be as large as found ones.

    Args:
        known: Errors of pairs; each pair counts as much, however cloudy it is.

    Example:
        >>> factor_of([(np.ones(4), np.full(4, 3.0)), (np.ones(9), np.ones(9))])
        2.0
    """
    means = np.array([(one.mean(), other.mean()) for one, other in known if len(one)])
    return float(means[:, 1].sum() / means[:, 0].sum())


def calibrated(
    known: Sequence[Errors], names: Sequence[str], places: Sequence[Sequence[str]]
) -> Errors:
    """Errors of all pairs, each calibrated by those of other places.

    Args:
        known: Errors of each pair.
        names: Names of the pairs.
        places: Names of pairs that show one place.

    Returns:
        Expected and found errors.

    Example:
        >>> pairs = [(np.ones(1), np.full(1, error)) for error in (2.0, 2.0, 4.0)]
        >>> expected, found = calibrated(pairs, 'abc', [('a', 'b')])
        >>> expected.tolist(), found.tolist()
        ([4.0, 4.0, 2.0], [2.0, 2.0, 4.0])
    """
    expected = []
    for name, (raw, _) in zip(names, known, strict=True):
        (near,) = [place for place in places if name in place] or [(name,)]
        others = [
            errors
            for other, errors in zip(names, known, strict=True)
            if other not in near
        ]
        expected.append(raw * np.float32(factor_of(others)))
    return np.concatenate(expected), np.concatenate([found for _, found in known])


def shares(
    expected: NDArray[np.float32], found: NDArray[np.float32]
) -> dict[str, float]:
    """Parts of the pixels, in percent, that are no further off than is expected.

    Args:
        expected: Expected errors.
        found: Found ones.

    Example:
        >>> list(shares(np.ones(4, np.float32), np.float32([0.5, 0.9, 1.5, 3])).values())
        [50.0, 75.0]
    """
    return {
        f'Cloudy pixels within {name} the expected error (%)': (
            100 * float((found <= factor * expected).mean())
        )
        for factor, name in ((1, 'once'), (2, 'twice'))
    }


def reliability(
    expected: NDArray[np.float32], found: NDArray[np.float32]
) -> list[tuple[float, float]]:
    """Mean expected and mean found error of equal parts of the pixels.

    Args:
        expected: Expected errors.
        found: Found ones.

    Returns:
        :data:`PARTS` pairs, from what is expected to be right to what is not.

    Example:
        >>> errors = np.arange(10, dtype=np.float32)
        >>> reliability(errors, 2 * errors)[0]
        (0.5, 1.0)
    """
    order = np.argsort(expected, kind='stable')
    return [
        (float(expected[part].mean()), float(found[part].mean()))
        for part in np.array_split(order, PARTS)
    ]
