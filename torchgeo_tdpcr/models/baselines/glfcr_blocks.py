# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What GLF-CR is built of: guided attention, dense blocks, dynamic filters.

Written from the description of the paper's parts: F. Xu et al., *GLF-CR: SAR-enhanced
cloud removal with global-local fusion*, ISPRS Journal of Photogrammetry and Remote
Sensing 192, 2022. https://arxiv.org/abs/2206.02850
"""

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from .window_attention import PositionBias, window_attention


class GuidedAttention(nn.Module):
    """Let both modalities say which optical pixels of a window belong together.

    Queries and keys come from optical and SAR features, values from the optical ones:
    beneath a cloud the SAR image still shows what is alike. An MLP follows.

    Args:
        channels: Number of channels C of each modality.
        heads: Number of attention heads.
        window: Height and width of a window.
        shift: By how many pixels the grid of windows is moved.
        mlp_ratio: Width of the MLP as a multiple of C.

    Example:
        >>> attend = GuidedAttention(8, heads=2)
        >>> attend(torch.rand(1, 8, 9, 20), torch.rand(1, 8, 9, 20)).shape
        torch.Size([1, 8, 9, 20])
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        window: int = 8,
        shift: int = 0,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.window = window
        self.shift = shift
        hidden = int(mlp_ratio * channels)
        self.norm = LayerNorm2d(2 * channels)
        self.relate = nn.Conv2d(2 * channels, 4 * channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.bias = PositionBias(window, heads)
        self.project = nn.Conv2d(channels, channels, 1)
        self.mlp = nn.Sequential(
            LayerNorm2d(channels),
            nn.Conv2d(channels, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, optical: Tensor, sar: Tensor) -> Tensor:
        """Refine the optical feature.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            Refined optical feature, B×C×H×W.
        """
        both = self.norm(torch.cat([optical, sar], 1))
        query, key = self.relate(both).chunk(2, dim=1)
        value = self.value(both[:, : self.channels])
        mixed = window_attention(
            query, key, value, self.bias(), self.window, self.shift
        )
        optical = optical + self.project(mixed)
        return optical + self.mlp(optical)


class GuidedDenseBlocks(nn.Module):
    """Two residual dense blocks side by side, the SAR one guiding the optical one.

    Each layer appends a few maps to its stream, made from all maps before. The new
    optical maps pass through :class:`GuidedAttention` first.

    Args:
        channels: Number of channels C of each stream.
        growth: Number of maps that a layer appends.
        layers: Number of layers.
        heads: Number of attention heads.
        window: Height and width of the attention windows.
        mlp_ratio: Width of the attention's MLP as a multiple of *growth*.

    Example:
        >>> blocks = GuidedDenseBlocks(8, growth=4, layers=2, heads=2)
        >>> optical, sar = blocks(torch.rand(1, 8, 9, 9), torch.rand(1, 8, 9, 9))
        >>> optical.shape == sar.shape == (1, 8, 9, 9)
        True
    """

    def __init__(
        self,
        channels: int,
        growth: int = 48,
        layers: int = 5,
        heads: int = 8,
        window: int = 8,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__()
        widths = [channels + i * growth for i in range(layers + 1)]
        self.optical, self.sar = (
            nn.ModuleList(nn.Conv2d(w, growth, 3, padding=1) for w in widths[:-1])
            for _ in range(2)
        )
        self.attentions = nn.ModuleList(
            GuidedAttention(growth, heads, window, i % 2 * (window // 2), mlp_ratio)
            for i in range(layers)
        )
        self.merge_optical = nn.Conv2d(widths[-1], channels, 1)
        self.merge_sar = nn.Conv2d(widths[-1], channels, 1)

    def forward(self, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor]:
        """Refine both streams.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            Refined optical and SAR feature, B×C×H×W each.
        """
        dense_optical, dense_sar = optical, sar
        for grow_optical, grow_sar, attend in zip(
            self.optical, self.sar, self.attentions, strict=True
        ):
            new_optical = F.relu(grow_optical(dense_optical))
            new_sar = F.relu(grow_sar(dense_sar))
            new_optical = attend(new_optical, new_sar)
            dense_optical = torch.cat([dense_optical, new_optical], 1)
            dense_sar = torch.cat([dense_sar, new_sar], 1)
        return (
            optical + self.merge_optical(dense_optical),
            sar + self.merge_sar(dense_sar),
        )


def dynamic_filter(x: Tensor, filters: Tensor, size: int) -> Tensor:
    """Filter each pixel and channel with weights of its own; zero beyond the border.

    A sum over shifted views of *x*, so nothing of the size of *filters* is made.

    Args:
        x: B×C×H×W.
        filters: Weights, B×(size²·C)×H×W: the C channels of the first tap (above left),
            then of the next in reading order.
        size: Height and width of a filter, odd.

    Returns:
        B×C×H×W.

    Example:
        >>> dynamic_filter(torch.ones(1, 1, 4, 4), torch.ones(1, 9, 4, 4), 3)[0, 0, 0]
        tensor([4., 6., 6., 4.])
    """
    height, width = x.shape[-2:]
    taps = filters.chunk(size * size, dim=1)
    x = F.pad(x, [size // 2] * 4)
    total = taps[0] * x[..., :height, :width]
    for i, tap in enumerate(taps[1:], start=1):
        top, left = divmod(i, size)
        total = torch.addcmul(
            total, tap, x[..., top : top + height, left : left + width]
        )
    return total


class LocalFusion(nn.Module):
    """Smooth the speckle of SAR where needed, then let the streams exchange.

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
        self.kernel_size = kernel_size
        taps = kernel_size * kernel_size
        self.filters = nn.Sequential(
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * channels, taps * channels, 1),
        )
        # A new filter is near the identity; random taps would wipe the SAR stream out.
        predict = self.filters[-1]
        assert isinstance(predict, nn.Conv2d)
        assert predict.bias is not None
        nn.init.normal_(predict.weight, std=1e-3)
        with torch.no_grad():
            predict.bias.view(taps, channels).zero_()[taps // 2] = 1
        self.to_optical = nn.Conv2d(channels, channels, 3, padding=1)
        self.to_sar = None if last else nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse the two streams.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            Both streams, each with some of the other, B×C×H×W each; of the last fusion
            SAR is only filtered.
        """
        filters = self.filters(torch.cat([optical, sar], 1))
        sar = dynamic_filter(sar, filters, self.kernel_size)
        difference = sar - optical
        optical = optical + torch.sigmoid(self.to_optical(difference)) * difference
        if self.to_sar is not None:
            sar = sar - torch.sigmoid(self.to_sar(difference)) * difference
        return optical, sar
