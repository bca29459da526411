# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""TDP-CR: decoupled encoders, prompt-guided fusion, shared decoder, two outputs.

Z. Zhang, J. Li, S. Shi, Q. Yuan: *Task-Driven Prompt Learning: A Joint Framework for
Multi-modal Cloud Removal and Segmentation*. https://arxiv.org/abs/2601.12052
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..inputs import OpticalSARModel
from ..nafblock import MirroredConv2d, naf_stage
from ..registry import register_model
from .blend import PromptBlend
from .clear_gate import ClearGate
from .fusion import ConcatFusion, PromptGuidedFusion
from .heads import (
    ContextSegmentationDecoder,
    LiteralSegmentationDecoder,
    SegmentationDecoder,
)
from .prompt import BlindPrompt, PromptGenerator
from .uncertainty import UncertaintyHead

#: How optical and SAR features are fused: both branches, one alone, or neither.
Fusion = Literal['both', 'global', 'local', 'concat']

#: Where the prompt comes from: the cloudy image, or no image at all.
Prompt = Literal['image', 'blind']

#: What the last convolution predicts: the image, a blend of it with the cloudy one, or a
#: correction to the cloudy one.
Output = Literal['direct', 'blend', 'residual']

HEADS = {
    'table1': SegmentationDecoder,
    'literal': LiteralSegmentationDecoder,
    'context': ContextSegmentationDecoder,
}


