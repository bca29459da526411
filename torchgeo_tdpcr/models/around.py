# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What lies around each pixel: the most of it, and its mean."""

import torch.nn.functional as F
from torch import Tensor


def most_around(x: Tensor, margin: int) -> Tensor:
    """The most within a margin of each pixel, in rows and columns.

    Args:
        x: Maps, B×C×H×W.
        margin: Pixels.

    Returns:
        Maps of the same size.

    Example:
        >>> import torch
        >>> most_around(torch.tensor([[[[0.0, 0, 0, 1]]]]), 1)
        tensor([[[[0., 0., 1., 1.]]]])
    """
    return F.max_pool2d(x, 2 * margin + 1, 1, margin)


def mean_around(x: Tensor, margin: int) -> Tensor:
    """The mean of what there is within a margin of each pixel.

    Args:
        x: Maps, B×C×H×W.
        margin: Pixels.

    Returns:
        Maps of the same size.

    Example:
        >>> import torch
        >>> mean_around(torch.tensor([[[[0.0, 0, 0, 1]]]]), 1)
        tensor([[[[0.0000, 0.0000, 0.3333, 0.5000]]]])
    """
    return F.avg_pool2d(x, 2 * margin + 1, 1, margin, count_include_pad=False)
