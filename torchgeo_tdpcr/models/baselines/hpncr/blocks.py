# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What HPN-CR is built of: attention blocks, SAR residual blocks, selective fusion.

Written from the description of the paper's parts: P. Gu et al., *HPN-CR: Heterogeneous
Parallel Network for SAR-Optical Data Fusion Cloud Removal*, IEEE TGRS, 2025. The
revised layer norm is after Y. Song et al., *Vision Transformers for Single Image
Dehazing*, IEEE TIP, 2023 (https://arxiv.org/abs/2204.03883); selective-kernel fusion
after X. Li et al., CVPR 2019; squeeze and excitation after J. Hu et al., CVPR 2018.
"""

import torch
from torch import Tensor, nn

from ..window_attention import PositionBias, window_attention


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


class SpatialMixing(nn.Module):
    """Depth-wise convolution of the values, plus window attention where there is any.

    Args:
        channels: Number of channels C.
        heads: Number of attention heads; 0 for the convolution alone.
        window: Height and width of the attention windows.
        shift: By how many pixels the grid of windows is moved.
        kernel_size: Height and width of the convolution, odd.
    """

    def __init__(
        self, channels: int, heads: int, window: int, shift: int, kernel_size: int
    ) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.value = nn.Conv2d(channels, channels, 1)
        self.convolve = nn.Conv2d(
            channels, channels, kernel_size, padding=kernel_size // 2, groups=channels
        )
        self.project = nn.Conv2d(channels, channels, 1)
        self.relate = nn.Conv2d(channels, 2 * channels, 1) if heads else None
        self.bias = PositionBias(window, heads) if heads else None

    def forward(self, x: Tensor) -> Tensor:
        """Mix the pixels of a map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Mixed feature map of the same shape.
        """
        value = self.value(x)
        mixed = self.convolve(value)
        if self.relate is not None and self.bias is not None:
            query, key = self.relate(x).chunk(2, dim=1)
            mixed = mixed + window_attention(
                query, key, value, self.bias(), self.window, self.shift
            )
        projected: Tensor = self.project(mixed)
        return projected


class DecloudBlock(nn.Module):
    """Spatial mixing, then an MLP, each between a revised layer norm and a sum.

    Args:
        channels: Number of channels C.
        heads: Number of attention heads; 0 for a block without attention.
        window: Height and width of the attention windows.
        shift: By how many pixels the grid of windows is moved.
        kernel_size: Height and width of the depth-wise convolution, odd.
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
        kernel_size: int = 5,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        hidden = int(mlp_ratio * channels)
        self.norm_spatial = RescaleNorm(channels)
        self.spatial = SpatialMixing(channels, heads, window, shift, kernel_size)
        self.norm_channel = RescaleNorm(channels)
        self.channel = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.GELU(), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Refined feature map of the same shape.
        """
        normed, scale, offset = self.norm_spatial(x)
        x = x + torch.addcmul(offset, self.spatial(normed), scale)
        normed, scale, offset = self.norm_channel(x)
        return x + torch.addcmul(offset, self.channel(normed), scale)


def decloud_stage(
    channels: int,
    depth: int,
    attention_ratio: float,
    heads: int,
    window: int,
    kernel_size: int = 5,
    mlp_ratio: float = 4.0,
) -> nn.Sequential:
    """Stack blocks; the last ones have attention, every other with moved windows.

    Args:
        channels: Number of channels.
        depth: Number of blocks.
        attention_ratio: Share of the blocks that have attention.
        heads: Number of attention heads.
        window: Height and width of the attention windows.
        kernel_size: Height and width of the depth-wise convolutions.
        mlp_ratio: Width of the MLPs as a multiple of *channels*.

    Returns:
        The stack.
    """
    plain = depth - round(attention_ratio * depth)
    return nn.Sequential(
        *(
            DecloudBlock(
                channels,
                heads if i >= plain else 0,
                window,
                (i - plain) % 2 * (window // 2),
                kernel_size,
                mlp_ratio,
            )
            for i in range(depth)
        )
    )


class SARBlock(nn.Module):
    """Two 3×3 convolutions with batch norm and a residual; then half the resolution.

    Args:
        in_channels: Number of channels of the input.
        channels: Number of channels C of the output.

    Example:
        >>> SARBlock(4, 8)(torch.rand(2, 4, 16, 16)).shape
        torch.Size([2, 8, 8, 8])
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )
        self.pool = nn.Sequential(nn.ReLU(), nn.AvgPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        """Refine and pool a feature map.

        Args:
            x: Feature map, B×C_in×H×W.

        Returns:
            Feature map, B×C×H/2×W/2.
        """
        pooled: Tensor = self.pool(self.residual(x) + self.shortcut(x))
        return pooled


class SelectiveFusion(nn.Module):
    """Sum of two maps, weighted per channel by a softmax over the two.

    Args:
        channels: Number of channels C of both maps.
        reduction: Bottleneck ratio of the weights, which keep 4 channels at least.

    Example:
        >>> SelectiveFusion(8)(*torch.rand(2, 1, 8, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        narrow = max(channels // reduction, 4)
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, narrow, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(narrow, 2 * channels, 1, bias=False),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Fuse the two maps.

        Args:
            x: Feature map of the decoder, B×C×H×W.
            skip: Feature map of the encoder, B×C×H×W.

        Returns:
            Fused feature map, B×C×H×W.
        """
        # The mean of the sum is the sum of the means, which needs no H×W tensor.
        pooled = x.mean((2, 3), keepdim=True) + skip.mean((2, 3), keepdim=True)
        logits_x, logits_skip = self.weigh(pooled).chunk(2, dim=1)
        # A softmax over two is a sigmoid of their difference.
        return x + torch.sigmoid(logits_skip - logits_x) * (skip - x)


class SqueezeExcitation(nn.Module):
    """Scale every channel by a number between 0 and 1 made from all channel means.

    Args:
        channels: Number of channels C.
        reduction: Bottleneck ratio.

    Example:
        >>> SqueezeExcitation(8, 2)(torch.rand(1, 8, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        narrow = max(channels // reduction, 1)
        self.excite = nn.Sequential(
            nn.Conv2d(channels, narrow, 1),
            nn.ReLU(),
            nn.Conv2d(narrow, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Reweight the channels of a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Reweighted feature map of the same shape.
        """
        scale: Tensor = self.excite(x.mean((2, 3), keepdim=True))
        return x * scale
