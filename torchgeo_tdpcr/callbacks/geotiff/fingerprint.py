# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Fingerprints: whether two runs would make the same files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...datasets.scenes.common import SceneInfo


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of a module's parameters and buffers, in hexadecimal digits.

    Example:
        >>> len(weights_hash(nn.Linear(1, 1)))
        64
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(info: SceneInfo, weights: str, settings: dict[str, Any]) -> str:
    """Fingerprint of a scene.

    Args:
        info: The scene; its input files count by name, size and time of change.
        weights: See :func:`weights_hash`.
        settings: Whatever else the result depends on.

    Returns:
        16 hexadecimal digits.
    """
    files = [
        [str(file), file.stat().st_size, file.stat().st_mtime_ns]
        for path in info.inputs.values()
        for file in _files(Path(path).resolve())
    ]
    grid = [info.grid.crs.to_wkt(), *info.grid.transform, *info.grid[2:]]
    parts = [info.name, grid, info.bands, info.offset, files, weights, settings]
    if info.detector:
        parts.append(info.detector)
    if info.other_detectors:
        parts.append(info.other_detectors)
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    """A file, or all files of a folder."""
    if path.is_dir():
        return sorted(file for file in path.rglob('*') if file.is_file())
    return [path] if path.exists() else []
