# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SegCR: land cover and cloud removal, with SAR where cloud disturbs the image.

*SegCR: A Multimodal and Multitask Complementary Fusion Network for Remote Sensing
Semantic Segmentation and Cloud Removal*, IEEE Transactions on Geoscience and Remote
Sensing 63, 2025, article 5640014.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from ..inputs import prepared
from ..recipes import Recipe
from ..registry import register_model
from .segcr_blocks import TargetedFusion, TranslationHead
from .segformer_blocks import (
    STRIDE,
    MixTransformer,
    UNetDecoder,
    check_arguments,
    cross_entropy,
    entry,
)


def segcr_losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Cross-entropy, and mean absolute errors of reconstruction and translation.

    Args:
        model: :class:`SegCR`.
        batch: ``image``, ``image_sar`` and ``image_clear``; ``mask`` where there is one
            (255 where there is no label). Without it the cross-entropy is 0.

    Returns:
        The scalars ``loss_seg``, ``loss_rec`` and ``loss_translation``, and their sum
        ``loss``.

    Raises:
        KeyError: If ``image_clear`` is missing.
    """
    clear = entry(batch, 'image_clear', 'SegCR').float()
    outputs = model(batch['image'], batch['image_sar'])
    seg = cross_entropy(outputs, batch)
    rec = F.l1_loss(outputs['reconstruction'].float(), clear)
    translation = F.l1_loss(outputs['translation'].float(), clear)
    return {
        'loss': seg + rec + translation,
        'loss_seg': seg,
        'loss_rec': rec,
        'loss_translation': translation,
    }


def segcr_optimizer(parameters: Iterable[nn.Parameter]) -> Optimizer:
    """AdamW with a learning rate of 1e-4.

    Args:
        parameters: What to train.

    Returns:
        The optimizer.
    """
    return AdamW(parameters, lr=1e-4)


RECIPE = Recipe(losses=segcr_losses, optimizer=segcr_optimizer)


@register_model('segcr', recipe=RECIPE)
class SegCR(nn.Module):
    """Fill cloud-affected optical features from SAR; map land cover and restore.

    This follows the abstract of the paper, the only description that was at hand. It
    has the ideas of SegCR, not its exact layers: do not take its results for the
    authors'.

    With the defaults, 13 bands and 7 classes it has 39,804,008 parameters and 11.93 G
    multiply-adds at 256×256.

    Choices:
        The abstract says: a cloud-impact map for every pixel from the frequency
        difference of optical and SAR features; a subtask that translates SAR to
        optical, whose simulated features supplement the cloud-affected ones; targeted
        complementary fusion by that map; segmentation and cloud removal at once. All
        else was chosen:

        - *Encoders*: one MiT-B1 for optical and one for SAR, four stages each, without
          trained weights: moderate in size, and of the kind that CloudSeg has.
        - *Frequencies*: local mean over 3×3 and the rest. A Fourier transform of the
          whole map would lose the place of a cloud and does not run in half precision.
        - *Cloud-impact map*: one a stage. Both streams go through a 1×1 convolution to
          C/4 channels; the differences of the means, and of the magnitudes of the rest,
          through 3×3, GELU, 1×1 and a sigmoid. Nothing supervises it directly.
        - *Translation*: a stage has two NAFBlocks and 1×1 on the SAR features. For the
          subtask, 1×1 to 64 channels, sum at 1/4 of the resolution, GELU, 3×3 and
          PixelShuffle(4) make an image of them.
        - *Fusion*: (1 − map) · optical + map · simulated; then 1×1 over that and the SAR
          features, a NAFBlock, added. The encoders do not see the fused features.
        - *Decoder and heads*: one U-Net decoder with 256, 128, 64, 32 and 32 channels for
          both tasks; a head is 3×3, GELU, 3×3. The reconstruction is no correction of the
          cloudy image: that would have to take off the brightness of the cloud, which
          the layer norms of the encoders remove from what the head sees.
        - *Training*: cross-entropy without smoothing, mean absolute error of both
          images, weights of 1; AdamW, 1e-4; crops and batches of this package.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands S.
        num_classes: Number of land-cover classes K.
        encoder: ``'mit_b0'`` to ``'mit_b5'``.

    Raises:
        ValueError: If *num_classes* is None, or the encoder is not a Mix Transformer.

    Example:
        >>> model = SegCR(num_classes=7, encoder='mit_b0').eval()
        >>> out = model(torch.rand(1, 13, 50, 70), torch.rand(1, 2, 50, 70))
        >>> for key, value in out.items():
        ...     print(key, tuple(value.shape))
        reconstruction (1, 13, 50, 70)
        logits (1, 7, 50, 70)
        translation (1, 13, 50, 70)
        cloud_impact (1, 1, 50, 70)
    """

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        encoder: str = 'mit_b1',
    ) -> None:
        super().__init__()
        classes = check_arguments('SegCR', encoder, num_classes)
        self.in_channels = in_channels
        self.sar_channels = sar_channels
        self.num_classes = classes
        #: Height and width are padded to a multiple of this inside.
        self.stride = STRIDE
        self.optical = MixTransformer(encoder, in_channels)
        self.sar = MixTransformer(encoder, sar_channels)
        self.fusions = nn.ModuleList(map(TargetedFusion, self.optical.channels))
        self.translation = TranslationHead(self.sar.channels, in_channels)
        self.decoder = UNetDecoder(self.sar.channels, (256, 128, 64, 32, 32))
        self.restore = _head(32, in_channels)
        self.segment = _head(32, classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Reconstruct the scene beneath the clouds and map its land cover.

        Args:
            image: Cloudy optical image, B×C×H×W, normalised to [0, 1].
            image_sar: SAR image, B×S×H×W, normalised to [0, 1]; the same H and W, any.

        Returns:
            ``reconstruction`` (B×C×H×W, not clipped), ``logits`` (B×K×H×W),
            ``translation`` (B×C×H×W, what SAR alone gives, not clipped) and
            ``cloud_impact`` (B×1×H×W in [0, 1], of the finest stage, resized).

        Raises:
            ValueError: If the inputs do not have the channels that the model was built
                for, or differ in height or width.
        """
        image, image_sar, (height, width) = prepared(
            image, image_sar, self.in_channels, self.sar_channels, self.stride
        )
        size = (image.shape[2], image.shape[3])

        optical, sar = image, image_sar
        stages: list[tuple[Tensor, Tensor, Tensor]] = []
        for i, fuse in enumerate(self.fusions):
            optical = self.optical.refine(i, self.optical.embed(i, optical))
            sar = self.sar.refine(i, self.sar.embed(i, sar))
            stages.append(fuse(optical, sar))

        fused, simulated, impacts = zip(*stages, strict=True)
        features = self.decoder(fused, size)
        outputs = {
            'reconstruction': self.restore(features),
            'logits': self.segment(features),
            'translation': self.translation(simulated),
            'cloud_impact': F.interpolate(impacts[0], size, mode='bilinear'),
        }
        return {key: value[..., :height, :width] for key, value in outputs.items()}


def _head(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3×3 convolutions with GELU between them."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
    )
