# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where to keep what was observed: everywhere but in clouds, with a soft border."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


def cloud_weight(clouds: NDArray[np.bool_], feather: int) -> Tensor:
    """Weight of the reconstruction: 1 in clouds, falling to 0 around them.

    Args:
        clouds: H×W bool, with a margin of *feather* pixels wherever there is more of
            the scene.
        feather: Width of the border in pixels over which it falls, an even number.

    Returns:
        H×W float32: exactly 1 in clouds, exactly 0 further than *feather* pixels (in
        rows or columns) from any.

    Example:
        >>> cloud_weight(np.array([[True, False, False, False, False]]), 2)
        tensor([[1.0000, 0.6667, 0.3333, 0.0000, 0.0000]])
    """
    weight = torch.from_numpy(clouds).float()[None, None]
    radius = feather // 2
    if radius == 0:
        return weight[0, 0]
    size = 2 * radius + 1
    # Grow the clouds by half the border, then average over as much: both are separable
    weight = F.max_pool2d(weight, (1, size), 1, (0, radius))
    weight = F.max_pool2d(weight, (size, 1), 1, (radius, 0))
    weight = F.pad(weight, (radius, radius, radius, radius), mode='replicate')
    kernel = weight.new_ones(size)
    weight = F.conv2d(weight, kernel.reshape(1, 1, 1, size))
    weight = F.conv2d(weight, kernel.reshape(1, 1, size, 1))
    # Sums of ones are exact, so that only what is cloud all around divides to 1
    return weight.div_(size * size)[0, 0]
