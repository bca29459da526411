# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""HDRSA-Net: dynamic convolution and sparse global attention in residual groups.

J. Pan, J. Xu, X. Yu, G. Ye, M. Wang, Y. Chen, J. Ma: *HDRSA-Net: Hybrid dynamic residual
self-attention network for SAR-assisted optical image cloud and shadow removal*, ISPRS
Journal of Photogrammetry and Remote Sensing 218, 2024.
https://doi.org/10.1016/j.isprsjprs.2024.10.026

Dynamic convolution is after C. Li, A. Zhou, A. Yao: *Omni-Dimensional Dynamic
Convolution*, ICLR 2022. https://arxiv.org/abs/2209.07947
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn
from torch.optim import Adam

from ...metrics.functional.ssim import ssim_map
from ..inputs import OpticalSARModel, check_multiple, padded, refuse_classes
from ..recipes import Recipe
from ..registry import register_model

#: Weights of the spectral and the structural loss; the one of the pixels has weight 1.
LAMBDA_SPECTRAL, LAMBDA_STRUCTURE = 0.1, 0.1


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
        mixed: Tensor = logits[3].softmax(1) @ self.weight.flatten(1)
        mixed = mixed.unflatten(1, self.shape)
        mixed = mixed * outputs[:, :, None, None, None] * inputs[:, None, :, None, None]
        places: Tensor = positions.unflatten(1, mixed.shape[-2:])[:, None, None]
        return mixed * places

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
        convolved: Tensor = grouped[0].unflatten(0, x.shape[:2])
        return convolved


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


def losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Three aims at once: right values, right spectra, right structures.

    Mean absolute error + 0.1 · (1 − cosine of the angle between spectra) + 0.1 · (1 −
    SSIM), each a mean over all pixels.

    Args:
        model: The model.
        batch: ``image``, ``image_sar`` and ``image_clear``, scaled to [0, 1]; height and
            width at least 6.

    Returns:
        ``loss``, and ``loss_pixel``, ``loss_spectral`` and ``loss_structure`` without
        their weights.
    """
    prediction = model(batch['image'], batch['image_sar'])['reconstruction'].float()
    target = batch['image_clear'].float()
    pixel = F.l1_loss(prediction, target)
    spectral = 1 - F.cosine_similarity(prediction, target, dim=1).mean()
    structure = 1 - ssim_map(prediction, target).mean()
    return {
        'loss': pixel + LAMBDA_SPECTRAL * spectral + LAMBDA_STRUCTURE * structure,
        'loss_pixel': pixel,
        'loss_spectral': spectral,
        'loss_structure': structure,
    }


#: A recipe of ours with the aims that the paper's abstract names.
RECIPE = Recipe(losses=losses, optimizer=partial(Adam, lr=1e-4))


@register_model('hdrsanet', recipe=RECIPE)
class HDRSANet(OpticalSARModel):
    """Remove clouds with groups that explore locally and aggregate globally.

    Both images are folded to half resolution. Groups of omni-dimensional dynamic
    convolutions and sparse global attention refine the merged features, which are
    unfolded to a correction of the cloudy image.

    The default arguments give 8,987,500 parameters and 50.6 G multiply-adds at 256×256.
    No figures of the authors' model are known here, and no code: this is a model after
    the paper's idea, not a copy of it.

    Choices: the paper's abstract names *dynamic interaction residual groups*, stacked, of
    an *omni-dimensional dynamic local exploration* and a *sparse global context
    aggregation* module, and a *multi-task cooperative optimisation loss* for spectral
    fidelity and coherent structures. The rest is ours:

    - Features have half the resolution, by PixelUnshuffle, so that the cost is moderate,
      and 96 channels. There are 4 groups.
    - A stem for each sensor is a 3×3 convolution; both are concatenated and merged by a
      1×1 convolution. *Interaction*: each group takes in the SAR features again, by
      concatenation and a 1×1 convolution.
    - A group has three residual blocks of two dynamic 3×3 convolutions, then attention
      with an MLP of ratio 2, then a 3×3 convolution; a skip goes around each group, and
      one around all groups and a 3×3 convolution.
    - Dynamic convolutions have 4 candidate kernels and no bias or normalisation. The
      candidates share their attentions over positions and channels.
    - *Sparse*: a pixel attends to a regular 16×16 grid of pixels that spans the image, so
      that the cost per pixel is the same for any size. There are 4 heads.
    - *Multi-task* is read as one loss of several aims, not as several outputs: there is
      no segmentation. Its terms and weights are ours, and so is the optimizer.

    It takes any height and width: images are continued by their border pixels up to
    :attr:`stride`, feature maps up to whole cells. Exported with
    :func:`torch.export.export`, it takes any batch at the height and width of the
    example.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands.
        num_classes: None; the model does not segment.
        channels: Width; a multiple of *heads*.
        groups: Number of residual groups.
        blocks: Number of blocks of local exploration in a group.
        kernels: Number of candidate kernels of the dynamic convolutions.
        heads: Number of attention heads.
        grid: Height and width of the grid of pixels that a pixel attends to.
        mlp_ratio: Width of the MLP after the attention as a multiple of *channels*.

    Raises:
        ValueError: If *num_classes* is given, or *channels* is not a multiple of *heads*.

    Example:
        >>> model = HDRSANet(channels=8, groups=1, blocks=1, grid=4).eval()
        >>> out = model(torch.rand(1, 13, 45, 70), torch.rand(1, 2, 45, 70))
        >>> out['reconstruction'].shape
        torch.Size([1, 13, 45, 70])
    """

    stride = 2

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        channels: int = 96,
        groups: int = 4,
        blocks: int = 3,
        kernels: int = 4,
        heads: int = 4,
        grid: int = 16,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'HDRSA-Net')
        check_multiple('channels', channels, heads, 'heads')
        self.fold = nn.PixelUnshuffle(2)
        self.optical_stem = nn.Conv2d(4 * in_channels, channels, 3, padding=1)
        self.sar_stem = nn.Conv2d(4 * sar_channels, channels, 3, padding=1)
        self.merge = nn.Conv2d(2 * channels, channels, 1)
        self.groups = nn.ModuleList(
            InteractionGroup(channels, blocks, kernels, heads, grid, mlp_ratio)
            for _ in range(groups)
        )
        self.close = nn.Conv2d(channels, channels, 3, padding=1)
        self.output = nn.Sequential(
            nn.Conv2d(channels, 4 * in_channels, 3, padding=1), nn.PixelShuffle(2)
        )
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Restore the image.

        Returns:
            ``reconstruction``, B×C×H×W, not clipped.
        """
        sar = self.sar_stem(self.fold(image_sar))
        shallow = self.merge(torch.cat([self.optical_stem(self.fold(image)), sar], 1))
        x = shallow
        for group in self.groups:
            x = group(x, sar)
        reconstruction = image + self.output(shallow + self.close(x))
        return {'reconstruction': reconstruction}
