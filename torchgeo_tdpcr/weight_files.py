# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Weights in small files that say what they are of: safetensors in half precision.

A checkpoint can go on being trained, and is six times as large. Such a file holds what it
takes to use a model: its weights, the arguments of its task, and what it was fed with.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .files import expanded, replacing
from .weights import SUFFIX

# Where a file keeps what is no tensor, as JSON.
_ABOUT = 'torchgeo_tdpcr'

# Arguments of the task that are places on a machine, or Lightning's own.
_LEFT_OUT = ('_class_path', '_instantiator')


def export_weights(
    checkpoint: str | PathLike[str], path: str | PathLike[str], **changed: Any
) -> dict[str, Any]:
    """Make a file of weights of a checkpoint.

    Args:
        checkpoint: Checkpoint of a :class:`~torchgeo_tdpcr.TDPCRTask`.
        path: File to write, ``….safetensors``.
        **changed: Arguments of the task in place of its own.

    Returns:
        What :func:`read_weights` reads of it, and its ``sha256``.

    Raises:
        ValueError: If the checkpoint is none of such a task, or *path* has another
            suffix.
    """
    target = expanded(path)
    if target.suffix != SUFFIX:
        raise ValueError(f"'{path}' must end in '{SUFFIX}'.")
    content = torch.load(expanded(checkpoint), map_location='cpu', weights_only=True)
    arguments = content.get('hyper_parameters')
    state = of_model(content.get('state_dict', {}))
    if not state or not isinstance(arguments, dict):
        raise ValueError(
            f"'{checkpoint}' is no checkpoint of TDPCRTask: it has no weights of a model "
            'or no arguments. Give a file that training wrote.'
        )
    versions = of_model(getattr(content['state_dict'], '_metadata', {}))
    arguments = {k: v for k, v in arguments.items() if k not in _LEFT_OUT}
    phase, training = content.get('phase'), str(arguments.get('training'))
    if phase == 2 and training.startswith('cr+'):
        # They are what the second phase alone would have made
        second = training.removeprefix('cr+')
        arguments |= {'training': second, 'phase1_epochs': None}
    about = {
        'hyper_parameters': arguments | changed,
        'phase': phase,
        'versions': {
            name: entry['version']
            for name, entry in versions.items()
            # Most have the first; that of the model is known to its own reader
            if not name or entry.get('version', 1) != 1
        },
    }
    half = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in state.items()
    }
    with replacing(target) as part:
        part.write_bytes(save(half, {_ABOUT: json.dumps(about)}))
    return {**read_weights(target), 'sha256': checksum(target)}


def read_weights(
    path: str | PathLike[str], sha256: str | None = None
) -> dict[str, Any]:
    """Read a file of weights.

    Args:
        path: The file.
        sha256: What its checksum must be.

    Returns:
        As a checkpoint has it: ``state_dict`` (of the model, in float32),
        ``hyper_parameters`` (arguments of the task) and ``phase``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is another file than it should be, or no such file.
    """
    file = expanded(path)
    if not file.is_file():
        raise FileNotFoundError(f"'{file}': there is no such file.")
    if sha256 is not None and (found := checksum(file)) != sha256:
        raise ValueError(
            f"'{file}' is damaged or was changed: its SHA-256 is {found}, not {sha256}. "
            'Install the package again.'
        )
    try:
        with safe_open(file, 'pt') as opened:
            about = json.loads((opened.metadata() or {})[_ABOUT])
            names = opened.keys()
            state = OrderedDict((n, _single(opened.get_tensor(n))) for n in names)
        versions: Mapping[str, int] = about.pop('versions')
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"'{file}' holds no weights that `export_weights` wrote ({error})."
        ) from error
    # Where PyTorch keeps the versions of modules
    state._metadata = {name: {'version': v} for name, v in versions.items()}  # type: ignore[attr-defined]
    return {'state_dict': state, **about}


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def of_model(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a task's state belongs to its model, by the model's names.

    Args:
        values: Tensors by their names in the task, or what is known of its modules.
    """
    return {k[6:]: v for k, v in values.items() if f'{k}.'.startswith('model.')}
