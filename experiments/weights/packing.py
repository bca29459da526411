# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Packing weights: the file, and what is known of it."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.transforms.normalize import SAR_CLIPS
from torchgeo_tdpcr.weight_files import export_weights
from torchgeo_tdpcr.weights import SUFFIX, read_meta

from ..markdown import table
from .measuring import MATCHED, Figures, Measured

#: What a table of reliability is of.
RELIABILITY = (
    'How far off they expect cloudy pixels of the ten pairs to be, calibrated by pairs of '
    'other places, and how far off these are, in digital numbers (means over the bands; '
    'fifths of the pixels):'
)

#: What weights are trained on, as far as nothing else is said.
SYNTHETIC = 'synthetic scenes (SyntheticOSFCR)'

#: Level of the product that the bands are of.
LEVELS = {13: '1C', 12: '2A'}


def pack(
    checkpoint: Path,
    name: str,
    measured: Measured,
    training: str,
    folder: Path,
    dataset: str = SYNTHETIC,
) -> dict[str, Any]:
    """Write a file of weights, and beside it what is known of them.

    Args:
        checkpoint: The checkpoint.
        name: Name of the weights.
        measured: What they are worth.
        training: The command that trained them.
        folder: Where to.
        dataset: What it was trained on.

    Returns:
        What is known of them.
    """
    content = export_weights(
        checkpoint,
        folder / f'{name.lower()}{SUFFIX}',
        **_calibrated(checkpoint, measured),
    )
    arguments = content['hyper_parameters']
    record = arguments['input_record']
    level = LEVELS[len(record['bands'])]
    clips = tuple(map(tuple, record['sar_clips']))
    (sar_clip,) = (k for k, v in SAR_CLIPS.items() if tuple(v.values()) == clips)
    meta = {
        'summary': summary(measured.figures, level),
        'level': level,
        'model': arguments['model'],
        'in_chans': len(record['bands']),
        'num_classes': arguments['num_classes'],
        'bands': record['bands'],
        'sar_bands': record['sar_bands'],
        'sar_clip': sar_clip,
        'classes': record['class_names'],
        'dataset': dataset,
        'training': training,
        'license': 'MIT',
        'publication': 'https://arxiv.org/abs/2601.12052',
        'parameters': sum(value.numel() for value in content['state_dict'].values()),
        'sha256': content['sha256'],
        'torch': version('torch'),
        'figures': measured.figures,
        'reliability': measured.reliability,
    }
    _write_meta(meta, name, folder)
    return meta


def _calibrated(checkpoint: Path, measured: Measured) -> dict[str, Any]:
    """What is to be changed of the task, so that it expects errors as large as found."""
    if not measured.reliability:
        return {}
    content = torch.load(checkpoint, map_location='cpu', weights_only=True)
    kwargs = content['hyper_parameters']['model_kwargs']
    return {'model_kwargs': {**kwargs, 'uncertainty_factor': measured.factor}}


def renew(name: str, measured: Measured, folder: Path) -> dict[str, Any]:
    """Write anew what weights that are packed are worth.

    Args:
        name: Name of the weights.
        measured: What they are worth.
        folder: Where they are.

    Returns:
        What is known of them.
    """
    meta: dict[str, Any] = read_meta(name, folder)
    meta |= {
        'summary': summary(measured.figures, meta['level']),
        'figures': measured.figures,
        'reliability': measured.reliability,
    }
    _write_meta(meta, name, folder)
    return meta


def _write_meta(meta: dict[str, Any], name: str, folder: Path) -> None:
    text = json.dumps(meta, indent=2, ensure_ascii=False) + '\n'
    write_text(folder / f'{name.lower()}.json', text)


def summary(figures: Figures, level: str) -> str:
    """What whoever uses them must know, in a line."""
    brought = ' that were brought to that level' if level == '2A' else ''
    pairs = {
        name: value
        for name, value in figures.items()
        if 'real pairs' in name and 'cloudy pixels' in name
    }
    plain, matched, observed = (
        next(
            value for name, value in pairs.items() if name.endswith(f'pixels{of} (dB)')
        )
        for of in ('', MATCHED, ', cloudy input')
    )
    return (
        f'Trained on synthetic scenes and clouds of level {level}. On eight real pairs'
        f'{brought} they restore cloudy pixels to {matched:.1f} dB, without matching '
        f'colours to clear pixels {plain:.1f} dB, where the cloudy image has '
        f'{observed:.1f} dB.'
    )


def _reliability(curve: list[tuple[float, float]]) -> str:
    rows = [
        [title, *(f'{pair[i]:g}' for pair in curve)]
        for i, title in enumerate(('Expected', 'Found'))
    ]
    return table(['', *(f'{i}.' for i in range(1, len(curve) + 1))], rows, 1)


def page(folder: Path) -> str:
    """A page about all weights of a folder.

    Args:
        folder: The folder.

    Returns:
        Markdown.
    """
    sections = []
    for path in sorted(folder.glob('*.json')):
        meta = read_meta(path.stem, folder)
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
        if curve := meta['reliability']:
            sections.append(f'{RELIABILITY}\n\n{_reliability(curve)}\n')
    return '\n'.join(sections)
