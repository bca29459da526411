# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Mix Transformers of segmentation_models_pytorch, stage by stage.

E. Xie, W. Wang, Z. Yu, A. Anandkumar, J. M. Alvarez, P. Luo: *SegFormer: Simple and
Efficient Design for Semantic Segmentation with Transformers*, NeurIPS 2021.
https://arxiv.org/abs/2105.15203

The library's encoder is NVIDIA's, under the NVIDIA Source Code License: read that
before any use that is not research.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.base.initialization import initialize_decoder
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: Height and width of the last stage are those of the input divided by this.
STRIDE = 32

ENCODERS = tuple(f'mit_b{i}' for i in range(6))

#: What each stage of the library's encoders consists of.
PARTS = ('patch_embed', 'block', 'norm')

#: Name of the kernels that see the image in the state dict of one.
FIRST_KERNEL = 'patch_embed1.proj.weight'


class LinspaceOnCPU(TorchFunctionMode):
    """Let the encoders be built on the meta device, where they can be counted.

    They read numbers from a tensor of :func:`torch.linspace`, which is not possible if
    that tensor is on the meta device.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs['device'] = 'cpu'
        return func(*args, **kwargs)


def check_arguments(model: str, encoder: str, num_classes: int | None) -> int:
    """Return the number of classes, or refuse the arguments.

    Args:
        model: Name of the model, for the message.
        encoder: Name of the encoder.
        num_classes: Number of land-cover classes, or None.

    Returns:
        The number of classes.

    Raises:
        ValueError: If the encoder is not a Mix Transformer, or there are no classes.
    """
    if encoder not in ENCODERS:
        raise ValueError(f'`encoder={encoder!r}`: choose one of {list(ENCODERS)}.')
    if num_classes is None or num_classes < 1:
        raise ValueError(
            f'`num_classes={num_classes}`: {model} maps land cover and needs the number '
            'of classes, for example `num_classes=7`.'
        )
    return num_classes


def repeat_kernel(kernel: Tensor, channels: int) -> Tensor:
    """Make a kernel for RGB one for other channels.

    The channels are repeated in turn, and scaled so that an input whose channels are all
    alike gives what it gave.

    Args:
        kernel: Weight of a convolution, O×I×k×k.
        channels: Number of input channels C that are wanted.

    Returns:
        O×C×k×k; the kernel itself where C is I.

    Example:
        >>> rgb = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
        >>> repeat_kernel(rgb, 4).flatten()
        tensor([0.7500, 1.5000, 2.2500, 0.7500])
    """
    given = kernel.shape[1]
    turn = torch.arange(channels, device=kernel.device) % given
    return kernel[:, turn] * (given / channels)


class MixTransformer(nn.Module):
    """The four stages of a Mix Transformer, to be run one at a time.

    Args:
        name: ``'mit_b0'`` to ``'mit_b5'``.
        in_channels: Number of input channels, or None to leave the first stage out: it
            then returns what it is given.

    Example:
        >>> encoder = MixTransformer('mit_b0', 13)
        >>> encoder.channels
        (32, 64, 160, 256)
        >>> encoder.refine(0, encoder.embed(0, torch.rand(1, 13, 64, 96))).shape
        torch.Size([1, 32, 16, 24])
    """

    def __init__(self, name: str, in_channels: int | None) -> None:
        super().__init__()
        with LinspaceOnCPU():
            encoder = smp.encoders.get_encoder(
                name, in_channels=in_channels or 3, depth=5, weights=None
            )
        #: Width of each stage, finest first.
        self.channels = tuple(encoder.out_channels[-4:])
        if in_channels is None:
            for part in PARTS:
                setattr(encoder, f'{part}1', nn.Identity())
        self.embeddings, self.blocks, self.norms = (
            nn.ModuleList(getattr(encoder, f'{part}{i}') for i in range(1, 5))
            for part in PARTS
        )

    def load_trained(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of an encoder of the library.

        Args:
            state: Its state dict, for RGB images: the kernels of the first patch
                embedding are repeated over the input channels.
        """
        lists = dict(zip(PARTS, ('embeddings', 'blocks', 'norms'), strict=True))
        own, wanted = {}, self.state_dict()
        for name, given in state.items():
            stage, rest = name.split('.', 1)
            key = f'{lists[stage[:-1]]}.{int(stage[-1]) - 1}.{rest}'
            if key not in wanted:
                continue
            own[key] = given
            if name == FIRST_KERNEL:
                own[key] = repeat_kernel(given, wanted[key].shape[1])
        self.load_state_dict(own)

    def embed(self, stage: int, x: Tensor) -> Tensor:
        """Bring a map to the resolution and width of a stage.

        Args:
            stage: 0 to 3.
            x: The image, or the result of the stage before.

        Returns:
            The map, at 1/4, 1/8, 1/16 or 1/32 of the image's resolution.
        """
        embedded: Tensor = self.embeddings[stage](x)
        return embedded

    def refine(self, stage: int, x: Tensor) -> Tensor:
        """Run the transformer blocks of a stage.

        Args:
            stage: 0 to 3.
            x: Feature map of that stage.

        Returns:
            Feature map of the same shape.
        """
        refined: Tensor = self.norms[stage](self.blocks[stage](x))
        return refined


class UNetDecoder(nn.Module):
    """The library's U-Net decoder over the four stages of a Mix Transformer.

    Args:
        dims: Width of each stage, finest first.
        channels: Width of each level, coarsest first; the last is at full resolution.

    Example:
        >>> dims = (32, 64, 160, 256)
        >>> decoder = UNetDecoder(dims)
        >>> stages = [torch.rand(1, dim, 8 >> i, 8 >> i) for i, dim in enumerate(dims)]
        >>> decoder(stages, (32, 32)).shape
        torch.Size([1, 16, 32, 32])
    """

    def __init__(
        self, dims: Sequence[int], channels: Sequence[int] = (256, 128, 64, 32, 16)
    ) -> None:
        super().__init__()
        # The first width is that of the image, which the decoder does not read.
        self.decoder = UnetDecoder((0, 0, *dims), channels, n_blocks=len(channels))
        initialize_decoder(self.decoder)

    def forward(self, stages: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Decode the stages to full resolution.

        Args:
            stages: Feature maps at 1/4, 1/8, 1/16 and 1/32, finest first.
            size: Height and width of the image.

        Returns:
            Feature map, B×C×H×W.
        """
        batch = stages[0].shape[0]
        # A Mix Transformer has nothing at 1/1 and 1/2: empty maps carry the sizes.
        full = stages[0].new_empty(batch, 0, *size)
        half = stages[0].new_empty(batch, 0, size[0] // 2, size[1] // 2)
        decoded: Tensor = self.decoder([full, half, *stages])
        return decoded
