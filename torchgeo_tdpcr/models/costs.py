# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a model costs: parameters and arithmetic, counted and not measured."""

from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from .registry import get_model


class Costs(NamedTuple):
    """What a model costs for one image.

    Attributes:
        parameters: Number of its parameters.
        flops: Floating-point operations, two to a multiply-add. Biases, activations and
            norms are not counted.
    """

    parameters: int
    flops: int

    @property
    def multiply_adds(self) -> float:
        """Multiply-adds, half of the operations."""
        return self.flops / 2


def count_costs(
    name: str,
    num_classes: int | None = None,
    in_channels: int = 13,
    sar_channels: int = 2,
    size: int = 256,
    **kwargs: Any,
) -> Costs:
    """Count what a registered model costs; nothing is computed, on the meta device.

    Args:
        name: Name of the model.
        num_classes: Number of land-cover classes, or None for no segmentation.
        in_channels: Number of optical bands.
        sar_channels: Number of SAR bands.
        size: Height and width of the image.
        **kwargs: Further arguments of the model.

    Returns:
        The counts.

    Raises:
        ValueError: If no model has that name.

    Example:
        >>> costs = count_costs('tdpcr', num_classes=7)
        >>> costs.parameters, round(costs.flops / 1e9, 2)
        (5953916, 38.0)
    """
    with torch.device('meta'):
        model = get_model(
            name,
            in_channels=in_channels,
            sar_channels=sar_channels,
            num_classes=num_classes,
            **kwargs,
        ).eval()
        image = torch.rand(1, in_channels, size, size)
        sar = torch.rand(1, sar_channels, size, size)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(image, sar)
    parameters = sum(p.numel() for p in model.parameters())
    return Costs(parameters, counter.get_total_flops())
