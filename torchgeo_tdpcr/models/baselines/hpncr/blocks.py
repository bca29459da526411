# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The blocks of HPN-CR's optical stages: a mix of pixels, a gate, an MLP.

P. Gu et al.: *HPN-CR: Heterogeneous Parallel Network for SAR-Optical Data Fusion Cloud
Removal*, IEEE TGRS, 2025. The revised layer norm and the sum of a convolution and window
attention are after Y. Song et al., *Vision Transformers for Single Image Dehazing*, IEEE
TIP, 2023 (https://arxiv.org/abs/2204.03883).
"""

import torch
from torch import Tensor, nn

from .attention import OffsetBias, window_attention

#: Share of the gated input in the output of a block.
GATE = 0.01


class RescaleNorm(nn.Module):
    """Layer norm of a whole map, whose mean and deviation come back after the layer.

    Args:
        channels: Number of channels C.
        eps: Added to the variance.

    Example:
        >>> normed, scale, offset = RescaleNorm(4)(torch.rand(2, 4, 5, 5))
        >>> normed.shape, scale.shape, offset.shape
        (torch.Size([2, 4, 5, 5]), torch.Size([2, 4, 1, 1]), torch.Size([2, 4, 1, 1]))
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        shape = (channels, 1, 1)
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape))
        self.scale_weight = nn.Parameter(torch.empty(shape))
        self.scale_bias = nn.Parameter(torch.ones(shape))
        self.offset_weight = nn.Parameter(torch.empty(shape))
        self.offset_bias = nn.Parameter(torch.zeros(shape))
        nn.init.trunc_normal_(self.scale_weight, std=0.02)
        nn.init.trunc_normal_(self.offset_weight, std=0.02)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalise each image over channels and pixels.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            The normalised map, B×C×H×W, and what the layer's output is to be multiplied
            by and what is then added, B×C×1×1 each.
        """
        variance, mean = torch.var_mean(
            x.float(), (1, 2, 3), correction=0, keepdim=True
        )
        deviation = (variance + self.eps).sqrt()
        normed = torch.addcmul(self.bias, (x - mean) / deviation, self.weight)
        scale = deviation * self.scale_weight + self.scale_bias
        offset = mean * self.offset_weight + self.offset_bias
        return normed, scale, offset


class SpatialGate(nn.Module):
    """A number between 0 and 1 for each pixel, seen at three scales.

    Example:
        >>> SpatialGate()(torch.rand(2, 8, 5, 5)).shape
        torch.Size([2, 1, 5, 5])
    """

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Conv2d(2, 1, size, padding=size // 2) for size in (3, 5, 7)
        )
        self.merge = nn.Conv2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the gate.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Gate, B×1×H×W.
        """
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        seen = torch.cat([scale(pooled) for scale in self.scales], 1)
        gate: Tensor = self.merge(seen).sigmoid()
        return gate


class GatedValue(nn.Module):
    """Values: one half of the channels times a 7×7 depth-wise convolution of the other.

    Args:
        channels: Number of channels C.

    Example:
        >>> GatedValue(8)(torch.rand(1, 8, 9, 9)).shape
        torch.Size([1, 8, 9, 9])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.convolve = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Make values.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Values, B×C×H×W.
        """
        plain, wide = self.expand(x).chunk(2, dim=1)
        value: Tensor = self.project(plain * self.convolve(wide))
        return value


