# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How well an expected error tells the error there is."""

from torch import Tensor


def laplace_likelihood(expected: Tensor, restored: Tensor, target: Tensor) -> Tensor:
    r"""Negative log-likelihood of the error under a Laplace distribution.

    .. math:: \operatorname{mean} \left( \frac{e}{b} + \log b \right), \quad
        e = \operatorname{mean}_{bands} |\hat I - I_{gt}|

    It is least where :math:`b` is the mean of the errors of all pixels for which the
    model knows no more. The restored image learns nothing of it.

    Args:
        expected: Expected absolute error b, B×1×H×W.
        restored: Restored images, B×C×H×W.
        target: Cloud-free images of the same shape.

    Returns:
        A scalar, float32; below 0 where errors are small.

    Example:
        >>> import torch
        >>> target = torch.zeros(1, 13, 4, 4)
        >>> one, half = torch.ones(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.5)
        >>> laplace_likelihood(one, target + 1, target).item()
        1.0
        >>> laplace_likelihood(half, target + 1, target) > 1
        tensor(True)
    """
    error = (restored.detach().float() - target.float()).abs().mean(1, keepdim=True)
    expected = expected.float()
    likelihood: Tensor = (error / expected + expected.log()).mean()
    return likelihood