class UpLevel(nn.Module):
    """One step of the shared decoder: up by two, merge the skip, refine.

    Args:
        in_channels: Width of the coarser map.
        channels: Width of the skip and of the result.
        depth: Number of NAFBlocks.
    """

    def __init__(self, in_channels: int, channels: int, depth: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            MirroredConv2d(in_channels, 4 * channels, bias=False),
            nn.PixelShuffle(2),
        )
        self.merge = nn.Conv2d(2 * channels, channels, 1)
        self.refine = naf_stage(channels, depth)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Decode one level.

        Args:
            x: Coarser map, B×C_in×H×W.
            skip: Fused optical feature, B×C×2H×2W.

        Returns:
            Finer map, B×C×2H×2W.
        """
        x = self.merge(torch.cat([self.up(x), skip], 1))
        refined: Tensor = self.refine(x)
        return refined


@register_model('tdpcr')
class TDPCR(OpticalSARModel):
    """Remove clouds with the help of SAR and, with a head, map land cover.

    The default arguments are the paper's: 5,918,741 parameters and 34.11 GFLOPs at
    256×256 without a head, 5,953,916 and 38.00 with seven classes (a multiply-add
    counted as two, as :mod:`torch.utils.flop_counter` does). The modules are in
    channels_last memory format, and so are the outputs.

    The forward pass takes any height and width. Exported with :func:`torch.export.export`
    or to ONNX, the model takes any batch, and any height and width that are multiples of
    :attr:`stride` (8 by default).

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands; 0 for a model that sees no radar, without a
            SAR encoder and with zeros for its features in the fusion.
        num_classes: Number of land-cover classes K, or None for no segmentation.
        dims: Width of each stage, finest first.
        depths: Number of NAFBlocks of each stage, in encoders and decoder alike.
        prompt_channels: Number of prompt channels C_p.
        fusion: ``'both'`` branches of prompt-guided fusion, the ``'global'`` or the
            ``'local'`` one alone, or ``'concat'`` for concatenation in its place.
        prompt: ``'image'`` for the paper's prompt, generated from the cloudy image;
            ``'blind'`` for a learned one that sees no image; None for none, where the
            local branch is conditioned on the sum of the stage's own features.
        head: ``'table1'`` for the segmentation decoder that matches the paper's
            figures, ``'literal'`` for Eqs. 9–10 as written, ``'context'`` for one with
            blocks of its own, which maps land cover better where all else is frozen,
            see :class:`ContextSegmentationDecoder`.
        output: What the decoder predicts. ``'direct'``: the image itself.
            ``'blend'``: the image, blended with the cloudy one as the prompt says, see
            :class:`PromptBlend`. ``'residual'``: a correction to the cloudy image. The
            paper does not say; its first author's other systems for this data predict
            the image.
        uncertainty: Whether to predict how far off the restored image may be, too; see
            :class:`UncertaintyHead`. It is no part of the paper.
        uncertainty_factor: What that is multiplied by, as a calibration finds it.
        clear_gate: Whether to hand on observed pixels where the image that is restored
            agrees with them; see :class:`ClearGate`. It is no part of the paper.

    Raises:
        ValueError: If an argument is none of its choices, *dims* and *depths* differ
            in length, or a blend is to be steered by a prompt that is not there.

    Example:
        >>> model = TDPCR(num_classes=7, dims=(8, 16), depths=(1, 1)).eval()
        >>> out = model(torch.rand(1, 13, 50, 70), torch.rand(1, 2, 50, 70))
        >>> {key: tuple(value.shape[1:]) for key, value in out.items()}
        {'reconstruction': (13, 50, 70), 'prompt': (8, 50, 70), 'logits': (7, 50, 70)}
    """

    sar_optional = True

    # Raised whenever weights that still fit would restore something else.
    _version = 2

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        dims: Sequence[int] = (32, 64, 128, 256),
        depths: Sequence[int] = (2, 2, 2, 2),
        prompt_channels: int = 8,
        fusion: Fusion = 'both',
        prompt: Prompt | None = 'image',
        head: Literal['table1', 'literal', 'context'] = 'table1',
        output: Output = 'direct',
        uncertainty: bool = False,
        uncertainty_factor: float = 1.0,
        clear_gate: bool = False,
    ) -> None:
        super().__init__(in_channels, sar_channels, num_classes)
        if len(dims) != len(depths) or not dims:
            raise ValueError(
                f'`dims={list(dims)}` and `depths={list(depths)}` must have one entry '
                'a stage each.'
            )
        if fusion not in ('both', 'global', 'local', 'concat'):
            raise ValueError(
                f"`fusion={fusion!r}`: choose 'both', 'global', 'local' or 'concat'."
            )
        if prompt not in ('image', 'blind', None):
            raise ValueError(f"`prompt={prompt!r}`: choose 'image', 'blind' or None.")
        if head not in HEADS:
            raise ValueError(f'`head={head!r}`: choose one of {list(HEADS)}.')
        if output not in ('direct', 'blend', 'residual'):
            raise ValueError(
                f"`output={output!r}`: choose 'direct', 'blend' or 'residual'."
            )
        #: Whether the forward pass runs the segmentation decoder, if there is one.
        self.segments = True
        self.stride = 2 ** (len(dims) - 1)
        # To mirror a border takes two pixels, at the coarsest stage too.
        self.smallest = max(2 * self.stride, 4 if clear_gate else 2)
        self.residual = output == 'residual'

        with_prompt = prompt is not None and fusion in ('both', 'local')
        if output == 'blend' and not with_prompt:
            raise ValueError(
                f"`output='blend'` is steered by the prompt, which this model does not "
                f"have: `prompt={prompt!r}`, `fusion={fusion!r}`. Choose 'direct', or a "
                "prompt with the fusion 'both' or 'local'."
            )
        self.prompt_generator: PromptGenerator | BlindPrompt | None = None
        if with_prompt and prompt == 'image':
            self.prompt_generator = PromptGenerator(in_channels, prompt_channels)
        elif with_prompt:
            self.prompt_generator = BlindPrompt(prompt_channels)
        self.optical_stem = MirroredConv2d(in_channels, dims[0])
        if sar_channels:
            self.sar_stem = MirroredConv2d(sar_channels, dims[0])
        self.optical_stages = nn.ModuleList(map(naf_stage, dims, depths))
        if sar_channels:
            self.sar_stages = nn.ModuleList(map(naf_stage, dims, depths))
        self.optical_downs = nn.ModuleList(map(_down, dims[:-1], dims[1:]))
        if sar_channels:
            self.sar_downs = nn.ModuleList(map(_down, dims[:-1], dims[1:]))
        self.fusions = nn.ModuleList(
            ConcatFusion(dim)
            if fusion == 'concat'
            else PromptGuidedFusion(
                dim, prompt_channels if with_prompt else dim, branches=fusion
            )
            for dim in dims
        )
        self.bottleneck = naf_stage(dims[-1], depths[-1])
        self.up_levels = nn.ModuleList(
            map(UpLevel, dims[:0:-1], dims[-2::-1], depths[-2::-1])
        )
        self.output = MirroredConv2d(dims[0], in_channels)
        self.blend = (
            PromptBlend(in_channels, prompt_channels) if output == 'blend' else None
        )
        prompt_width = prompt_channels if with_prompt else 0
        self.clear_gate = ClearGate(in_channels, prompt_width) if clear_gate else None
        self.uncertainty_head = (
            UncertaintyHead(dims[0], prompt_width, factor=uncertainty_factor)
            if uncertainty
            else None
        )
        # The paper's reads the levels above the bottleneck, where there are any
        read = dims if head == 'context' else dims[:-1] or dims
        self._maps_read = len(read)
        self.segmentation_decoder = (
            None if num_classes is None else HEADS[head](read, num_classes)
        )
        self.to(memory_format=torch.channels_last)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if local_metadata.get('version', self._version) < self._version:
            error_msgs.append(
                'the weights are of a TDPCR that added its output to the cloudy image, '
                'with zeros beyond the borders. They would fit, but restore wrongly: '
                'train anew.'
            )
        super()._load_from_state_dict(
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )

    def task_modules(self) -> Iterator[nn.Module]:
        """The parts that Phase 2 trains: prompt generator, fusion, heads.

        Yields:
            The modules whose parameters parameter-efficient fine-tuning updates.
        """
        if self.prompt_generator is not None:
            yield self.prompt_generator
        yield self.fusions
        for head in (self.segmentation_decoder, self.uncertainty_head, self.clear_gate):
            if head is not None:
                yield head

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Restore the image and, with a head, map its land cover.

        Returns:
            ``reconstruction`` (B×C×H×W, not clipped), ``prompt`` (B×C_p×H×W, where the
            model has one), ``uncertainty`` (B×1×H×W, where the model has a head for it)
            and ``logits`` (B×K×H×W, where *num_classes* is set and :attr:`segments` is
            true).
        """
        prompt = None if self.prompt_generator is None else self.prompt_generator(image)
        optical = self.optical_stem(image)
        sar = self.sar_stem(image_sar) if self.sar_channels else image_sar
        skips: list[Tensor] = []
        for i, fuse in enumerate(self.fusions):
            if i:
                optical = self.optical_downs[i - 1](optical)
            optical = self.optical_stages[i](optical)
            if self.sar_channels:
                sar = self.sar_stages[i](self.sar_downs[i - 1](sar) if i else sar)
            else:
                sar = torch.zeros_like(optical)
            optical = fuse(optical, sar, optical + sar if prompt is None else prompt)
            skips.append(optical)

        x = self.bottleneck(skips.pop())
        decoded = [x]
        for level in self.up_levels:
            x = level(x, skips.pop())
            decoded.append(x)

        reconstruction: Tensor = self.output(x)
        if self.blend is not None and prompt is not None:
            reconstruction = self.blend(reconstruction, image, prompt)
        if self.residual:
            reconstruction = reconstruction + image
        if self.clear_gate is not None:
            reconstruction = self.clear_gate(reconstruction, image, prompt)
        outputs = {'reconstruction': reconstruction}
        if prompt is not None:
            outputs['prompt'] = prompt
        if self.uncertainty_head is not None:
            outputs['uncertainty'] = self.uncertainty_head(x, prompt)
        if self.segmentation_decoder is not None and self.segments:
            outputs['logits'] = self.segmentation_decoder(
                decoded[::-1][: self._maps_read]
            )
        return outputs


def _down(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Halve the resolution with a 2×2 convolution of stride 2."""
    return nn.Conv2d(in_channels, out_channels, 2, stride=2)
