# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Packing weights: the file, and what is known of it."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.transforms.normalize import SAR_CLIPS
from torchgeo_tdpcr.weight_files import SUFFIX, export_weights

from ..markdown import table
from .measuring import Figures

#: Level of the product that the bands are of.
LEVELS = {13: '1C', 12: '2A'}


def pack(
    checkpoint: Path, name: str, figures: Figures, training: str, folder: Path
) -> dict[str, Any]:
    """Write a file of weights, and beside it what is known of them.

    Args:
        checkpoint: The checkpoint.
        name: Name of the weights.
        figures: What they are worth.
        training: The command that trained them.
        folder: Where to.

    Returns:
        What is known of them.
    """
    content = export_weights(checkpoint, folder / f'{name.lower()}{SUFFIX}')
    arguments = content['hyper_parameters']
    record = arguments['input_record']
    clips = tuple(map(tuple, record['sar_clips']))
    (sar_clip,) = (k for k, v in SAR_CLIPS.items() if tuple(v.values()) == clips)
    meta = {
        'summary': summary(figures),
        'level': LEVELS[len(record['bands'])],
        'model': arguments['model'],
        'in_chans': len(record['bands']),
        'num_classes': arguments['num_classes'],
        'bands': record['bands'],
        'sar_bands': record['sar_bands'],
        'sar_clip': sar_clip,
        'classes': record['class_names'],
        'dataset': 'synthetic scenes (SyntheticOSFCR)',
        'training': training,
        'license': 'MIT',
        'publication': 'https://arxiv.org/abs/2601.12052',
        'parameters': sum(value.numel() for value in content['state_dict'].values()),
        'sha256': content['sha256'],
        'torch': version('torch'),
        'figures': figures,
    }
    text = json.dumps(meta, indent=2, ensure_ascii=False) + '\n'
    write_text(folder / f'{name.lower()}.json', text)
    return meta


def summary(figures: Figures) -> str:
    """What whoever uses them must know, in a line."""
    pairs = {name: value for name, value in figures.items() if 'cloudy pixels' in name}
    (restored,) = (v for name, v in pairs.items() if 'input' not in name)
    (observed,) = (v for name, v in pairs.items() if 'input' in name)
    return (
        'Trained on synthetic scenes and clouds. On eight real pairs they restore cloudy '
        f'pixels to {restored:.1f} dB, where the cloudy image has {observed:.1f} dB.'
    )


def page(folder: Path) -> str:
    """A page about all weights of a folder.

    Args:
        folder: The folder.

    Returns:
        Markdown.
    """
    sections = []
    for path in sorted(folder.glob('*.json')):
        meta = json.loads(path.read_text(encoding='utf-8'))
        rows = [
            ['Level', meta['level']],
            ['Bands', ' '.join(meta['bands'])],
            ['Radar', f'{" ".join(meta["sar_bands"])} in dB'],
            ['Classes', ', '.join(meta['classes'])],
            ['Trained on', meta['dataset']],
            ['By', f'`{meta["training"]}`'],
            ['Parameters', f'{meta["parameters"]:,}'],
            ['Licence', meta['license']],
            *([name, f'{value:.2f}'] for name, value in meta['figures'].items()),
        ]
        sections.append(f'### `{path.stem.upper()}`\n\n{table(["", ""], rows, 2)}\n')
    return '\n'.join(sections)
