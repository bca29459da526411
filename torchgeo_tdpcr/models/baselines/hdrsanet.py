# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""HDRSA-Net: dynamic convolution and sparse global attention in residual groups.

J. Pan, J. Xu, X. Yu, G. Ye, M. Wang, Y. Chen, J. Ma: *HDRSA-Net: Hybrid dynamic residual
self-attention network for SAR-assisted optical image cloud and shadow removal*, ISPRS
Journal of Photogrammetry and Remote Sensing 218, 2024.
https://doi.org/10.1016/j.isprsjprs.2024.10.026
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...metrics.functional.ssim import ssim_map
from ..inputs import check_multiple, prepared, refuse_classes
from ..recipes import Recipe
from ..registry import register_model
from .hdrsanet_blocks import InteractionGroup

#: Weights of the spectral and the structural loss; the one of the pixels has weight 1.
LAMBDA_SPECTRAL, LAMBDA_STRUCTURE = 0.1, 0.1


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


def optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam with a learning rate of 1e-4.

    Args:
        parameters: What to optimise.

    Returns:
        The optimizer.
    """
    return torch.optim.Adam(parameters, lr=1e-4)


#: A recipe of ours with the aims that the paper's abstract names.
RECIPE = Recipe(losses=losses, optimizer=optimizer, crop=128, batch_size=16)


@register_model('hdrsanet', recipe=RECIPE)
class HDRSANet(nn.Module):
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
      no segmentation. Its terms and weights are ours, and so are the optimizer, the crop
      and the batch.

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
        super().__init__()
        refuse_classes(num_classes, 'HDRSA-Net')
        check_multiple('channels', channels, heads, 'heads')
        self.in_channels = in_channels
        self.sar_channels = sar_channels
        self.num_classes = num_classes
        #: Height and width are padded to a multiple of this inside.
        self.stride = 2
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

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Reconstruct the scene beneath the clouds.

        Args:
            image: Cloudy optical image, B×C×H×W, normalised to [0, 1].
            image_sar: SAR image, B×S×H×W, normalised to [0, 1]; the same H and W, any.

        Returns:
            ``reconstruction``, B×C×H×W, not clipped.

        Raises:
            ValueError: If the inputs do not have the channels that the model was built
                for, or differ in height or width.
        """
        image, image_sar, (height, width) = prepared(
            image, image_sar, self.in_channels, self.sar_channels, self.stride
        )

        sar = self.sar_stem(self.fold(image_sar))
        shallow = self.merge(torch.cat([self.optical_stem(self.fold(image)), sar], 1))
        x = shallow
        for group in self.groups:
            x = group(x, sar)
        reconstruction = image + self.output(shallow + self.close(x))
        return {'reconstruction': reconstruction[..., :height, :width]}