class SpatialMixing(nn.Module):
    """Depth-wise convolution of the values, plus window attention where there is any.

    Args:
        channels: Number of channels C.
        heads: Number of attention heads; 0 for the convolution alone.
        window: Height and width of the attention windows.
        shift: By how many pixels the grid of windows is moved.

    Example:
        >>> SpatialMixing(8, heads=2, window=4, shift=2)(torch.rand(1, 8, 9, 14)).shape
        torch.Size([1, 8, 9, 14])
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.value = GatedValue(channels)
        self.convolve = nn.Conv2d(
            channels, channels, 5, padding=2, padding_mode='reflect', groups=channels
        )
        self.project = nn.Conv2d(channels, channels, 1)
        self.relate = nn.Conv2d(channels, 2 * channels, 1) if heads else None
        self.bias = OffsetBias(window, heads) if heads else None

    def forward(self, x: Tensor) -> Tensor:
        """Mix the pixels of a map.

        Args:
            x: Feature map, B×C×H×W; H and W at least 3, with attention at least
                :func:`.smallest_map`.

        Returns:
            Mixed feature map of the same shape.
        """
        value = self.value(x)
        mixed = self.convolve(value)
        if self.relate is not None and self.bias is not None:
            mixed = mixed + window_attention(
                self.relate(x), value, self.bias(), self.window, self.shift
            )
        projected: Tensor = self.project(mixed)
        return projected


class DecloudBlock(nn.Module):
    """Spatial mixing and a gate, then an MLP, each added to its input.

    A block with attention has a revised layer norm around both; one without has none.

    Args:
        channels: Number of channels C.
        heads: Number of attention heads; 0 for a block without attention.
        window: Height and width of the attention windows.
        shift: By how many pixels the grid of windows is moved.
        mlp_ratio: Width of the MLP as a multiple of C.

    Example:
        >>> DecloudBlock(8, heads=2, window=4)(torch.rand(1, 8, 9, 14)).shape
        torch.Size([1, 8, 9, 14])
    """

    def __init__(
        self,
        channels: int,
        heads: int = 0,
        window: int = 8,
        shift: int = 0,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        hidden = int(mlp_ratio * channels)
        self.gate = SpatialGate()
        self.norm_spatial = RescaleNorm(channels) if heads else None
        self.spatial = SpatialMixing(channels, heads, window, shift)
        self.norm_channel = RescaleNorm(channels) if heads else None
        self.channel = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.LeakyReLU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W; H and W at least 3, with attention at least
                :func:`.smallest_map`.

        Returns:
            Refined feature map of the same shape.
        """
        mixed = _rescaled(self.spatial, self.norm_spatial, x)
        x = x + mixed + GATE * x * self.gate(x)
        return x + _rescaled(self.channel, self.norm_channel, x)


def _rescaled(layer: nn.Module, norm: RescaleNorm | None, x: Tensor) -> Tensor:
    """Apply a layer, to a normalised map where there is a norm."""
    if norm is None:
        out: Tensor = layer(x)
        return out
    normed, scale, offset = norm(x)
    return torch.addcmul(offset, layer(normed), scale)


def decloud_stage(
    channels: int,
    depth: int,
    attention_ratio: float,
    heads: int,
    window: int,
    mlp_ratio: float,
) -> nn.Sequential:
    """Stack blocks; the last ones have attention, those of odd index shifted windows.

    Args:
        channels: Number of channels.
        depth: Number of blocks.
        attention_ratio: Share of the blocks that have attention.
        heads: Number of attention heads.
        window: Height and width of the attention windows.
        mlp_ratio: Width of the MLPs as a multiple of *channels*.

    Returns:
        The stack.

    Example:
        >>> stage = decloud_stage(8, 4, 0.5, heads=2, window=4, mlp_ratio=2)
        >>> [block.norm_spatial is not None for block in stage]
        [False, False, True, True]
    """
    plain = depth - round(attention_ratio * depth)
    return nn.Sequential(
        *(
            DecloudBlock(
                channels,
                heads if i >= plain else 0,
                window,
                i % 2 * (window // 2),
                mlp_ratio,
            )
            for i in range(depth)
        )
    )


def init_stages(model: nn.Module, depth: int) -> None:
    """Draw the weights of all mixing layers and MLPs of a network.

    Convolutions are Xavier normal, truncated at ±2. All but those that make queries and
    keys or the two halves of the values are narrowed by (8 · depth)^-¼. Biases are 0.

    Args:
        model: The network.
        depth: Number of its blocks.
    """
    gain = (8 * depth) ** -0.25
    for block in model.modules():
        if not isinstance(block, DecloudBlock):
            continue
        unscaled = (block.spatial.relate, block.spatial.value.expand)
        for part in (block.spatial, block.channel):
            for conv in part.modules():
                if isinstance(conv, nn.Conv2d):
                    _init_conv(conv, 1.0 if conv in unscaled else gain)


def _init_conv(conv: nn.Conv2d, gain: float) -> None:
    """Draw weights by the numbers of weights at either end; no bias."""
    # Both fans count the kernel; that of the outputs is not divided by the groups
    pixels = conv.weight[0, 0].numel()
    fans = pixels * (conv.weight.shape[0] + conv.weight.shape[1])
    std = gain * (2 / fans) ** 0.5
    nn.init.trunc_normal_(conv.weight, std=std)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
