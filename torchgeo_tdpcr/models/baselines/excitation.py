# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Squeeze and excitation, after J. Hu et al., CVPR 2018."""

from torch import Tensor, nn


class SqueezeExcitation(nn.Sequential):
    """Scale every channel by a number between 0 and 1 made from all channel means.

    Args:
        channels: Number of channels C.
        reduction: Bottleneck ratio, rounded down, to one channel at least.

    Example:
        >>> import torch
        >>> SqueezeExcitation(8, 2)(torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 8, 5, 7])
    """

    def __init__(self, channels: int, reduction: int) -> None:
        narrow = max(channels // reduction, 1)
        super().__init__(
            nn.Linear(channels, narrow, bias=False),
            nn.ReLU(),
            nn.Linear(narrow, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Reweight the channels of a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Reweighted feature map of the same shape.
        """
        scale: Tensor = super().forward(x.mean((2, 3)))  # type: ignore[no-untyped-call]
        return x * scale[..., None, None]
