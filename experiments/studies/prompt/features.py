# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a model's prompt and SAR weights are, pixel by pixel, beside the truth."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchgeo_tdpcr.models import PromptGuidedFusion

from ..trained import Batch
from .probing import Pixels

#: Name of the prompt among the features; those of SAR weights are numbers of stages.
PROMPT = 'prompt'


@contextmanager
def kept_attention(model: nn.Module) -> Iterator[list[PromptGuidedFusion]]:
    """Have the fusion blocks of a model keep their weights.

    Args:
        model: The model.

    Yields:
        Its blocks of prompt-guided fusion, the finest stage first.
    """
    blocks = [
        block for block in model.modules() if isinstance(block, PromptGuidedFusion)
    ]
    for block in blocks:
        block.keep_attention = True
    try:
        yield blocks
    finally:
        for block in blocks:
            block.keep_attention, block.attention = False, None


def has_features(model: nn.Module) -> bool:
    """Whether a model has a prompt or prompt-guided fusion."""
    return getattr(model, 'prompt_generator', None) is not None or any(
        isinstance(block, PromptGuidedFusion) for block in model.modules()
    )


def truth_at(batch: Batch, stage: int) -> tuple[Tensor | None, Tensor | None]:
    """Thickness and cloud mask on the grid of a stage.

    Args:
        batch: A batch.
        stage: Number of the stage from 0; its pixels are 2^stage wide.

    Returns:
        The mean thickness, and whether half a pixel or more is cloud or shadow, both
        B×h×w; None where the batch has none. Pixels that reach over the edge are none.
    """
    size = 2**stage
    thickness, cloud = batch.get('image_thickness'), batch.get('mask_cloud')
    if thickness is not None:
        thickness = F.avg_pool2d(thickness, size)[:, 0]
    if cloud is not None:
        cloud = F.avg_pool2d(cloud[:, None].float(), size)[:, 0] >= 0.5
    return thickness, cloud


def feature_maps(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Prompt and SAR weights of a batch.

    Args:
        model: A model for which :func:`has_features` is true, in evaluation.
        batch: A batch.

    Returns:
        The prompt, where there is one, and the weights of SAR of each stage as ``'1'``,
        ``'2'`` and so on: B×C×h×w, without pixels that reach over the image's edge.
    """
    device = next(model.parameters()).device
    height, width = batch['image'].shape[-2:]
    with torch.inference_mode(), kept_attention(model) as blocks:
        outputs = model(batch['image'].to(device), batch['image_sar'].to(device))
        maps = {PROMPT: outputs['prompt'].cpu()} if 'prompt' in outputs else {}
        for stage, block in enumerate(blocks):
            assert block.attention is not None
            weights = block.attention[:, 1, :, : height >> stage, : width >> stage]
            maps[str(stage + 1)] = weights.cpu()
    return maps


def pixels_of(maps: Sequence[Tensor], batches: Sequence[Batch], stage: int) -> Pixels:
    """Put the pixels of some maps in rows.

    Args:
        maps: B×C×h×w for each batch.
        batches: The batches, for their truth.
        stage: Number of the maps' stage from 0.

    Returns:
        The pixels.
    """
    truths = [truth_at(batch, stage) for batch in batches]
    thickness, cloud = (
        None if any(part is None for part in parts) else _flat(parts)
        for parts in zip(*truths, strict=True)
    )
    rows = [
        np.moveaxis(part.numpy(), 1, -1).reshape(-1, part.shape[1]) for part in maps
    ]
    return Pixels(np.concatenate(rows), thickness, cloud)


def collect(model: nn.Module, batches: Sequence[Batch]) -> dict[str, Pixels]:
    """Prompt and SAR weights of some chips, in rows of pixels.

    Args:
        model: A model for which :func:`has_features` is true, in evaluation.
        batches: The chips.

    Returns:
        Pixels by the names of :func:`feature_maps`.
    """
    maps = [feature_maps(model, batch) for batch in batches]
    return {
        name: pixels_of(
            [part[name] for part in maps],
            batches,
            0 if name == PROMPT else int(name) - 1,
        )
        for name in maps[0]
    }


def _flat(parts: Sequence[Tensor]) -> np.ndarray:
    return np.concatenate([part.numpy().ravel() for part in parts])
