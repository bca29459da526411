# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The denoiser of EMRDM: an hourglass diffusion transformer over pixels.

After K. Crowson, S. A. Baumann, A. Birch, T. M. Abraham, D. Z. Kaplan, E. Shippole:
*Scalable High-Resolution Pixel-Space Image Synthesis with Hourglass Diffusion
Transformers*, 2024. https://arxiv.org/abs/2401.11605
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...inputs import check_multiple
from .attention import check_kernel
from .blocks import Block, FeedForward, Norm


class NoiseMapping(nn.Module):
    """Features of the noise level, which condition every block.

    They are cosines and sines at random frequencies, which are drawn with the weights
    and kept in checkpoints with them, but not trained.

    Args:
        channels: Width M of the features, even.
        hidden: Width of its feed-forward layers.
        depth: Number of them.
        dropout: Share of the hidden features that is dropped in training.
    """

    frequencies: Tensor

    def __init__(
        self, channels: int, hidden: int, depth: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer('frequencies', torch.randn(channels // 2))
        self.project = nn.Linear(channels, channels, bias=False)
        self.norm = Norm(channels)
        self.layers = nn.ModuleList(
            FeedForward(channels, hidden, None, dropout) for _ in range(depth)
        )
        self.out_norm = Norm(channels)

    def forward(self, level: Tensor) -> Tensor:
        """Map noise levels to features.

        Args:
            level: Noise level c_noise of each chip, B, or 1 for all.

        Returns:
            Features, B×M or 1×M.
        """
        angles = 2 * math.pi * level.float()[:, None] * self.frequencies
        x = self.norm(self.project(torch.cat([angles.cos(), angles.sin()], -1)))
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.out_norm(x)
        return out


class Merge(nn.Module):
    """Halve the resolution: 2×2 pixels become one.

    Args:
        in_channels: Width before.
        channels: Width after.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(4 * in_channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Merge pixels.

        Args:
            x: Map, B×2H×2W×C_in.

        Returns:
            Map, B×H×W×C.
        """
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
        merged: Tensor = self.project(x.transpose(2, 3).flatten(3))
        return merged


class Split(nn.Module):
    """Double the resolution and blend with the skip, by a learned share.

    Args:
        in_channels: Width before.
        channels: Width after, and of the skip.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(in_channels, 4 * channels, bias=False)
        self.share = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Split pixels.

        Args:
            x: Map, B×H×W×C_in.
            skip: Map of the way down, B×2H×2W×C.

        Returns:
            Map, B×2H×2W×C.
        """
        x = self.project(x).unflatten(-1, (2, 2, -1)).transpose(2, 3)
        x = x.flatten(3, 4).flatten(1, 2)
        return torch.lerp(skip, x, self.share.to(x.dtype))


class HourglassDenoiser(nn.Module):
    """Transformer on four resolutions with skips, conditioned on the noise level.

    Every level but the innermost has its blocks twice, on the way down and up. The
    output starts at zero.

    Args:
        in_channels: Number of input channels.
        out_channels: Number of output channels.
        dims: Width of each level, finest first, multiples of *head_dim*.
        depths: Number of blocks of each level, each way.
        hidden: Width of the feed-forward layers of each level.
        kernel_size: Window of the neighbourhood attention, odd.
        neighbourhood_levels: Number of outer levels that use it; the others attend
            globally.
        head_dim: Width of an attention head, a multiple of 8.
        mapping_dim: Width of the features of the noise level, even.
        mapping_hidden: Width of the feed-forward layers that make them.
        mapping_depth: Number of these layers.
        dropout: Share of features dropped in training, in the innermost level and in
            the layers that make the features of the noise level.

    Raises:
        ValueError: If *dims*, *depths* and *hidden* differ in length, *kernel_size* is
            even, *dropout* is not in [0, 1), or a width is not a multiple of what it
            must be.

    Example:
        >>> net = HourglassDenoiser(5, 3, (8, 16), (1, 1), (16, 32), head_dim=8,
        ...                         mapping_dim=8, mapping_hidden=16)
        >>> net(torch.rand(2, 5, 16, 24), torch.zeros(2)).shape
        torch.Size([2, 3, 16, 24])
    """

    def __init__(
        self,
        in_channels: int = 28,
        out_channels: int = 13,
        dims: Sequence[int] = (128, 256, 384, 768),
        depths: Sequence[int] = (2, 2, 2, 2),
        hidden: Sequence[int] = (256, 512, 768, 1536),
        kernel_size: int = 7,
        neighbourhood_levels: int = 2,
        head_dim: int = 64,
        mapping_dim: int = 768,
        mapping_hidden: int = 1536,
        mapping_depth: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not dims or not len(dims) == len(depths) == len(hidden):
            raise ValueError(
                f'`dims={list(dims)}`, `depths={list(depths)}` and '
                f'`hidden={list(hidden)}` must have one entry a level each.'
            )
        check_kernel(kernel_size)
        if not 0 <= dropout < 1:
            raise ValueError(f'`dropout={dropout}` must be at least 0 and below 1.')
        check_multiple('mapping_dim', mapping_dim, 2)
        check_multiple('head_dim', head_dim, 8)
        for dim in dims:
            check_multiple('dims', dim, head_dim, 'head_dim')
        #: Height and width of the input must be multiples of this.
        self.stride = 2 ** (len(dims) - 1)
        self.mapping = NoiseMapping(mapping_dim, mapping_hidden, mapping_depth, dropout)
        self.patch_in = nn.Linear(in_channels, dims[0], bias=False)
        self.out_norm = Norm(dims[0])
        self.patch_out = nn.Linear(dims[0], out_channels, bias=False)
        nn.init.zeros_(self.patch_out.weight)

        def stage(level: int) -> nn.ModuleList:
            kernel = kernel_size if level < neighbourhood_levels else None
            share = dropout if level == len(dims) - 1 else 0.0
            return nn.ModuleList(
                Block(dims[level], hidden[level], mapping_dim, head_dim, kernel, share)
                for _ in range(depths[level])
            )

        outer = range(len(dims) - 1)
        self.down_stages = nn.ModuleList(map(stage, outer))
        self.middle = stage(len(dims) - 1)
        self.up_stages = nn.ModuleList(map(stage, reversed(outer)))
        self.merges = nn.ModuleList(map(Merge, dims[:-1], dims[1:]))
        self.splits = nn.ModuleList(map(Split, dims[:0:-1], dims[-2::-1]))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Run the network.

        Args:
            x: Noisy image and what it is conditioned on, B×C_in×H×W; H and W multiples
                of :attr:`stride`.
            level: Noise level c_noise of each chip, B, or 1 for all.

        Returns:
            Output, B×C_out×H×W, in channels_last memory format.
        """
        condition = self.mapping(level)
        x = self.patch_in(x.permute(0, 2, 3, 1))
        skips: list[Tensor] = []
        for blocks, merge in zip(self.down_stages, self.merges, strict=True):
            x = _run(blocks, x, condition)
            skips.append(x)
            x = merge(x)
        x = _run(self.middle, x, condition)
        for blocks, split in zip(self.up_stages, self.splits, strict=True):
            x = _run(blocks, split(x, skips.pop()), condition)
        out: Tensor = self.patch_out(self.out_norm(x))
        return out.permute(0, 3, 1, 2)


def _run(blocks: nn.Module, x: Tensor, condition: Tensor) -> Tensor:
    """Apply the blocks of a level in turn."""
    assert isinstance(blocks, nn.ModuleList)
    for block in blocks:
        x = block(x, condition)
    return x
