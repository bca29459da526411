# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Local fusion of GLF-CR: SAR is filtered pixel by pixel, then both streams exchange."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Slope of the leaky rectifiers of local fusion.
SLOPE = 0.1


class DynamicFilter(nn.Module):
    """Filter each pixel and channel of a map with weights of its own.

    A 1×1 convolution of a guide predicts the weights, k² for each channel and pixel.
    They are made and used one row of a filter at a time, so that all of them, k² times
    the map, never lie in memory at once where no gradient asks for them.

    Args:
        channels: Number of channels C of the guide and of the map.
        kernel_size: Height and width k of a filter, odd.

    Example:
        >>> DynamicFilter(4, 3)(torch.rand(1, 4, 8, 9), torch.rand(1, 4, 8, 9)).shape
        torch.Size([1, 4, 8, 9])
    """

    def __init__(self, channels: int, kernel_size: int = 5) -> None:
        super().__init__()
        self.channels = channels
        self.kernel_size = kernel_size
        # Channel-major: the filter of channel c are the outputs from k²·c on, row by row
        self.predict = nn.Conv2d(channels, kernel_size**2 * channels, 1)

    def forward(self, guide: Tensor, x: Tensor) -> Tensor:
        """Predict the filters and apply them; the border is replicated.

        Args:
            guide: What the filters are predicted from, B×C×H×W.
            x: What they are applied to, B×C×H×W.

        Returns:
            Filtered *x*, B×C×H×W.
        """
        size = self.kernel_size
        height, width = x.shape[-2:]
        x = F.pad(x, [size // 2] * 4, mode='replicate')
        assert self.predict.bias is not None
        # Row of the filter, tap of the row, channel of the map: taps become neighbours
        # in memory, each with all of its channels.
        shape = (self.channels, size, size)
        weights = self.predict.weight.unflatten(0, shape).permute(1, 2, 0, 3, 4, 5)
        biases = self.predict.bias.unflatten(0, shape).permute(1, 2, 0)
        total = torch.zeros_like(guide)
        for i in range(size):
            taps = F.conv2d(guide, weights[i].flatten(0, 1), biases[i].flatten())
            # In place, so that training keeps the taps once
            taps = F.leaky_relu(taps, SLOPE, inplace=True)
            for j, tap in enumerate(taps.chunk(size, dim=1)):
                view = x[..., i : i + height, j : j + width]
                total = torch.addcmul(total, tap, view)
        return total


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a leaky rectifier between, added to the input.

    Args:
        channels: Number of channels C.

    Example:
        >>> ResidualBlock(4)(torch.rand(1, 4, 8, 9)).shape
        torch.Size([1, 4, 8, 9])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature.

        Args:
            x: B×C×H×W.

        Returns:
            B×C×H×W.
        """
        out: Tensor = x + self.body(x)
        return out


class LocalFusion(nn.Module):
    """Filter SAR to match the optical feature, then let the streams exchange.

    The filtered SAR feature goes to the optical stream alone: what SAR takes back is
    added to the SAR feature as it was.

    Args:
        channels: Number of channels C of each stream.
        kernel_size: Height and width of the dynamic filters, odd.
        last: Whether nothing follows that takes SAR, so that no gate into it is needed.

    Example:
        >>> fuse = LocalFusion(8)
        >>> optical, sar = fuse(torch.rand(1, 8, 9, 9), torch.rand(1, 8, 9, 9))
        >>> optical.shape == sar.shape == (1, 8, 9, 9)
        True
    """

    def __init__(self, channels: int, kernel_size: int = 5, last: bool = False) -> None:
        super().__init__()
        self.guide = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            ResidualBlock(channels),
            ResidualBlock(channels),
        )
        self.filter = DynamicFilter(channels, kernel_size)
        self.to_optical = nn.Conv2d(channels, channels, 1)
        self.to_sar = None if last else nn.Conv2d(channels, channels, 1)

    def forward(self, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse the two streams.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            Both streams, each with some of the other, B×C×H×W each; of the last fusion
            SAR is as it was.
        """
        guide = self.guide(torch.cat([optical, sar], 1))
        filtered = self.filter(guide, sar)
        difference = filtered - optical
        optical = optical + difference * self.to_optical(difference).sigmoid()
        if self.to_sar is not None:
            difference = optical - filtered
            sar = sar + difference * self.to_sar(difference).sigmoid()
        return optical, sar
