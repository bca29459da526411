# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Global fusion of GLF-CR: two residual dense blocks that attend together."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from .attention import CoupledAttention


def _mlp(channels: int, ratio: float) -> nn.Sequential:
    """A pre-normalised MLP of each pixel, channels last."""
    hidden = int(ratio * channels)
    return nn.Sequential(
        nn.LayerNorm(channels),
        nn.Linear(channels, hidden),
        nn.GELU(),
        nn.Linear(hidden, channels),
    )


class DenseLayer(nn.Module):
    """Make a few new maps of all maps so far, in both streams, and let them attend.

    Args:
        channels: Number of channels C of each stream.
        growth: Number of new maps G, a multiple of *heads*.
        heads: Number of attention heads.
        window: Height and width of the attention windows.
        shift: By how many pixels the windows are moved.
        mlp_ratio: Width of the MLPs as a multiple of *growth*.
        drop_path: Probability with which training leaves out a residual branch, drawn
            for each image, stream and branch.

    Example:
        >>> layer = DenseLayer(8, growth=4, heads=2, window=4)
        >>> optical, sar = layer(*torch.rand(2, 1, 8, 8, 12))
        >>> optical.shape == sar.shape == (1, 4, 8, 12)
        True
    """

    def __init__(
        self,
        channels: int,
        growth: int = 48,
        heads: int = 8,
        window: int = 8,
        shift: int = 0,
        mlp_ratio: float = 2.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.optical = nn.Conv2d(channels, growth, 3, padding=1)
        self.sar = nn.Conv2d(channels, growth, 3, padding=1)
        self.attention = CoupledAttention(growth, heads, window, shift)
        self.optical_mlp = _mlp(growth, mlp_ratio)
        self.sar_mlp = _mlp(growth, mlp_ratio)
        self.drop_path = DropPath(drop_path)

    def forward(
        self, optical: Tensor, sar: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Make new maps.

        Args:
            optical: All optical maps so far, B×C×H×W; H and W are multiples of the
                window.
            sar: All SAR maps so far, B×C×H×W.
            mask: :func:`.shift_mask` of this size if the windows are moved, or None.

        Returns:
            New optical and SAR maps, B×G×H×W each.
        """
        optical = F.relu(self.optical(optical)).permute(0, 2, 3, 1)
        sar = F.relu(self.sar(sar)).permute(0, 2, 3, 1)
        mixed_optical, mixed_sar = self.attention(optical, sar, mask)
        return (
            self._residual(optical, mixed_optical, self.optical_mlp),
            self._residual(sar, mixed_sar, self.sar_mlp),
        )

    def _residual(self, x: Tensor, mixed: Tensor, mlp: nn.Module) -> Tensor:
        """Add the attention, then the MLP; channels are second again."""
        x = x + self.drop_path(mixed)
        x = x + self.drop_path(mlp(x))
        return x.permute(0, 3, 1, 2)


class CoupledDenseBlock(nn.Module):
    """A residual dense block of each stream, whose layers attend together.

    Windows of every other layer are moved by half a window.

    Args:
        channels: Number of channels C of each stream.
        growth: Number of maps that a layer appends, a multiple of *heads*.
        heads: Number of attention heads.
        window: Height and width of the attention windows.
        mlp_ratio: Width of the MLPs as a multiple of *growth*.
        drop_paths: Probability, for each layer, with which training leaves out a
            residual branch. There are as many layers.

    Example:
        >>> block = CoupledDenseBlock(8, growth=4, heads=2, window=4, drop_paths=[0.0])
        >>> optical, sar = block(*torch.rand(2, 1, 8, 8, 12))
        >>> optical.shape == sar.shape == (1, 8, 8, 12)
        True
    """

    def __init__(
        self,
        channels: int,
        growth: int = 48,
        heads: int = 8,
        window: int = 8,
        mlp_ratio: float = 2.0,
        drop_paths: Sequence[float] = (0.0,) * 5,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(
                channels + i * growth,
                growth,
                heads,
                window,
                shift=window // 2 if i % 2 else 0,
                mlp_ratio=mlp_ratio,
                drop_path=rate,
            )
            for i, rate in enumerate(drop_paths)
        )
        width = channels + len(drop_paths) * growth
        self.optical_merge = nn.Conv2d(width, channels, 3, padding=1)
        self.sar_merge = nn.Conv2d(width, channels, 3, padding=1)

    def forward(
        self, optical: Tensor, sar: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Refine both streams.

        Args:
            optical: Optical feature, B×C×H×W; H and W are multiples of the window.
            sar: SAR feature, B×C×H×W.
            mask: :func:`.shift_mask` of this size for half a window; None if there is
                only one layer.

        Returns:
            Refined optical and SAR feature, B×C×H×W each.
        """
        all_optical, all_sar = optical, sar
        for i, layer in enumerate(self.layers):
            new_optical, new_sar = layer(all_optical, all_sar, mask if i % 2 else None)
            all_optical = torch.cat([all_optical, new_optical], 1)
            all_sar = torch.cat([all_sar, new_sar], 1)
        return (
            optical + self.optical_merge(all_optical),
            sar + self.sar_merge(all_sar),
        )
