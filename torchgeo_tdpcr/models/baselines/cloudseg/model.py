# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""CloudSeg: land cover under clouds, with cloud removal as the auxiliary task.

F. Xu, Y. Shi, W. Yang, G.-S. Xia, X. X. Zhu: *CloudSeg: A Multi-modal Learning
Framework for Robust Land Cover Mapping under Cloudy Conditions*, ISPRS Journal of
Photogrammetry and Remote Sensing 214, 2024, 21–32.
"""

from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

import torch
from segmentation_models_pytorch.base.initialization import initialize_head
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import MultiStepLR

from ....input_record import InputRecord
from ...recipes import Recipe, land_cover_losses
from ...registry import register_model
from ..mix_transformer import STRIDE, MixTransformer, UNetDecoder, check_arguments
from ..pretrained import PretrainedModel
from .fusion import CloudSegFusion
from .losses import cloudseg_losses
from .teacher import TEACHER, Teacher

#: All of the learning rate for 10 epochs, then half as much every 5.
RECIPE = Recipe(
    losses=cloudseg_losses,
    optimizer=partial(Adam, lr=1e-4),
    scheduler=partial(MultiStepLR, milestones=range(10, 1000, 5), gamma=0.5),
    only_here=('teacher',),
)
TEACHER_RECIPE = replace(RECIPE, losses=land_cover_losses)


@register_model('cloudseg', recipe=RECIPE)
class CloudSeg(PretrainedModel):
    """Three U-Nets with Mix Transformers: optical, SAR, and one across the two.

    A stage ends with a fusion of its three streams. What it returns are the skip
    features of the U-Nets and the input of the next stage; the cross stream begins with
    the fused map of the first. The cross U-Net maps the land cover, the optical one
    restores the image (not as a correction of the cloudy one).

    203,249,602 parameters in the authors' build with 13 bands and 7 classes, of which
    6,609,134 are never used and left out here: 196,640,468 (the first stage of the cross
    encoder, the SAR decoder, two segmentation heads, the third multi-scale convolution
    of the first fusion, the SAR gate of the last). With 4 bands and 6 classes, the build
    that the paper of TDP-CR counts, 203,215,750 less 6,608,844: 196,606,906. With 13
    bands and 7 classes 43.25 G multiply-adds at 256×256, with 4 and 6 42.79 G; 43.0 G
    were counted on the authors' build, and 105.9 G are printed in the paper of TDP-CR.

    The published model takes images from 128×128 pixels on, multiples of 32. In
    training, the batch normalisation at 1/32 of the resolution needs more than one value
    a channel: a batch of one has to be larger than 32×32 pixels.

    Choices:
        The initial weights of the fusion and of the restoration head are PyTorch's.
        Published training has ``encoder_weights='imagenet'`` and a teacher.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands S.
        num_classes: Number of land-cover classes K.
        encoder: ``'mit_b0'`` to ``'mit_b5'``.
        encoder_weights: Weights that the three encoders start from: ``'imagenet'``, the
            path of a state dict of *encoder*, or None for random ones. They are read
            when the model is first called, unless a checkpoint was loaded before.
        teacher: Checkpoint of a ``cloudseg_teacher``, whose features the losses of the
            model's own recipe compare with. It is read when a fit begins.
        as_teacher: Leave out what the teacher has not: the spatial gates, and the
            decoder and head that restore the image. It is fed the clear image.

    Raises:
        ValueError: If *num_classes* is None, the encoder is not a Mix Transformer, or a
            teacher is to have one.

    Example:
        >>> import torch
        >>> model = CloudSeg(num_classes=7, encoder='mit_b0').eval()
        >>> out = model(torch.rand(1, 13, 50, 70), torch.rand(1, 2, 50, 70))
        >>> {key: tuple(value.shape[1:]) for key, value in out.items()}
        {'logits': (7, 50, 70), 'features': (16, 50, 70), 'reconstruction': (13, 50, 70)}
    """

    stride = STRIDE

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        encoder: str = 'mit_b4',
        encoder_weights: str | None = None,
        teacher: str | PathLike[str] | None = None,
        as_teacher: bool = False,
    ) -> None:
        classes = check_arguments('CloudSeg', encoder, num_classes)
        if as_teacher and teacher is not None:
            raise ValueError(
                f'`teacher={str(teacher)!r}`: a teacher has none. Leave it out, or train '
                "`model='cloudseg'`."
            )
        super().__init__(in_channels, sar_channels, classes, encoder, encoder_weights)
        self.teacher = None if teacher is None else Teacher(teacher)
        self.optical = MixTransformer(encoder, in_channels)
        self.sar = MixTransformer(encoder, sar_channels)
        self.cross = MixTransformer(encoder, None)
        dims = self.cross.channels
        last = len(dims) - 1
        self.fusions = nn.ModuleList(
            CloudSegFusion(
                dim,
                cross=i > 0,
                gated=not as_teacher,
                # What the last stage hands on, only the decoders read
                updates_optical=i < last or not as_teacher,
                updates_sar=i < last,
            )
            for i, dim in enumerate(dims)
        )
        self.cross_decoder = UNetDecoder(dims)
        self.segment = nn.Conv2d(16, classes, 3, padding=1)
        initialize_head(self.segment)
        self.optical_decoder: nn.Module | None = None
        if not as_teacher:
            self.optical_decoder = UNetDecoder(dims)
            # Without an activation between them, as published
            self.restore = nn.Sequential(
                nn.Conv2d(16, 64, 3, padding=1),
                nn.Conv2d(64, in_channels, 3, padding=1),
            )
        self.to(memory_format=torch.channels_last)

    def prepare_fit(self, record: InputRecord | None) -> None:
        """Read the teacher, if there is one, and check that its input is the same.

        Args:
            record: What the model is to be trained with, None where nothing is known.

        Raises:
            FileNotFoundError: If its checkpoint is gone.
            ValueError: If that is none of a teacher, or was trained with other input.
        """
        if self.teacher is not None:
            self.teacher.prepare(record)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Map the land cover and restore the image.

        Returns:
            ``logits`` (B×K×H×W) and ``features`` (B×16×H×W, what distillation
            compares); but for a teacher ``reconstruction`` (B×C×H×W, not clipped).
        """
        size = (image.shape[2], image.shape[3])
        optical, sar = image, image_sar
        cross: Tensor | None = None
        opticals: list[Tensor] = []
        crosses: list[Tensor] = []
        for i, fuse in enumerate(self.fusions):
            optical = self.optical.refine(i, self.optical.embed(i, optical))
            sar = self.sar.refine(i, self.sar.embed(i, sar))
            if cross is not None:
                cross = self.cross.refine(i, self.cross.embed(i, cross))
            optical, sar, cross = fuse(optical, sar, cross)
            opticals.append(optical)
            crosses.append(cross)
        features = self.cross_decoder(crosses, size)
        outputs = {'logits': self.segment(features), 'features': features}
        if self.optical_decoder is not None:
            restored = self.restore(self.optical_decoder(opticals, size))
            outputs['reconstruction'] = restored
        return outputs


@register_model(TEACHER, recipe=TEACHER_RECIPE)
def cloudseg_teacher(**kwargs: Any) -> CloudSeg:
    """The teacher of CloudSeg, to be trained on clear images for land cover alone.

    The same network without spatial gates and without what restores the image. With 13
    bands and 7 classes it has 190,982,903 parameters and 39.25 G multiply-adds at
    256×256.

    Args:
        **kwargs: Arguments of :class:`CloudSeg`.

    Returns:
        The model.

    Example:
        Train it with ``training: lcs`` and ``lcs_input: clear``, then give its
        checkpoint as ``teacher`` to the student:

        >>> student = CloudSeg(num_classes=7, encoder='mit_b0', teacher='teacher.ckpt')
        >>> cloudseg_teacher(num_classes=7, encoder='mit_b0').num_classes
        7
    """
    return CloudSeg(**{**kwargs, 'as_teacher': True})
