# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Blocks of HDRSA-Net: omni-dimensional dynamic convolution, sparse global attention.

Dynamic convolution is after C. Li, A. Zhou, A. Yao: *Omni-Dimensional Dynamic
Convolution*, ICLR 2022. https://arxiv.org/abs/2209.07947
"""

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from ..inputs import padded


class OmniDynamicConv(nn.Module):
    r"""Convolution with a kernel that each image composes for itself.

    .. math::

        W = \alpha_f \odot \alpha_c \odot \alpha_s \odot \sum_i \alpha_{w,i} W_i

    The attentions over output channels f, input channels c, positions s of the kernel
    (sigmoids) and over the candidate kernels i (a softmax) are functions of the mean of
    the input. Candidates share the first three.

    Args:
        channels: Number of channels C, in and out.
        kernels: Number of candidate kernels.
        kernel_size: Height and width of the kernels, odd.
        reduction: How many times narrower than C the attentions' hidden layer is; it
            has at least 16 units.

    Example:
        >>> OmniDynamicConv(8)(torch.rand(2, 8, 9, 13)).shape
        torch.Size([2, 8, 9, 13])
    """

    def __init__(
        self,
        channels: int,
        kernels: int = 4,
        kernel_size: int = 3,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        hidden = max(channels // reduction, 16)
        self.shape = channels, channels, kernel_size, kernel_size
        self.sizes = [channels, channels, kernel_size**2, kernels]
        self.squeeze = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU())
        self.attend = nn.Linear(hidden, sum(self.sizes))
        # Of three dimensions, as channels_last does not take five.
        self.weight = nn.Parameter(
            torch.empty(kernels, channels, channels * kernel_size**2)
        )
        for kernel in self.weight:
            nn.init.kaiming_normal_(kernel, nonlinearity='relu')

    def kernel(self, x: Tensor) -> Tensor:
        """Compose the kernel of each image.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Kernels, B×C×C×k×k: output channels first.
        """
        logits = self.attend(self.squeeze(x.mean((2, 3)))).split(self.sizes, 1)
        outputs, inputs, positions = (part.sigmoid() for part in logits[:3])
        mixed = (logits[3].softmax(1) @ self.weight.flatten(1)).unflatten(1, self.shape)
        mixed = mixed * outputs[:, :, None, None, None] * inputs[:, None, :, None, None]
        return mixed * positions.unflatten(1, mixed.shape[-2:])[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each image with its kernel, at the same resolution.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map of the same shape.
        """
        kernel = self.kernel(x)
        # One group an image: a batch is convolved in one call.
        grouped = F.conv2d(
            x.flatten(0, 1)[None],
            kernel.flatten(0, 1),
            padding=kernel.shape[-1] // 2,
            groups=x.shape[0],
        )
        return grouped[0].unflatten(0, x.shape[:2])


class LocalExploration(nn.Module):
    """Two omni-dimensional dynamic convolutions with ReLU between, as a residual.

    Args:
        channels: Number of channels C.
        kernels: Number of candidate kernels.
    """

    def __init__(self, channels: int, kernels: int) -> None:
        super().__init__()
        self.first = OmniDynamicConv(channels, kernels)
        self.second = OmniDynamicConv(channels, kernels)

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map of the same shape.
        """
        refined: Tensor = x + self.second(F.relu(self.first(x)))
        return refined


class SparseGlobalAttention(nn.Module):
    """Each pixel attends to a grid of pixels that spans the whole image.

    An image of H×W has G×G regular cells; the pixels at the same place of their cells
    attend to each other. So a pixel sees G² others, spread over all of the image, and
    the cost grows linearly with the number of pixels.

    Args:
        channels: Number of channels C.
        heads: Number of heads, a divisor of C.
        grid: Number of cells G in each direction.

    Example:
        >>> SparseGlobalAttention(8, heads=2, grid=4)(torch.rand(1, 8, 9, 13)).shape
        torch.Size([1, 8, 9, 13])
    """

    def __init__(self, channels: int, heads: int, grid: int) -> None:
        super().__init__()
        self.heads = heads
        self.grid = grid
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend.

        Args:
            x: Feature map, B×C×H×W, any H and W: borders are repeated to fill cells.

        Returns:
            Feature map of the same shape.
        """
        height, width = x.shape[-2:]
        x = padded(x, self.grid)
        cell = x.shape[-2] // self.grid, x.shape[-1] // self.grid
        qkv = self.qkv(x).unflatten(3, (self.grid, -1)).unflatten(2, (self.grid, -1))
        # 3, heads, dim, row, y, column, x: pixels (y, x) of all cells are one sequence
        qkv = qkv.unflatten(1, (3, self.heads, -1)).permute(1, 0, 5, 7, 2, 4, 6, 3)
        q, k, v = qkv.flatten(5, 6).flatten(1, 3).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        mixed = mixed.unflatten(2, (self.grid, self.grid)).unflatten(0, (-1, *cell))
        mixed = mixed.permute(0, 3, 6, 4, 1, 5, 2).flatten(5, 6).flatten(3, 4)
        projected: Tensor = self.project(mixed.flatten(1, 2))
        return projected[..., :height, :width]


class GlobalAggregation(nn.Module):
    """Sparse global attention, then an MLP of each pixel, each a residual.

    Args:
        channels: Number of channels C.
        heads: Number of heads, a divisor of C.
        grid: Number of cells in each direction.
        mlp_ratio: Width of the MLP as a multiple of C.
    """

    def __init__(self, channels: int, heads: int, grid: int, mlp_ratio: float) -> None:
        super().__init__()
        hidden = int(mlp_ratio * channels)
        self.norm1 = LayerNorm2d(channels)
        self.attention = SparseGlobalAttention(channels, heads, grid)
        self.norm2 = LayerNorm2d(channels)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.GELU(), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map.

        Args:
            x: Feature map, B×C×H×W.

        Returns:
            Feature map of the same shape.
        """
        x = x + self.attention(self.norm1(x))
        refined: Tensor = x + self.mlp(self.norm2(x))
        return refined


class InteractionGroup(nn.Module):
    """Residual group: take in SAR, explore locally, aggregate globally.

    Args:
        channels: Number of channels C.
        blocks: Number of blocks of local exploration.
        kernels: Number of candidate kernels of the dynamic convolutions.
        heads: Number of heads, a divisor of C.
        grid: Number of cells of the attention in each direction.
        mlp_ratio: Width of the MLP as a multiple of C.
    """

    def __init__(
        self,
        channels: int,
        blocks: int,
        kernels: int,
        heads: int,
        grid: int,
        mlp_ratio: float,
    ) -> None:
        super().__init__()
        self.take_in = nn.Conv2d(2 * channels, channels, 1)
        self.body = nn.Sequential(
            *(LocalExploration(channels, kernels) for _ in range(blocks)),
            GlobalAggregation(channels, heads, grid, mlp_ratio),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor, sar: Tensor) -> Tensor:
        """Refine a feature map with the help of SAR.

        Args:
            x: Feature map, B×C×H×W.
            sar: SAR features of the same shape.

        Returns:
            Feature map of the same shape.
        """
        refined: Tensor = x + self.body(self.take_in(torch.cat([x, sar], 1)))
        return refined
