# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A sample together with what a model made of it, ready to be drawn."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchgeo.datasets.utils import Sample


def predicted_sample(
    batch: Sample, outputs: Mapping[str, Tensor], i: int = 0
) -> Sample:
    """Take one sample of a batch, and what a model made of it, to the CPU.

    Args:
        batch: The batch.
        outputs: What the model made of it: ``reconstruction``, ``prompt`` and
            ``logits`` or ``probabilities``, as far as there are such.
        i: Which sample of the batch.

    Returns:
        The sample with ``reconstruction`` (within 0 to 1), ``prompt`` and
        ``prediction`` (class indices).

    Example:
        >>> outputs = {'logits': torch.eye(3).reshape(1, 3, 3, 1)}
        >>> predicted_sample({'image': torch.ones(1, 13, 3, 1)}, outputs)['prediction']
        tensor([[0],
                [1],
                [2]])
    """
    sample = {key: value[i] for key, value in batch.items()}
    if 'reconstruction' in outputs:
        sample['reconstruction'] = outputs['reconstruction'][i].clamp(0, 1)
    if 'prompt' in outputs:
        sample['prompt'] = outputs['prompt'][i]
    for key in ('logits', 'probabilities'):
        if key in outputs:
            sample['prediction'] = outputs[key][i].argmax(0)
    return {
        key: value.detach().cpu().float()
        if torch.is_floating_point(value)
        else value.cpu()
        for key, value in sample.items()
    }
