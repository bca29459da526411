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
from torch import Tensor, nn
from torch.optim import AdamW

from ...inputs import OpticalSARModel, refuse_classes
from ...recipes import Recipe
from ...registry import register_model
from .blocks import (
    SARBlock,
    SelectiveFusion,
    SqueezeExcitation,
    decloud_stage,
)
from .loss import HPNCRLoss


def losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """The terms of :class:`.HPNCRLoss` and their sum.

    Args:
        model: The model.
        batch: ``image``, ``image_sar`` and ``image_clear``, scaled to [0, 1].

    Returns:
        ``loss``, ``loss_l1``, ``loss_ssim`` and ``loss_sam``.
    """
    prediction = model(batch['image'], batch['image_sar'])['reconstruction']
    return HPNCRLoss().terms(prediction, batch['image_clear'])


#: How HPN-CR is trained.
RECIPE = Recipe(losses=losses, optimizer=partial(AdamW, lr=1e-4))


@register_model('hpncr', recipe=RECIPE)
class HPNCR(OpticalSARModel):
    """Remove clouds with two encoders of different kinds that meet at 1/8 resolution.

    Optical stages of window attention and depth-wise convolution lie at 1/2, 1/4 and
    1/8; SAR residual blocks at 1, 1/2 and 1/4, each followed by average pooling. Both
    are concatenated and reweighted, and two optical stages decode. The output is
    ``sigmoid(x + image)``, so it lies between 0 and 1.

    The default arguments are the paper's where we know them: 3,691,188 parameters,
    against 3.686 M counted for the authors' model; 18.2 G multiply-adds at 256×256,
    17.7 G of them in convolutions, against 17.6 G.

    Choices, where the description leaves something open:

    - Optical down-sampling is a 3×3 convolution of stride 2, before every stage, so that
      the third is at 1/8, where SAR is after three poolings.
    - The blocks with attention are the last of a stage; every other moves its windows
      by half a window. Heads are 13 channels wide. Windows are 8 pixels at 1/2 and 1/4,
      12 at 1/8. There is a learned position bias.
    - A block projects the sum of the attention and a 5×5 depth-wise convolution of the
      same values; one without attention has the convolution alone. MLPs are 4 wide.
    - The revised layer norm is the one of Song et al. (2023), before both halves of a
      block: over a whole map, with its mean and deviation given back after the layer.
    - SAR has a 3×3 stem; blocks that widen have a 1×1 shortcut.
    - Squeeze and excitation halves the 360 channels inside; a 3×3 convolution with
      PixelShuffle goes from them to the first decoder stage, and from each stage on.
      The halving and the MLPs' width are what meets the parameter count.

    It takes any height and width: images are continued by their border pixels up to
    :attr:`stride`, and maps within attention up to the windows. The norm, the
    excitation and the fusion see the continued part. Exported with
    :func:`torch.export.export`, it takes any batch at the height and width of the
    example.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands.
        num_classes: None; the model does not segment.
        dims: Widths of the optical stages: three to encode, two to decode. The last two
            mirror the first two.
        depths: Number of blocks of each optical stage.
        attention_ratios: Share of each stage's blocks that have attention.
        heads: Number of attention heads of each stage; not used where there is none.
        windows: Height and width of the attention windows of each stage.
        sar_dims: Widths of the SAR blocks.
        kernel_size: Height and width of the depth-wise convolutions, odd.
        mlp_ratio: Width of the MLPs as a multiple of the stage's.
        reduction: Bottleneck ratio of the squeeze and excitation.

    Raises:
        ValueError: If *num_classes* is given, or another argument does not fit.

    Example:
        >>> small = {'dims': (4, 8, 8, 8, 4), 'depths': (1,) * 5, 'sar_dims': (4, 4, 8)}
        >>> model = HPNCR(**small, heads=(2,) * 5, attention_ratios=(1,) * 5).eval()
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
        heads: Sequence[int] = (2, 4, 8, 4, 2),
        windows: Sequence[int] = (8, 8, 12, 8, 8),
        sar_dims: Sequence[int] = (64, 128, 256),
        kernel_size: int = 5,
        mlp_ratio: float = 4.0,
        reduction: int = 2,
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'HPN-CR')
        for name, values in (
            ('dims', dims),
            ('depths', depths),
            ('attention_ratios', attention_ratios),
            ('heads', heads),
            ('windows', windows),
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
        if kernel_size % 2 == 0:
            raise ValueError(f'`kernel_size={kernel_size}` must be odd.')

        stages = [
            decloud_stage(*stage, kernel_size=kernel_size, mlp_ratio=mlp_ratio)
            for stage in zip(
                dims, depths, attention_ratios, heads, windows, strict=True
            )
        ]
        self.encoder = nn.ModuleList(stages[:3])
        self.decoder = nn.ModuleList(stages[3:])
        self.downs = nn.ModuleList(
            nn.Conv2d(wide, narrow, 3, stride=2, padding=1)
            for wide, narrow in zip((in_channels, *dims[:2]), dims[:3], strict=True)
        )
        self.sar_encoder = nn.Sequential(
            nn.Conv2d(sar_channels, sar_dims[0], 3, padding=1),
            *map(SARBlock, (sar_dims[0], *sar_dims[:2]), sar_dims),
        )
        both = dims[2] + sar_dims[2]
        self.reweight = SqueezeExcitation(both, reduction)
        self.ups = nn.ModuleList(map(_up, (both, *dims[3:]), (*dims[3:], in_channels)))
        self.skips = nn.ModuleList(map(SelectiveFusion, dims[3:]))
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Restore the image.

        Returns:
            ``reconstruction``, B×C×H×W, between 0 and 1.
        """
        x, skips = image, []
        for down, stage in zip(self.downs, self.encoder, strict=True):
            x = stage(down(x))
            skips.append(x)
        sar = self.sar_encoder(image_sar)
        x = self.reweight(torch.cat([skips.pop(), sar], 1))
        for up, fuse, stage in zip(
            self.ups[:-1], self.skips, self.decoder, strict=True
        ):
            x = stage(fuse(up(x), skips.pop()))
        reconstruction = torch.sigmoid(self.ups[-1](x) + image)
        return {'reconstruction': reconstruction}


def _up(in_channels: int, out_channels: int) -> nn.Sequential:
    """Double the resolution with a 3×3 convolution and PixelShuffle."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1), nn.PixelShuffle(2)
    )
