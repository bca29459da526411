# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The frame of all models: check arguments and inputs, pad to the stride, crop."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def check_inputs(
    image: Tensor, image_sar: Tensor, in_channels: int, sar_channels: int
) -> None:
    """Raise if the inputs are not what a model was built for.

    Args:
        image: Optical image, B×C×H×W.
        image_sar: SAR image, B×S×H×W.
        in_channels: C.
        sar_channels: S.

    Raises:
        ValueError: If an input has other channels, or they differ in height or width.

    Example:
        >>> check_inputs(torch.rand(1, 3, 8, 8), torch.rand(1, 2, 8, 8), 3, 2)
    """
    for name, value, channels in (
        ('image', image, in_channels),
        ('image_sar', image_sar, sar_channels),
    ):
        if value.ndim != 4 or value.shape[1] != channels:
            raise ValueError(
                f'`{name}` has shape {tuple(value.shape)}, but this model was built '
                f'for B×{channels}×H×W. Select {channels} bands in the data module, '
                'or build the model for the bands that you have.'
            )
    if image.shape[-2:] != image_sar.shape[-2:]:
        raise ValueError(
            f'`image` is {tuple(image.shape[-2:])} pixels but `image_sar` is '
            f'{tuple(image_sar.shape[-2:])}. Bring both to one grid.'
        )


def refuse_classes(num_classes: int | None, name: str) -> None:
    """Raise if a model that only removes clouds is asked to map land cover.

    Args:
        num_classes: Number of classes that was asked for.
        name: Name of the model.

    Raises:
        ValueError: If it is not None.

    Example:
        >>> refuse_classes(None, 'DSen2-CR')
    """
    if num_classes is not None:
        raise ValueError(
            f'`num_classes={num_classes}`: {name} does not segment. Leave it None, or '
            'choose a model that does, such as tdpcr.'
        )


def check_multiple(name: str, value: int, divisor: int, of: str = '') -> None:
    """Raise if an argument of a model is no multiple of a number.

    Args:
        name: Name of the argument.
        value: Its value.
        divisor: The number.
        of: Name of the argument that the number is, if it is one.

    Raises:
        ValueError: If the division leaves a remainder, or one of them is not positive.

    Example:
        >>> check_multiple('channels', 96, 4, 'heads')
    """
    if of and divisor < 1:
        raise ValueError(f'`{of}={divisor}` must be at least 1.')
    if value < 1 or value % divisor:
        number = f'`{of}={divisor}`' if of else divisor
        raise ValueError(f'`{name}={value}` must be a positive multiple of {number}.')


def padded(x: Tensor, stride: int, smallest: int = 1) -> Tensor:
    """Repeat the border up to a multiple of a stride, in channels_last.

    Args:
        x: Image, B×C×H×W.
        stride: What height and width must be multiples of.
        smallest: What they must be at least.

    Returns:
        The image, with rows below and columns at the right added as needed.

    Example:
        >>> padded(torch.rand(1, 3, 45, 64), 8).shape
        torch.Size([1, 3, 48, 64])
    """
    x = x.contiguous(memory_format=torch.channels_last)
    # Written so that torch.export sees 0 where the size is a multiple of the stride.
    below, right = ((n + stride - 1) // stride * stride - n for n in x.shape[-2:])
    if smallest > stride:
        least = -(-smallest // stride) * stride
        height, width = x.shape[-2:]
        below, right = max(below, least - height), max(right, least - width)
    if below or right:
        x = F.pad(x, (0, right, 0, below), mode='replicate')
    return x


class OpticalSARModel(nn.Module, ABC):
    """A model of an optical and a SAR image of any height and width.

    The frame of every model here: it checks and pads the inputs, has :meth:`compute` do
    the rest, and crops what that returns.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands S; 0 for a model that sees no radar, where
            :attr:`sar_optional` allows it.
        num_classes: Number of land-cover classes K, or None for no segmentation.

    Raises:
        ValueError: If there is no SAR, and the model is not made for that.

    Example:
        >>> class Average(OpticalSARModel):
        ...     stride = 4
        ...
        ...     def compute(self, image, image_sar):
        ...         coarse = F.avg_pool2d(image, self.stride)
        ...         return {'reconstruction': F.interpolate(coarse, image.shape[-2:])}
        >>> model = Average(in_channels=3, sar_channels=2)
        >>> model(torch.rand(1, 3, 5, 7), torch.rand(1, 2, 5, 7))['reconstruction'].shape
        torch.Size([1, 3, 5, 7])
    """

    #: Height and width are padded to a multiple of this inside.
    stride: int = 1
    #: Whether there may be no SAR: ``sar_channels=0``.
    sar_optional: bool = False
    #: And to this at least, where mirrored borders or windows need so many pixels.
    smallest: int = 1

    def __init__(
        self, in_channels: int, sar_channels: int, num_classes: int | None = None
    ) -> None:
        super().__init__()
        if sar_channels < 1 and not (self.sar_optional and sar_channels == 0):
            raise ValueError(
                f'`sar_channels={sar_channels}`: {type(self).__name__} has an input for '
                'SAR. Give the number of its bands; tdpcr, uncrtaints, diffcr, emrdm and '
                'dsen2cr do without, by 0.'
            )
        self.in_channels = in_channels
        self.sar_channels = sar_channels
        self.num_classes = num_classes

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Reconstruct the scene beneath the clouds, map its land cover, or both.

        Args:
            image: Cloudy optical image, B×C×H×W, normalised to [0, 1].
            image_sar: SAR image, B×S×H×W, normalised to [0, 1]; the same H and W, any.
                A model that sees no radar takes any and leaves it aside.

        Returns:
            What :meth:`compute` of the model says, each B×…×H×W: ``reconstruction``
            (B×C×H×W) where it removes clouds, ``logits`` (B×K×H×W) where it segments.

        Raises:
            ValueError: If the inputs do not have the channels that the model was built
                for, or differ in height or width.
        """
        height, width = image.shape[-2:]
        outputs = self.compute(*self.prepared(image, image_sar))
        return {key: value[..., :height, :width] for key, value in outputs.items()}

    @abstractmethod
    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Do what :meth:`forward` is for, on inputs that fit.

        Args:
            image: Cloudy optical image, H and W multiples of :attr:`stride`.
            image_sar: SAR image, likewise.

        Returns:
            The outputs by name, of the inputs' height and width.
        """

    def prepared(self, image: Tensor, image_sar: Tensor) -> tuple[Tensor, Tensor]:
        """Check the inputs by :func:`check_inputs`, then have them :func:`padded`.

        A model that sees no radar gets a SAR image without bands.

        Args:
            image: Optical image, B×C×H×W.
            image_sar: SAR image, B×S×H×W.

        Returns:
            Both images, padded to a multiple of :attr:`stride` and to
            :attr:`smallest`.

        Raises:
            ValueError: If an input has other channels, or they differ in height or
                width.
        """
        if not self.sar_channels:
            image_sar = image[:, :0]
        check_inputs(image, image_sar, self.in_channels, self.sar_channels)
        image = padded(image, self.stride, self.smallest)
        if not self.sar_channels:
            # Nothing to repeat in an image without bands
            return image, image[:, :0]
        return image, padded(image_sar, self.stride, self.smallest)
