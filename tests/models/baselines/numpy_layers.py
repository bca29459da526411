# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Layers of one image, C×H×W, in NumPy: what the second versions of models are made of.

Weights are looked up by the names that they have in the model.
"""

from collections.abc import Mapping
from math import erf
from typing import Any

import numpy as np
from torch import nn

Array = np.ndarray
Weights = Mapping[str, Array]

_erf = np.vectorize(erf, otypes=[float])


def weights_of(module: nn.Module) -> dict[str, Array]:
    """Parameters and buffers by name, in double precision."""
    return {key: value.double().numpy() for key, value in module.state_dict().items()}


def part(weights: Weights, name: str) -> dict[str, Array]:
    """The weights of a module inside."""
    start = f'{name}.'
    return {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}


def conv(x: Array, weights: Weights, name: str, mode: Any = 'constant') -> Array:
    """A convolution, of all channels or of each alone, as its kernel's shape says.

    One tap after the other; *mode* is how NumPy continues the image.
    """
    kernel = weights[f'{name}.weight']
    size = kernel.shape[-1]
    if kernel.shape[1] != len(x):
        assert kernel.shape[1] == 1
        kernel = np.eye(len(x))[..., None, None] * kernel
    edge, (height, width) = size // 2, x.shape[1:]
    x = np.pad(x, ((0, 0), (edge, edge), (edge, edge)), mode=mode)
    out = np.zeros((len(kernel), height, width))
    for i, j in np.ndindex(size, size):
        patch = x[:, i : i + height, j : j + width]
        out += np.tensordot(kernel[:, :, i, j], patch, 1)
    bias = weights.get(f'{name}.bias')
    return out if bias is None else out + bias[:, None, None]


def linear(x: Array, weights: Weights, name: str) -> Array:
    """Of the last axis."""
    return np.asarray(x @ weights[f'{name}.weight'].T + weights[f'{name}.bias'])


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def leaky(x: Array, slope: float) -> Array:
    return np.where(x > 0, x, slope * x)


def gelu(x: Array) -> Array:
    return np.asarray(x * (1 + _erf(x / 2**0.5)) / 2)
