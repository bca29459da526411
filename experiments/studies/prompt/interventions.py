# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a model loses where SAR or its prompt is taken away at test time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from torchgeo_tdpcr import RestorationMetrics, TDPCRTask

from ..trained import Batch, outputs_of

#: What is changed, and its title.
CASES = {
    'none': 'nothing changed',
    'sar_zero': 'SAR all zeros',
    'sar_other': 'SAR of another chip',
    'prompt_mean': 'prompt replaced by its mean',
}


@contextmanager
def flat_prompt(generator: nn.Module) -> Iterator[None]:
    """Have a prompt generator give the spatial mean of its prompt everywhere.

    Args:
        generator: The prompt generator.

    Yields:
        Nothing.
    """

    def flatten(module: nn.Module, inputs: Any, prompt: Tensor) -> Tensor:
        return prompt.mean((2, 3), keepdim=True).expand_as(prompt)

    hook = generator.register_forward_hook(flatten)
    try:
        yield
    finally:
        hook.remove()


def sar_of_others(batches: Sequence[Batch]) -> list[Tensor]:
    """Give every chip the SAR of the chip half the data set away.

    Neighbouring chips overlap, so the next one would not do.

    Args:
        batches: Batches of chips of one size.

    Returns:
        SAR for each batch.

    Raises:
        ValueError: If there is one chip only.
    """
    sar = torch.cat([batch['image_sar'] for batch in batches])
    if len(sar) < 2:
        raise ValueError('One chip has no other to take SAR from; give two or more.')
    sizes = [len(batch['image_sar']) for batch in batches]
    return list(torch.split(sar.roll(len(sar) // 2, 0), sizes))


def interventions(
    task: TDPCRTask, batches: Sequence[Batch]
) -> dict[str, dict[str, float]]:
    """Score a task with and without what it is given.

    Args:
        task: The task, in evaluation.
        batches: The chips, with their clear images.

    Returns:
        For each of :data:`CASES`, without the last for a model without a prompt: ``psnr``
        in dB, and with a cloud mask ``psnr_cloudy`` and ``psnr_clear``.
    """
    own = [batch['image_sar'] for batch in batches]
    sars = {
        'none': own,
        'sar_zero': [torch.zeros_like(sar) for sar in own],
        'sar_other': sar_of_others(batches),
    }
    generator: Any = getattr(task.model, 'prompt_generator', None)
    if generator is not None:
        sars['prompt_mean'] = own
    scores = {}
    for case, given in sars.items():
        metrics = RestorationMetrics()
        with flat_prompt(generator) if case == 'prompt_mean' else nullcontext():
            for batch, sar in zip(batches, given, strict=True):
                restored = outputs_of(task, batch['image'], sar)['reconstruction']
                metrics.update(restored, batch['image_clear'], batch.get('mask_cloud'))
        scores[case] = {
            key: float(value)
            for key, value in metrics.compute().items()
            if key in ('psnr', 'psnr_cloudy', 'psnr_clear')
        }
    return scores
