# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SegCR: land cover and cloud removal, with SAR where cloud disturbs the image.

*SegCR: A Multimodal and Multitask Complementary Fusion Network for Remote Sensing
Semantic Segmentation and Cloud Removal*, IEEE Transactions on Geoscience and Remote
Sensing 63, 2025, article 5640014.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from ..nafblock import NAFBlock, naf_stage
from ..recipes import Recipe, joint_losses
from ..registry import register_model
from .mix_transformer import STRIDE, MixTransformer, UNetDecoder, check_arguments
from .pretrained import PretrainedModel


def frequency_split(x: Tensor, kernel: int = 3) -> tuple[Tensor, Tensor]:
    """Split a map into what is smooth and what is not.

    Args:
        x: Feature map, B×C×H×W.
        kernel: Size of the window of the local mean, odd.

    Returns:
        The local mean and the rest; they add up to the map.

    Example:
        >>> low, high = frequency_split(torch.ones(1, 1, 4, 4))
        >>> bool((low == 1).all()), bool((high == 0).all())
        (True, True)
    """
    low = F.avg_pool2d(
        x, kernel, stride=1, padding=kernel // 2, count_include_pad=False
    )
    return low, x - low


class CloudImpact(nn.Module):
    """How much cloud disturbs each pixel, from optical and SAR frequencies.

    Cloud adds smooth brightness to the optical features and takes detail away; SAR sees
    through it. So both streams are brought to common channels and split by frequency,
    and the map is a function of the differences.

    Args:
        channels: Number of channels C of each stream.

    Example:
        >>> impact = CloudImpact(16)
        >>> impact(torch.rand(2, 16, 8, 8), torch.rand(2, 16, 8, 8)).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = max(channels // 4, 8)
        self.optical = nn.Conv2d(channels, width, 1)
        self.sar = nn.Conv2d(channels, width, 1)
        self.score = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, 1, 1),
        )

    def forward(self, optical: Tensor, sar: Tensor) -> Tensor:
        """Estimate the map.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            Cloud-impact map, B×1×H×W, from 0 (clear) to 1 (nothing to be seen).
        """
        optical_low, optical_high = frequency_split(self.optical(optical))
        sar_low, sar_high = frequency_split(self.sar(sar))
        difference = torch.cat(
            [optical_low - sar_low, optical_high.abs() - sar_high.abs()], 1
        )
        impact: Tensor = self.score(difference).sigmoid()
        return impact


class TargetedFusion(nn.Module):
    """Fill optical features where cloud is, with those simulated from SAR.

    Args:
        channels: Number of channels C of each stream.

    Example:
        >>> fuse = TargetedFusion(16)
        >>> x = torch.rand(2, 16, 8, 8)
        >>> [tuple(y.shape) for y in fuse(x, x)]
        [(2, 16, 8, 8), (2, 16, 8, 8), (2, 1, 8, 8)]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.impact = CloudImpact(channels)
        self.translate = nn.Sequential(
            naf_stage(channels, 2, mirrored=False), nn.Conv2d(channels, channels, 1)
        )
        self.complement = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1), NAFBlock(channels)
        )

    def forward(self, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse one stage.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            The fused feature and the simulated optical feature, both B×C×H×W, and the
            cloud-impact map, B×1×H×W.
        """
        impact = self.impact(optical, sar)
        simulated = self.translate(sar)
        filled = torch.lerp(
            optical, simulated.to(optical.dtype), impact.to(optical.dtype)
        )
        fused = filled + self.complement(torch.cat([filled, sar], 1))
        return fused, simulated, impact


class TranslationHead(nn.Module):
    """Make an optical image of the features simulated from SAR.

    Args:
        dims: Width of each stage, finest first.
        out_channels: Number of optical bands C.
        width: Width that all stages are brought to.

    Example:
        >>> head = TranslationHead((8, 16), 3)
        >>> head([torch.rand(1, 8, 8, 8), torch.rand(1, 16, 4, 4)]).shape
        torch.Size([1, 3, 32, 32])
    """

    def __init__(self, dims: Sequence[int], out_channels: int, width: int = 64) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(dim, width, 1) for dim in dims)
        self.up = nn.Sequential(
            nn.GELU(),
            nn.Conv2d(width, 16 * out_channels, 3, padding=1),
            nn.PixelShuffle(4),
        )

    def forward(self, simulated: Sequence[Tensor]) -> Tensor:
        """Decode the simulated features.

        Args:
            simulated: Feature maps, finest first, the first at 1/4 of the resolution.

        Returns:
            Optical image, B×C×H×W.
        """
        maps = [lateral(x) for lateral, x in zip(self.laterals, simulated, strict=True)]
        total = maps[0]
        for x in maps[1:]:
            total = total + F.interpolate(x, total.shape[-2:], mode='bilinear')
        image: Tensor = self.up(total)
        return image


def segcr_losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Cross-entropy, and mean absolute errors of reconstruction and translation.

    Args:
        model: :class:`SegCR`.
        batch: ``image`` and ``image_sar``; ``image_clear`` and ``mask`` where they are
            to be learned (255 where there is no label). Without the latter the
            cross-entropy is 0.

    Returns:
        The scalars ``loss_seg`` and, where there is ``image_clear``, ``loss_rec`` and
        ``loss_translation``, and their sum ``loss``.

    Raises:
        KeyError: If ``image_clear`` and ``mask`` are missing.
    """
    return joint_losses(model, batch, _restoration)


def _restoration(
    model: nn.Module, outputs: Mapping[str, Tensor], batch: dict[str, Any]
) -> dict[str, Tensor]:
    """Mean absolute errors of reconstruction and translation."""
    clear = batch['image_clear'].float()
    return {
        'loss_rec': F.l1_loss(outputs['reconstruction'].float(), clear),
        'loss_translation': F.l1_loss(outputs['translation'].float(), clear),
    }


RECIPE = Recipe(losses=segcr_losses, optimizer=partial(AdamW, lr=1e-4))


@register_model('segcr', recipe=RECIPE)
class SegCR(PretrainedModel):
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

        - *Encoders*: one MiT-B1 for optical and one for SAR, four stages each: moderate
          in size, and of the kind that CloudSeg has.
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
          images, weights of 1; AdamW, 1e-4.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands S.
        num_classes: Number of land-cover classes K.
        encoder: ``'mit_b0'`` to ``'mit_b5'``.
        encoder_weights: Weights that both encoders start from: ``'imagenet'``, the path
            of a state dict of *encoder*, or None for random ones. They are read when the
            model is first called, unless a checkpoint was loaded before.

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

    stride = STRIDE

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        encoder: str = 'mit_b1',
        encoder_weights: str | None = None,
    ) -> None:
        classes = check_arguments('SegCR', encoder, num_classes)
        super().__init__(in_channels, sar_channels, classes, encoder, encoder_weights)
        self.optical = MixTransformer(encoder, in_channels)
        self.sar = MixTransformer(encoder, sar_channels)
        self.fusions = nn.ModuleList(map(TargetedFusion, self.optical.channels))
        self.translation = TranslationHead(self.sar.channels, in_channels)
        self.decoder = UNetDecoder(self.sar.channels, (256, 128, 64, 32, 32))
        self.restore = _head(32, in_channels)
        self.segment = _head(32, classes)
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Restore the image and map its land cover.

        Returns:
            ``reconstruction`` (B×C×H×W, not clipped), ``logits`` (B×K×H×W),
            ``translation`` (B×C×H×W, what SAR alone gives, not clipped) and
            ``cloud_impact`` (B×1×H×W in [0, 1], of the finest stage, resized).
        """
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
        return outputs


def _head(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3×3 convolutions with GELU between them."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
    )
