# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whether restored images are as far off as their model expects."""

import numpy as np
from numpy.typing import NDArray

from torchgeo_tdpcr import OSFCR, TDPCRTask

from ..real.job import predictions

#: Digital numbers of a reflectance of 1.
_SCALE = 10_000
#: Parts of the pixels, by what is expected, that are compared with what is found.
PARTS = 5

type Errors = tuple[NDArray[np.float32], NDArray[np.float32]]


def errors(task: TDPCRTask, pairs: OSFCR) -> Errors | None:
    """Expected and found absolute errors of cloudy pixels, means over the bands.

    Args:
        task: The task.
        pairs: Pairs of cloudy and clear images with a mask of clouds.

    Returns:
        Both in digital numbers, one a cloudy pixel of any pair; None if the model does
        not tell what it expects.
    """
    expected, found = [], []
    for batch, out in predictions(task, pairs):
        if 'uncertainty' not in out:
            return None
        cloudy = batch['mask_cloud'][0] == 1
        apart = (out['reconstruction'] - batch['image_clear']).abs().mean(1)
        expected.append(_SCALE * out['uncertainty'][0, 0][cloudy].numpy())
        found.append(_SCALE * apart[0][cloudy].numpy())
    return np.concatenate(expected), np.concatenate(found)


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
