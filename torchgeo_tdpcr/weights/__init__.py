# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Trained weights that come with the package: files, and what is known of each.

For each there is ``NAME.safetensors`` and ``NAME.json``, both written by
``python -m experiments.weights``.
"""

import json
from pathlib import Path
from typing import Any

#: Ending of files of weights.
SUFFIX = '.safetensors'

#: Where they lie.
FOLDER = Path(__file__).parent


def shipped_names() -> list[str]:
    """Names of the weights, as :class:`~torchgeo_tdpcr.TDPCR_Weights` has them."""
    return sorted(path.stem.upper() for path in FOLDER.glob('*.json'))


def read_meta(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """What is known of weights.

    Args:
        name: One of :func:`shipped_names`.
        folder: Where they lie.
    """
    path = folder / f'{name.lower()}.json'
    meta: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return meta
