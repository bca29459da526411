# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""HPN-CR: window attention for the optical image, a ResNet for SAR, side by side.

P. Gu, W. Liu, S. Feng, T. Wei, J. Wang, H. Chen: *HPN-CR: Heterogeneous Parallel Network
for SAR-Optical Data Fusion Cloud Removal*, IEEE Transactions on Geoscience and Remote
Sensing, 2025.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from timm.layers.squeeze_excite import SqueezeExcite
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import StepLR

from ...inputs import OpticalSARModel, refuse_classes
from ...recipes import Recipe
from ...registry import register_model
from .attention import smallest_map
from .blocks import decloud_stage, init_stages
from .fusion import ResidualBlock, SelectiveFusion
from .loss import loss_terms

#: Width of the last layers, at full resolution.
FULL_WIDTH = 32

#: Of the optical stages: by how much their maps are smaller than the image.
SCALES = (2, 4, 8, 4, 2)

#: Height and width that the reflecting convolutions need at 1/8.
SMALLEST = 3


def losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """The terms of the loss and their weighted sum, by :func:`.loss_terms`.

    Args:
        model: The model.
        batch: ``image``, ``image_sar`` and ``image_clear``, scaled to [0, 1].

    Returns:
        ``loss``, ``loss_l1``, ``loss_ssim`` and ``loss_sam``.
    """
    prediction = model(batch['image'], batch['image_sar'])['reconstruction']
    return loss_terms(prediction, batch['image_clear'])


#: How HPN-CR is trained.
RECIPE = Recipe(
    losses=losses,
    optimizer=partial(AdamW, lr=1e-4),
    scheduler=partial(StepLR, step_size=5, gamma=0.8),
)


