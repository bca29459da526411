# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""ECRformer: a U-shaped transformer that attends over channels and dilated windows.

ECRformer and ECRformer-Light, ISPRS Journal of Photogrammetry and Remote Sensing, 2026.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from ...inputs import OpticalSARModel, refuse_classes
from ...recipes import Recipe, l1_losses
from ...registry import register_model
from .blocks import ECRBlock, ResidualConvs

#: A recipe of ours, after Restormer's: that of ECRformer's authors is not known here.
RECIPE = Recipe(losses=l1_losses, optimizer=partial(AdamW, lr=3e-4, weight_decay=1e-4))


@register_model('ecrformer', recipe=RECIPE)
class ECRformer(OpticalSARModel):
    """Remove clouds with attention over channels and over windows of several dilations.

    A stem for each sensor, merged; three levels of encoder blocks, a bottleneck at an
    eighth of the resolution, three levels of decoder blocks, refinement at full
    resolution, and a correction of the cloudy image.

    The default arguments give 11,296,001 parameters, against 11.29 M counted for the
    authors' model, and 101.6 G multiply-adds at 256×256, against 102 G.

    What is known are the three levels, transposed (cross-covariance) attention and window
    attention of several dilations, the gated feed-forward network, the widths, the
    numbers of blocks, and the sizes of the two models. Everything else is a reading that
    meets the sizes of both models at once; it need not be the authors'.

    Choices:

    - The U-shape is Restormer's: each level doubles the width; the skips of levels 2 and
      3 are merged by 1×1 convolutions; at level 1 decoder and refinement keep the width
      2·*dim* of the concatenation. The decoder's depths mirror the encoder's.
    - Down-sampling is a 3×3 convolution of stride 2, up-sampling a 3×3 convolution and
      PixelShuffle.
    - Both kinds of attention sit in one block, in parallel: queries, keys and values come
      from one 1×1 and one depth-wise 3×3 convolution; half of the channels attend over
      channels, the others over windows of 8×8 pixels, half of these with dilation 1 and
      half with 2. One 1×1 convolution mixes all. There is no position bias: the
      depth-wise convolution tells positions apart.
    - The feed-forward branches are 2.5 times as wide as the block.
    - Each stem is a 3×3 convolution and two residual blocks of two such; the two are
      concatenated and merged by a 3×3 convolution.
    - Heads are 1, 2, 4, 8 by level, in each group of channels.
    - The recipe (mean absolute error, AdamW 3e-4) is ours.

    It takes any height and width: images are continued by their border pixels up to
    :attr:`stride`, feature maps up to whole windows. Exported with
    :func:`torch.export.export`, it takes any batch at the height and width of the
    example.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands.
        num_classes: None; the model does not segment.
        dim: Width of the first level.
        depths: Number of blocks of each level, finest first, in encoder and decoder.
        bottleneck: Number of blocks at the coarsest resolution.
        refinement: Number of blocks after the decoder.
        heads: Number of heads of each level and of the bottleneck.
        window: Pixels of an attention window in each direction.
        dilations: Dilations of the window attention.
        expansion: Width of the feed-forward branches as a multiple of the block's.
        stem_blocks: Number of residual blocks of each sensor's stem.

    Raises:
        ValueError: If *num_classes* is given, *heads* does not have one entry more than
            *depths*, or the channels cannot be shared out among the heads.

    Example:
        >>> model = ECRformer(dim=8, depths=(1,), bottleneck=1, heads=(1, 2)).eval()
        >>> out = model(torch.rand(1, 13, 45, 70), torch.rand(1, 2, 45, 70))
        >>> out['reconstruction'].shape
        torch.Size([1, 13, 45, 70])
    """

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        dim: int = 48,
        depths: Sequence[int] = (2, 3, 2),
        bottleneck: int = 2,
        refinement: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        window: int = 8,
        dilations: Sequence[int] = (1, 2),
        expansion: float = 2.5,
        stem_blocks: int = 2,
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'ECRformer')
        if not depths or len(heads) != len(depths) + 1:
            raise ValueError(
                f'`heads={list(heads)}` must have one entry more than '
                f'`depths={list(depths)}`, which has at least one: one for each level '
                'and one for the bottleneck.'
            )
        self.stride = 2 ** len(depths)

        def blocks(channels: int, level: int, depth: int) -> nn.Sequential:
            return nn.Sequential(
                *(
                    ECRBlock(channels, heads[level], window, dilations, expansion)
                    for _ in range(depth)
                )
            )

        def stem(channels: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(channels, dim, 3, padding=1),
                *(ResidualConvs(dim) for _ in range(stem_blocks)),
            )

        levels = len(depths)
        widths = [dim * 2**i for i in range(levels + 1)]
        self.optical_stem = stem(in_channels)
        self.sar_stem = stem(sar_channels)
        self.merge_stems = nn.Conv2d(2 * dim, dim, 3, padding=1)
        self.encoders = nn.ModuleList(map(blocks, widths, range(levels), depths))
        self.downs = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1, bias=False)
            for fine, coarse in pairwise(widths)
        )
        self.bottleneck = blocks(widths[-1], levels, bottleneck)
        self.ups = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(coarse, 2 * coarse, 3, padding=1, bias=False),
                nn.PixelShuffle(2),
            )
            for coarse in widths[:0:-1]
        )
        self.merges = nn.ModuleList(
            nn.Conv2d(2 * width, width, 1, bias=False) if width > dim else nn.Identity()
            for width in widths[-2::-1]
        )
        self.decoders = nn.ModuleList(
            blocks(max(widths[i], 2 * dim), i, depths[i])
            for i in reversed(range(levels))
        )
        self.refinement = blocks(2 * dim, 0, refinement)
        self.output = nn.Conv2d(2 * dim, in_channels, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Restore the image.

        Returns:
            ``reconstruction``, B×C×H×W, not clipped.
        """
        stems = self.optical_stem(image), self.sar_stem(image_sar)
        x = self.merge_stems(torch.cat(stems, 1))
        skips: list[Tensor] = []
        for encode, down in zip(self.encoders, self.downs, strict=True):
            x = encode(x)
            skips.append(x)
            x = down(x)
        x = self.bottleneck(x)
        for up, merge, decode in zip(self.ups, self.merges, self.decoders, strict=True):
            x = decode(merge(torch.cat([up(x), skips.pop()], 1)))
        reconstruction = image + self.output(self.refinement(x))
        return {'reconstruction': reconstruction}


@register_model('ecrformer_light', recipe=RECIPE)
def ecrformer_light(**kwargs: Any) -> ECRformer:
    """ECRformer-Light: narrower and shallower.

    3,694,251 parameters, against 3.70 M counted for the authors' model; 35.2 G
    multiply-adds at 256×256, against 34 to 36 G.

    Args:
        **kwargs: Arguments of :class:`ECRformer`.

    Returns:
        The model.

    Example:
        >>> ecrformer_light().stride
        8
    """
    light = {'dim': 32, 'depths': (2, 2, 1), 'bottleneck': 1, 'refinement': 2}
    return ECRformer(**{**light, **kwargs})
