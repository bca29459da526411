# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SegFormer: land cover from the optical image, from SAR, or from both.

E. Xie, W. Wang, Z. Yu, A. Anandkumar, J. M. Alvarez, P. Luo: *SegFormer: Simple and
Efficient Design for Semantic Segmentation with Transformers*, NeurIPS 2021.
https://arxiv.org/abs/2105.15203
"""

from collections.abc import Iterable
from typing import Any, Literal

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from ..inputs import check_inputs, padded
from ..recipes import Recipe
from ..registry import register_model
from .segformer_blocks import (
    STRIDE,
    LinspaceOnCPU,
    check_arguments,
    cross_entropy,
    entry,
)


def segformer_losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Cross-entropy over the labelled pixels.

    Args:
        model: :class:`SegFormer`.
        batch: ``image``, ``image_sar`` and ``mask`` (255 where there is no label).

    Returns:
        ``loss`` and ``loss_seg``, the same scalar.

    Raises:
        KeyError: If the batch has no ``mask``.
    """
    entry(batch, 'mask', 'SegFormer')
    outputs = model(batch['image'], batch['image_sar'])
    loss = cross_entropy(outputs, batch)
    return {'loss': loss, 'loss_seg': loss}


def segformer_optimizer(parameters: Iterable[nn.Parameter]) -> Optimizer:
    """AdamW as the paper trains with it, without its schedule.

    Args:
        parameters: What to train.

    Returns:
        The optimizer.
    """
    return AdamW(parameters, lr=6e-5, weight_decay=0.01)


RECIPE = Recipe(losses=segformer_losses, optimizer=segformer_optimizer)


@register_model('segformer', recipe=RECIPE)
class SegFormer(nn.Module):
    """Map land cover; no cloud removal.

    It serves the rows *Direct* (trained and tested on cloudy or on clear images) and
    *Multi-stage* (the image comes from a cloud-removal model) of TDP-CR's Table II. The
    model is that of segmentation_models_pytorch, without trained weights. With the
    defaults, 13 bands and 7 classes it has 24,755,271 parameters and 5.67 G
    multiply-adds at 256×256.

    Choices:
        The paper of TDP-CR names SegFormer without its size or its inputs. The encoder
        is MiT-B2, the middle of the family; the decoder has the library's 256 channels
        (the SegFormer paper has 768 from B2 on); the optical image alone is the
        default. The recipe has that paper's AdamW, 6e-5 and 0.01, and the crops and
        batches of this package.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands S.
        num_classes: Number of land-cover classes K.
        inputs: What the model looks at: the optical ``'image'``, ``'image_sar'``, or
            ``'both'``, stacked.
        encoder: ``'mit_b0'`` to ``'mit_b5'``.

    Raises:
        ValueError: If *num_classes* is None, or an argument is none of its choices.

    Example:
        >>> model = SegFormer(num_classes=7, inputs='both', encoder='mit_b0').eval()
        >>> out = model(torch.rand(1, 13, 50, 70), torch.rand(1, 2, 50, 70))
        >>> {key: tuple(value.shape) for key, value in out.items()}
        {'logits': (1, 7, 50, 70)}
    """

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        inputs: Literal['image', 'image_sar', 'both'] = 'image',
        encoder: str = 'mit_b2',
    ) -> None:
        super().__init__()
        classes = check_arguments('SegFormer', encoder, num_classes)
        widths = {
            'image': in_channels,
            'image_sar': sar_channels,
            'both': in_channels + sar_channels,
        }
        if inputs not in widths:
            raise ValueError(f'`inputs={inputs!r}`: choose one of {list(widths)}.')
        self.in_channels = in_channels
        self.sar_channels = sar_channels
        self.num_classes = classes
        self.inputs = inputs
        #: Height and width are padded to a multiple of this inside.
        self.stride = STRIDE
        with LinspaceOnCPU():
            self.model = smp.Segformer(
                encoder,
                encoder_weights=None,
                in_channels=widths[inputs],
                classes=classes,
            )
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Map land cover.

        Args:
            image: Optical image, B×C×H×W, normalised to [0, 1].
            image_sar: SAR image, B×S×H×W, normalised to [0, 1]; the same H and W, any.
                Both are checked, also the one that the model does not look at.

        Returns:
            ``logits`` (B×K×H×W).

        Raises:
            ValueError: If the inputs do not have the channels that the model was built
                for, or differ in height or width.
        """
        check_inputs(image, image_sar, self.in_channels, self.sar_channels)
        height, width = image.shape[-2:]
        if self.inputs == 'both':
            x = torch.cat([image, image_sar], 1)
        else:
            x = image if self.inputs == 'image' else image_sar
        logits = self.model(padded(x, self.stride))
        return {'logits': logits[..., :height, :width]}
