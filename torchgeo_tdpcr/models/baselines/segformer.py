# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SegFormer: land cover from the optical image, from SAR, or from both.

E. Xie, W. Wang, Z. Yu, A. Anandkumar, J. M. Alvarez, P. Luo: *SegFormer: Simple and
Efficient Design for Semantic Segmentation with Transformers*, NeurIPS 2021.
https://arxiv.org/abs/2105.15203
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Literal

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from ..recipes import Recipe, land_cover_losses
from ..registry import register_model
from .mix_transformer import (
    FIRST_KERNEL,
    STRIDE,
    LinspaceOnCPU,
    check_arguments,
    repeat_kernel,
)
from .pretrained import PretrainedModel


def segformer_groups(
    parameters: Iterable[tuple[str, nn.Parameter]],
) -> list[dict[str, Any]]:
    """Sort parameters as published: no decay for norms, ten times the rate for the head.

    Args:
        parameters: Parameters of a :class:`SegFormer` by name.

    Returns:
        The encoder's layer norms, the rest of the encoder, and the head.
    """
    norms, encoder, head = [], [], []
    for name, parameter in parameters:
        if '.encoder.' not in name:
            head.append(parameter)
        elif 'norm' in name:
            norms.append(parameter)
        else:
            encoder.append(parameter)
    return [
        {'params': norms, 'weight_decay': 0.0},
        {'params': encoder},
        {'params': head, 'lr': 10 * RATE},
    ]


def warmup_poly(step: int, warmup: int = 1500, end: int = 160_000) -> float:
    """Share of the learning rate: a linear rise on top of a linear fall to 0.

    Args:
        step: Steps of the optimizer that were taken.
        warmup: Steps of the rise.
        end: Step at which the rate is 0.

    Returns:
        From 0 to 1.

    Example:
        >>> [round(warmup_poly(step), 4) for step in (0, 750, 1500, 80_000, 160_000)]
        [0.0, 0.4977, 0.9906, 0.5, 0.0]
    """
    # The rise starts at a millionth, as published: at 0 the first step would be none
    return max(1 - step / end, 0.0) * min(max(step / warmup, 1e-6), 1.0)


RATE = 6e-5

RECIPE = Recipe(
    losses=land_cover_losses,
    optimizer=partial(AdamW, lr=RATE, weight_decay=0.01),
    scheduler=partial(LambdaLR, lr_lambda=warmup_poly),
    interval='step',
    groups=segformer_groups,
)


@register_model('segformer', recipe=RECIPE)
class SegFormer(PretrainedModel):
    """Map land cover; no cloud removal.

    It serves the rows *Direct* (trained and tested on cloudy or on clear images) and
    *Multi-stage* (the image comes from a cloud-removal model) of TDP-CR's Table II. The
    model is that of segmentation_models_pytorch, with the published dropout before the
    classifier. With the defaults, 13 bands and 7 classes it has 24,755,271 parameters
    and 5.67 G multiply-adds at 256×256; as published, with ``decoder_channels=768``,
    27,383,367 and 14.53 G.

    Choices:
        The paper of TDP-CR names SegFormer without its size or its inputs. The encoder
        is MiT-B2, the middle of the family; the decoder has the library's 256 channels,
        as published for B0 and B1; the optical image alone is the default. The recipe
        is that of the SegFormer paper for ADE20K and Cityscapes, 160,000 steps.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands S.
        num_classes: Number of land-cover classes K.
        inputs: What the model looks at: the optical ``'image'``, ``'image_sar'``, or
            ``'both'``, stacked. Both are checked all the same.
        encoder: ``'mit_b0'`` to ``'mit_b5'``.
        encoder_weights: Weights that the encoder starts from: ``'imagenet'``, the path of
            a state dict of *encoder*, or None for random ones. They are read when the
            model is first called, unless a checkpoint was loaded before.
        decoder_channels: Width of the decoder. Published are 256 for B0 and B1, and 768
            from B2 on.
        dropout: Probability that a channel is dropped before the classifier.

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
        encoder_weights: str | None = None,
        decoder_channels: int = 256,
        dropout: float = 0.1,
    ) -> None:
        classes = check_arguments('SegFormer', encoder, num_classes)
        super().__init__(in_channels, sar_channels, classes, encoder, encoder_weights)
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
                decoder_segmentation_channels=decoder_channels,
                in_channels=widths[inputs],
                classes=classes,
            )
        # The library has none; behind its last layer, so that no name changes
        self.model.decoder.fuse_stage.append(nn.Dropout2d(dropout))
        self.to(memory_format=torch.channels_last)

    def load_encoders(self, state: Mapping[str, Tensor]) -> None:
        """Start the encoder from trained weights.

        Args:
            state: The state dict of one encoder of the library, for RGB images.
        """
        channels = self.model.encoder.state_dict()[FIRST_KERNEL].shape[1]
        kernel = repeat_kernel(state[FIRST_KERNEL], channels)
        self.model.encoder.load_state_dict({**state, FIRST_KERNEL: kernel})

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
