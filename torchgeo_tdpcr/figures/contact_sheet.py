# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A contact sheet: chips, one a row, with all that a model makes of them."""

import io
from collections.abc import Iterable
from typing import Any

import torch
from matplotlib import pyplot as plt
from PIL import Image
from torchgeo.datasets import stack_samples

from .predictions import predicted_sample


def contact_sheet(
    task: Any, datamodule: Any, dataset: Any, rows: Iterable[int], dpi: int = 75
) -> Image.Image:
    """Draw what a model makes of some chips.

    Args:
        task: A :class:`~torchgeo_tdpcr.tasks.TDPCRTask`, in evaluation mode.
        datamodule: A data module of this package with the normalisation of the task.
        dataset: A dataset of stored chips.
        rows: Rows of its index.
        dpi: Resolution of the figures.

    Returns:
        The figures of the dataset's ``plot``, one below the other.
    """
    strips: list[Image.Image] = []
    for row in rows:
        batch = datamodule.aug(stack_samples([dataset[int(row)]]))
        with torch.inference_mode():
            result = task.predict_step(batch, 0)
        sample = predicted_sample(batch, result)
        sample.pop('image_thickness', None)
        figure = dataset.plot(datamodule.denormalize(sample), show_titles=not strips)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=dpi, bbox_inches='tight')
        plt.close(figure)
        strips.append(Image.open(buffer).convert('RGB'))
    width = max(strip.width for strip in strips)
    sheet = Image.new('RGB', (width, sum(strip.height for strip in strips)), 'white')
    top = 0
    for strip in strips:
        sheet.paste(strip, ((width - strip.width) // 2, top))
        top += strip.height
    return sheet
