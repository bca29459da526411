# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The network of DiffCR: a U-Net of NAFBlocks beside an encoder of the condition."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...inputs import check_multiple
from ...nafblock import NAFBlock, SimplifiedChannelAttention


class SplitChannelAttention(nn.Module):
    """Weight one half of the channels by their means, the other by their maxima.

    The weights of either half are a linear function of the means or maxima of that half.

    Args:
        channels: Number of channels C, even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.by_mean = SimplifiedChannelAttention(channels // 2)
        self.project = nn.Conv2d(channels // 2, channels // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Reweight the channels of a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Reweighted feature map of the same shape.
        """
        first, second = x.chunk(2, dim=1)
        weights = self.project(second.amax((2, 3), keepdim=True))
        return torch.cat([self.by_mean(first), weights * second], 1)


class FusionBlock(NAFBlock):
    """A NAFBlock with split channel attention, told of the noise between its halves.

    Args:
        channels: Number of channels C, even.
        embed_channels: Number of features of the noise level, None for a block of the
            condition, which is told nothing.
    """

    def __init__(self, channels: int, embed_channels: int | None = None) -> None:
        super().__init__(channels, attention=SplitChannelAttention)
        self.shift = None
        if embed_channels is not None:
            self.shift = nn.Sequential(nn.SiLU(), nn.Linear(embed_channels, channels))

    def forward(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.
            level: Features of the noise level, B×L or 1×L.

        Returns:
            Refined feature map of the same shape.
        """
        x = torch.addcmul(x, self.spatial(x), self.spatial_scale)
        if self.shift is not None:
            x = x + self.shift(level)[..., None, None]
        return torch.addcmul(x, self.channel(x), self.channel_scale)


class LevelEmbedding(nn.Module):
    """Features of a noise level: cosines, sines, and two linear layers.

    Args:
        time_channels: Number of cosines and sines, even. Their periods are 2π to nearly
            20000π.
        channels: Number of features.
    """

    def __init__(self, time_channels: int, channels: int) -> None:
        super().__init__()
        self.time_channels = time_channels
        self.layers = nn.Sequential(
            nn.Linear(time_channels, channels), nn.SiLU(), nn.Linear(channels, channels)
        )

    def forward(self, level: Tensor) -> Tensor:
        """Embed noise levels.

        Args:
            level: Noise levels, B.

        Returns:
            Features, B×channels.
        """
        half = self.time_channels // 2
        places = torch.arange(half, dtype=torch.float32, device=level.device) / half
        angles = level[:, None].float() * (-math.log(10000) * places).exp()
        features: Tensor = self.layers(torch.cat([angles.cos(), angles.sin()], 1))
        return features


class ConditionalUNet(nn.Module):
    """Estimate a clear image from a noisy one and images that it depends on.

    An encoder of its own sees the condition, by the same weights for each of its dates;
    the sum of their features joins that of the U-Net at each of its levels, before the
    skip connection branches off. The skip connections are added.

    Published for 3 bands and three dates: 20,839,555 parameters without, and 22,937,731
    with a layer that is there but not used, a further downsampling of the condition. Of
    the latter, 22,914,307 are weights and biases of convolutions and linear layers, the
    published 22.91 M. One pass takes 45.8 G multiply-adds at 256×256, the unused layer
    included.

    Args:
        in_channels: Number of bands C of the image.
        condition_channels: Number of channels K of one date of the condition.
        width: Number of channels of the finest level, doubled at each further one; a
            multiple of 4.
        depths: Number of blocks of each level: of either encoder, and of the decoder.
        middle: Number of blocks at the coarsest resolution, below the levels.
        time_channels: Number of cosines and sines of the noise level, even.
        embed_channels: Number of features of the noise level.

    Raises:
        ValueError: If *width* or *time_channels* is no such multiple, or there is no level.
    """

    def __init__(
        self,
        in_channels: int,
        condition_channels: int,
        width: int = 64,
        depths: Sequence[int] = (1, 1, 1, 1),
        middle: int = 1,
        time_channels: int = 64,
        embed_channels: int = 256,
    ) -> None:
        super().__init__()
        check_multiple('width', width, 4)
        check_multiple('time_channels', time_channels, 2)
        if not depths:
            raise ValueError('`depths=()` must have at least one entry, one a level.')
        widths = [width * 2**i for i in range(len(depths) + 1)]
        steps = list(pairwise(widths))
        self.stride: int = 2 ** len(depths)

        def stage(channels: int, depth: int) -> nn.ModuleList:
            blocks = (FusionBlock(channels, embed_channels) for _ in range(depth))
            return nn.ModuleList(blocks)

        self.embedding = LevelEmbedding(time_channels, embed_channels)
        self.intro = nn.Conv2d(in_channels, width, 3, padding=1)
        self.condition_intro = nn.Conv2d(condition_channels, width, 3, padding=1)
        self.encoders = nn.ModuleList(map(stage, widths[:-1], depths))
        self.downs = nn.ModuleList(nn.Conv2d(n, m, 2, 2) for n, m in steps)
        self.condition_encoders = nn.ModuleList(
            nn.Sequential(*(FusionBlock(n) for _ in range(depth)))
            for n, depth in zip(widths[:-1], depths, strict=True)
        )
        self.condition_downs = nn.ModuleList(
            nn.Conv2d(n, m, 2, 2) for n, m in steps[:-1]
        )
        self.middle = stage(widths[-1], middle)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(m, 4 * n, 1, bias=False), nn.PixelShuffle(2))
            for n, m in reversed(steps)
        )
        self.decoders = nn.ModuleList(map(stage, widths[-2::-1], reversed(depths)))
        self.ending = nn.Conv2d(width, in_channels, 3, padding=1)
        self.apply(_initialise)

    def encode(self, condition: Tensor) -> list[Tensor]:
        """Features of the condition, which are the same at every noise level.

        Args:
            condition: B×N×K×H×W, of N dates; H and W multiples of the stride.

        Returns:
            Sum over the dates at each level, B×width·2^i×H/2^i×W/2^i.
        """
        dates = condition.shape[1]
        x = self.condition_intro(condition.flatten(0, 1))
        features = []
        for i, encoder in enumerate(self.condition_encoders):
            if i:
                x = self.condition_downs[i - 1](x)
            x = encoder(x)
            features.append(x.unflatten(0, (-1, dates)).sum(1))
        return features

    def forward(self, x: Tensor, features: Sequence[Tensor], level: Tensor) -> Tensor:
        """Estimate the clear image.

        Args:
            x: Noisy image, B×C×H×W, of clear images in [-1, 1].
            features: What :meth:`encode` says of the condition.
            level: What it is told of the noise, B or 1.

        Returns:
            Clear image, B×C×H×W.
        """
        level = self.embedding(level)
        x = self.intro(x)
        skips = []
        for blocks, down, feature in zip(
            self.encoders, self.downs, features, strict=True
        ):
            x = _through(blocks, x, level) + feature
            skips.append(x)
            x = down(x)
        x = _through(self.middle, x, level)
        for blocks, up, skip in zip(
            self.decoders, self.ups, reversed(skips), strict=True
        ):
            x = _through(blocks, up(x) + skip, level)
        estimate: Tensor = self.ending(x)
        return estimate


def _through(blocks: nn.Module, x: Tensor, level: Tensor) -> Tensor:
    for block in blocks.children():
        x = block(x, level)
    return x


def _initialise(module: nn.Module) -> None:
    """Normal weights by the number of inputs, for rectifiers, though none follow."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
