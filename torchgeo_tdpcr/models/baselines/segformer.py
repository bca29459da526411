# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SegFormer: land cover from the optical image, from SAR, or from both.

E. Xie, W. Wang, Z. Yu, A. Anandkumar, J. M. Alvarez, P. Luo: *SegFormer: Simple and
Efficient Design for Semantic Segmentation with Transformers*, NeurIPS 2021.
https://arxiv.org/abs/2105.15203
"""

from functools import partial
from typing import Any, Literal

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from ..inputs import OpticalSARModel
from ..recipes import Recipe, cross_entropy, entry
from ..registry import register_model
from .mix_transformer import STRIDE, LinspaceOnCPU, check_arguments


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


RECIPE = Recipe(
    losses=segformer_losses, optimizer=partial(AdamW, lr=6e-5, weight_decay=0.01)
)


@register_model('segformer', recipe=RECIPE)
class SegFormer(OpticalSARModel):
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
        default. The recipe has that paper's AdamW, 6e-5 and 0.01, without its schedule.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands S.
        num_classes: Number of land-cover classes K.
        inputs: What the model looks at: the optical ``'image'``, ``'image_sar'``, or
            ``'both'``, stacked. Both are checked all the same.
        encoder: ``'mit_b0'`` to ``'mit_b5'``.

    Raises:
        ValueError: If *num_classes* is None, or an argument is none of its choices.

    Example:
        >>> model = SegFormer(num_classes=7, inputs='both', encoder='mit_b0').eval()
        >>> out = model(torch.rand(1, 13, 50, 70), torch.rand(1, 2, 50, 70))
        >>> {key: tuple(value.shape) for key, value in out.items()}
        {'logits': (1, 7, 50, 70)}
    """

    stride = STRIDE

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        inputs: Literal['image', 'image_sar', 'both'] = 'image',
        encoder: str = 'mit_b2',
    ) -> None:
        classes = check_arguments('SegFormer', encoder, num_classes)
        super().__init__(in_channels, sar_channels, classes)
        widths = {
            'image': in_channels,
            'image_sar': sar_channels,
            'both': in_channels + sar_channels,
        }
        if inputs not in widths:
            raise ValueError(f'`inputs={inputs!r}`: choose one of {list(widths)}.')
        self.inputs = inputs
        with LinspaceOnCPU():
            self.model = smp.Segformer(
                encoder,
                encoder_weights=None,
                in_channels=widths[inputs],
                classes=classes,
            )
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Map land cover.

        Returns:
            ``logits`` (B×K×H×W).
        """
        if self.inputs == 'both':
            x = torch.cat([image, image_sar], 1)
        else:
            x = image if self.inputs == 'image' else image_sar
        return {'logits': self.model(x)}