@register_model('hpncr', recipe=RECIPE)
class HPNCR(OpticalSARModel):
    """Remove clouds with two encoders of different kinds that meet at 1/8 resolution.

    Optical stages of gated large-kernel convolutions and window attention lie at 1/2,
    1/4 and 1/8; SAR residual blocks at 1, 1/2 and 1/4, each followed by average pooling.
    Both are concatenated, reweighted and narrowed, and two optical stages decode. The
    output is ``sigmoid(x + image)``, so it lies between 0 and 1.

    With the default arguments it is the authors' network: 3,685,931 parameters in their
    build, of which 131,088 are never used and left out here (a second value projection
    in each block, 128,856, and two convolutions in each attention, 2,232): 3,554,843.
    It takes 17.1 G multiply-adds at 256×256; theirs 17.6 G, for its position biases are
    computed anew for each pair of pixels of a window.

    The authors' network takes square images, in multiples of 8, from 104 pixels on: its
    attention continues maps by reflection, which cannot be longer than the map. This one
    has the same output for these, and takes any height and width: images are continued
    by their border pixels up to a multiple of :attr:`stride`, and at least to
    :attr:`smallest`. The norm, the excitation and the fusion see the continued part.
    Exported with :func:`torch.export.export`, it takes any batch at the height and width
    of the example.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands.
        num_classes: None; the model does not segment.
        dims: Widths of the optical stages: three to encode, two to decode. The last two
            mirror the first two.
        depths: Number of blocks of each optical stage.
        attention_ratios: Share of each stage's blocks that have attention, the last.
        heads: Number of attention heads of each stage; not used where there is none.
        windows: Height and width of the attention windows of each stage; likewise.
        mlp_ratios: Width of each stage's MLPs as a multiple of the stage's.
        sar_dims: Widths of the SAR blocks.

    Attributes:
        smallest: Height and width that smaller images are continued to.

    Raises:
        ValueError: If *num_classes* is given, or another argument does not fit.

    Example:
        >>> small = {'dims': (4, 8, 8, 8, 4), 'depths': (1,) * 5, 'sar_dims': (4, 4, 8)}
        >>> model = HPNCR(**small, heads=(2,) * 5, windows=(4,) * 5).eval()
        >>> out = model(torch.rand(1, 13, 45, 70), torch.rand(1, 2, 45, 70))
        >>> out['reconstruction'].shape
        torch.Size([1, 13, 45, 70])
    """

    stride = 8

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        dims: Sequence[int] = (26, 52, 104, 52, 26),
        depths: Sequence[int] = (8, 8, 8, 4, 4),
        attention_ratios: Sequence[float] = (0.25, 0.5, 0.75, 0, 0),
        heads: Sequence[int] = (2, 4, 4, 2, 2),
        windows: Sequence[int] = (8, 12, 16, 12, 8),
        mlp_ratios: Sequence[float] = (2, 4, 4, 2, 2),
        sar_dims: Sequence[int] = (64, 128, 256),
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'HPN-CR')
        for name, values in (
            ('dims', dims),
            ('depths', depths),
            ('attention_ratios', attention_ratios),
            ('heads', heads),
            ('windows', windows),
            ('mlp_ratios', mlp_ratios),
        ):
            if len(values) != 5:
                raise ValueError(f'`{name}={tuple(values)}` must have five entries.')
        if len(sar_dims) != 3:
            raise ValueError(
                f'`sar_dims={tuple(sar_dims)}` must have three entries, one a pooling.'
            )
        if tuple(dims[3:]) != (dims[1], dims[0]):
            raise ValueError(
                f'`dims={tuple(dims)}`: the last two must be the second and the first, '
                'which they are fused with.'
            )
        for dim, ratio, number in zip(dims, attention_ratios, heads, strict=True):
            if not 0 <= ratio <= 1:
                raise ValueError(
                    f'`attention_ratios={tuple(attention_ratios)}` must lie in [0, 1].'
                )
            if ratio and (number < 1 or dim % number):
                raise ValueError(
                    f'`heads={tuple(heads)}` must divide `dims={tuple(dims)}`.'
                )
        attending = (
            smallest_map(window) * scale
            for window, scale, ratio in zip(
                windows, SCALES, attention_ratios, strict=True
            )
            if ratio
        )
        self.smallest = max(SMALLEST * max(SCALES), *attending, 0)
        stages = [
            decloud_stage(*stage)
            for stage in zip(
                dims, depths, attention_ratios, heads, windows, mlp_ratios, strict=True
            )
        ]
        fine, middle, coarse = dims[:3]
        self.down1 = nn.Conv2d(
            in_channels, fine, 3, stride=2, padding=1, padding_mode='reflect'
        )
        self.stage1 = stages[0]
        self.down2 = nn.Conv2d(fine, middle, 2, stride=2)
        self.stage2 = stages[1]
        self.down3 = nn.Conv2d(middle, coarse, 2, stride=2)
        self.stage3 = stages[2]
        self.sar = nn.Sequential(
            *(
                nn.Sequential(ResidualBlock(wide, narrow), nn.AvgPool2d(2))
                for wide, narrow in zip(
                    (sar_channels, *sar_dims[:2]), sar_dims, strict=True
                )
            )
        )
        both = coarse + sar_dims[2]
        self.join = nn.Sequential(_excite(both, 36), ResidualBlock(both, coarse))
        self.up1 = _up(coarse, middle, 1)
        self.fuse1 = SelectiveFusion(middle)
        self.skip1 = nn.Conv2d(middle, middle, 1)
        self.stage4 = stages[3]
        self.up2 = _up(middle, fine, 1)
        self.fuse2 = SelectiveFusion(fine)
        self.skip2 = nn.Conv2d(fine, fine, 1)
        self.stage5 = stages[4]
        self.up3 = _up(fine, FULL_WIDTH, 3)
        self.last = nn.Sequential(
            nn.LeakyReLU(),
            _excite(FULL_WIDTH, 8),
            nn.Conv2d(FULL_WIDTH, in_channels, 3, padding=1),
        )
        init_stages(self, sum(depths))
        for conv in (self.skip1, self.skip2, self.last[-1]):
            nn.init.normal_(conv.weight, std=0.2)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Restore the image.

        Returns:
            ``reconstruction``, B×C×H×W, between 0 and 1.
        """
        fine = self.stage1(self.down1(image))
        middle = self.stage2(self.down2(fine))
        coarse = self.stage3(self.down3(middle))
        x = self.join(torch.cat([coarse, self.sar(image_sar)], 1))
        x = self.up1(x)
        x = self.stage4(self.fuse1(x, self.skip1(middle)) + x)
        x = self.up2(x)
        x = self.stage5(self.fuse2(x, self.skip2(fine)) + x)
        correction = self.last(self.up3(x))
        return {'reconstruction': torch.sigmoid(correction + image)}


def _up(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Double the resolution with a reflecting convolution and PixelShuffle."""
    conv = nn.Conv2d(
        in_channels,
        4 * out_channels,
        kernel_size,
        padding=kernel_size // 2,
        padding_mode='reflect',
    )
    return nn.Sequential(conv, nn.PixelShuffle(2))


def _excite(channels: int, reduction: int) -> SqueezeExcite:
    """Squeeze and excitation without biases, through one channel at least."""
    narrow = max(channels // reduction, 1)
    return SqueezeExcite(channels, rd_channels=narrow, bias=False)
