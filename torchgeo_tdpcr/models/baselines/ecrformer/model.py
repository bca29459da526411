# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""ECRformer: a U-shaped transformer that attends over channels and dilated neighbourhoods.

ECRformer and ECRformer-Light, ISPRS Journal of Photogrammetry and Remote Sensing, 2026.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ...inputs import OpticalSARModel, check_multiple, refuse_classes
from ...registry import register_model
from .blocks import down, level, restormer_block, up
from .convs import conv
from .loss import RECIPE, Supervised


@register_model('ecrformer', recipe=RECIPE)
class ECRformer(OpticalSARModel):
    """Remove clouds with attention over channels and to dilated neighbourhoods.

    A 7×7 convolution for each sensor, side by side; three levels of encoder blocks, a
    bottleneck at an eighth of the resolution, three levels of decoder blocks, and
    refinement at full resolution. A block of a level is attention over channels,
    attention to 3×3 neighbourhoods of several dilations, and a gated feed-forward
    network, one after the other, each scaled by a learned number that starts at 0.01.
    Bottleneck and refinement do without the neighbourhoods. Gates of channels and of
    pixels follow every level and every change of resolution. The last convolution gives
    the image itself: nothing is added to it, and nothing clips it.

    The default arguments give 11,289,485 parameters, and 84,318 more with the auxiliary
    heads, as the authors' model has; 95.3 G multiply-adds at 256×256 in convolutions and
    matrix products, and 0.6 G in the attention to neighbours.

    It takes any height and width: images are continued by their border pixels up to a
    multiple of :attr:`stride`, and to four times :attr:`stride` at least (32 by
    default), since the mirrored borders of a 7×7 convolution need four pixels at the
    coarsest resolution. The authors' model takes multiples of 8 from 32 on, and gives
    the same for these. Exported with :func:`torch.export.export`, it takes any batch at
    the height and width of the example.

    Normalisation adds 1e-5 to variances, as the authors' does in single precision, in
    which they trained. In half precision theirs adds 1e-3, ours does not: the variances
    are as small as 1e-5 at the start.

    Its recipe is the authors': see :func:`.loss.losses`, and
    ``experiments/baselines/ecrformer.yaml`` for data and trainer. It has the
    task add the auxiliary heads. Under ``recipe='common'`` leave them out: they would get
    no gradient, which distributed training refuses.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands.
        num_classes: None; the model does not segment.
        dim: Width f of the finest level, even. Heads that attend to neighbours are f/2
            wide.
        depths: Number of blocks of each encoder level, finest first; the decoder mirrors
            them. Each level doubles the width, but the decoder's last, which keeps the
            2·f of the concatenation.
        bottleneck: Number of blocks at the coarsest resolution.
        refinement: Number of blocks after the decoder.
        auxiliary_heads: Whether every level has a convolution that makes an image of its
            features, for :meth:`deeply_supervised`.

    Raises:
        ValueError: If *num_classes* is given, *dim* is odd, or *depths* is empty.

    Example:
        >>> model = ECRformer(dim=8, depths=(1,), bottleneck=1).eval()
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
        auxiliary_heads: bool = False,
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'ECRformer')
        check_multiple('dim', dim, 2)
        if not depths:
            raise ValueError('`depths=()` must have at least one entry, one a level.')
        self.stride = 2 ** len(depths)
        # The 7×7 gate at the coarsest resolution mirrors three pixels
        self.smallest = 4 * self.stride
        self.auxiliary_heads = auxiliary_heads

        half = dim // 2
        widths = [dim * 2**i for i in range(len(depths) + 1)]
        self.sar_stem = conv(sar_channels, half, 7, bias=True)
        self.optical_stem = conv(in_channels, half, 7, bias=True)
        self.encoders = nn.ModuleList(
            level(width, half, depth)
            for width, depth in zip(widths[:-1], depths, strict=True)
        )
        self.downs = nn.ModuleList(map(down, widths[:-1]))
        self.bottleneck = _restormer_blocks(widths[-1], bottleneck)
        self.ups = nn.ModuleList(
            up(coarse, fine) for coarse, fine in pairwise(reversed(widths))
        )
        self.merges = nn.ModuleList(
            conv(2 * width, width, 3, bias=True) for width in widths[-2:0:-1]
        )
        self.merges.append(nn.Identity())
        decoded = [*widths[-2:0:-1], 2 * dim]
        self.decoders = nn.ModuleList(
            level(width, half, depth)
            for width, depth in zip(decoded, reversed(depths), strict=True)
        )
        self.refinement = _restormer_blocks(2 * dim, refinement)
        self.output = conv(2 * dim, in_channels, 3, bias=True)
        if auxiliary_heads:
            self.encoder_heads, self.decoder_heads = (
                nn.ModuleList(conv(n, in_channels, 3, bias=True) for n in features)
                for features in (widths[:-1], decoded)
            )
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Restore the image.

        Returns:
            ``reconstruction``, B×C×H×W, not clipped.
        """
        return {'reconstruction': self._features(image, image_sar)[0]}

    def deeply_supervised(self, image: Tensor, image_sar: Tensor) -> Supervised:
        """Restore the image, and make an image of every level, for training.

        Args:
            image: Cloudy optical image, B×C×H×W, normalised to [0, 1].
            image_sar: SAR image, B×S×H×W, normalised to [0, 1]; the same H and W, any.

        Returns:
            The reconstruction and the images of the levels.

        Raises:
            ValueError: If the model has no auxiliary heads, or :meth:`forward` would
                refuse the images.

        Example:
            >>> model = ECRformer(dim=8, depths=(1, 1), auxiliary_heads=True)
            >>> images = torch.rand(1, 13, 45, 70), torch.rand(1, 2, 45, 70)
            >>> [tuple(x.shape[2:]) for x in model.deeply_supervised(*images).decoder]
            [(45, 70), (22, 35)]
        """
        if not self.auxiliary_heads:
            raise ValueError(
                '`auxiliary_heads=False`: there are no images of the levels. The loss of '
                "ECRformer's own recipe needs them: build the model with "
                '`auxiliary_heads=True`, as the task does of itself, or train with '
                "`recipe='common'`."
            )
        height, width = image.shape[-2:]
        x, encoded, decoded = self._features(*self.prepared(image, image_sar))

        def images(heads: Iterable[nn.Module], maps: Iterable[Tensor]) -> list[Tensor]:
            return [
                head(y)[..., : height // 2**i, : width // 2**i]
                for i, (head, y) in enumerate(zip(heads, maps, strict=True))
            ]

        return Supervised(
            x[..., :height, :width],
            images(self.encoder_heads, encoded),
            images(self.decoder_heads[::-1], decoded[::-1]),
        )

    def _features(
        self, image: Tensor, image_sar: Tensor
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The reconstruction, and what the levels of encoder and decoder put out."""
        x = torch.cat([self.sar_stem(image_sar), self.optical_stem(image)], 1)
        encoded: list[Tensor] = []
        for encode, halve in zip(self.encoders, self.downs, strict=True):
            x = encode(x)
            encoded.append(x)
            x = halve(x)
        x = self.bottleneck(x)
        decoded: list[Tensor] = []
        for double, merge, decode, skip in zip(
            self.ups, self.merges, self.decoders, reversed(encoded), strict=True
        ):
            x = decode(merge(torch.cat([double(x), skip], 1)))
            decoded.append(x)
        return self.output(self.refinement(x)), encoded, decoded


def _restormer_blocks(channels: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(restormer_block(channels) for _ in range(depth)))


@register_model('ecrformer_light', recipe=RECIPE)
def ecrformer_light(**kwargs: Any) -> ECRformer:
    """ECRformer-Light: narrower and shallower.

    3,703,739 parameters, and 56,238 more with the auxiliary heads, as the authors' model
    has; 32.6 G multiply-adds at 256×256 in convolutions and matrix products, and 0.3 G in
    the attention to neighbours.

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
