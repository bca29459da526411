# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A contact sheet: test chips, one a row, with all that a model makes of them."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from PIL import Image
from torchgeo.datasets import stack_samples

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask


def draw(checkpoint: Path, data: Mapping[str, Any], out: Path, number: int = 5) -> Path:
    """Draw the sheet.

    Args:
        checkpoint: Checkpoint of a TDPCRTask.
        data: Arguments of OSFCRDataModule.
        out: Folder to write `contact_sheet.png` to.
        number: Number of chips, spread over the test split's cloud cover.

    Returns:
        Path of the sheet.
    """
    task = TDPCRTask.load_from_checkpoint(checkpoint, map_location='cpu').eval()
    module = OSFCRDataModule(**data)
    module.setup('test')
    dataset = module.test_dataset
    order = np.argsort(
        dataset.index['cover'].map(lambda c: int(c.split('%')[0].split('-')[0])),
        kind='stable',
    )
    rows = order.iloc[np.linspace(0, len(order) - 1, number).round().astype(int)]
    strips = []
    for row in rows:
        batch = module.aug(stack_samples([dataset[int(row)]]))
        with torch.inference_mode():
            result = task.predict_step(batch, 0)
        sample = {key: value[0] for key, value in batch.items()}
        sample['reconstruction'] = result['reconstruction'][0]
        if 'probabilities' in result:
            sample['prediction'] = result['probabilities'][0].argmax(0)
        if 'prompt' in result:
            sample['prompt'] = result['prompt'][0]
        sample.pop('image_thickness', None)
        figure = dataset.plot(module.denormalize(sample), show_titles=not strips)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=75, bbox_inches='tight')
        plt.close(figure)
        strips.append(Image.open(buffer).convert('RGB'))
    width = max(strip.width for strip in strips)
    sheet = Image.new('RGB', (width, sum(strip.height for strip in strips)), 'white')
    top = 0
    for strip in strips:
        sheet.paste(strip, ((width - strip.width) // 2, top))
        top += strip.height
    path = out / 'contact_sheet.png'
    sheet.save(path)
    return path
