# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The blocks of HPN-CR for one image, C×H×W, in NumPy: what the tests compare with."""

from collections.abc import Mapping

import numpy as np
from torch import nn

Weights = Mapping[str, np.ndarray]


def weights_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Parameters and buffers by name."""
    return {key: value.double().numpy() for key, value in module.state_dict().items()}


def under(weights: Weights, prefix: str) -> dict[str, np.ndarray]:
    """The weights of a part."""
    start = prefix + '.'
    return {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.01 * x)


def conv(x: np.ndarray, w: Weights, mode: str = 'constant') -> np.ndarray:
    """A convolution, whose groups are told by its weights; one tap after the other."""
    kernel = w['weight']
    size = kernel.shape[-1]
    if kernel.shape[1] != len(x):
        assert kernel.shape[1] == 1
        kernel = np.eye(len(x))[..., None, None] * kernel
    height, width = x.shape[1:]
    edge = size // 2
    x = np.pad(x, ((0, 0), (edge, edge), (edge, edge)), mode=mode)  # type: ignore[call-overload]
    out = np.zeros((len(kernel), height, width))
    for i in range(size):
        for j in range(size):
            patch = x[:, i : i + height, j : j + width]
            out += np.einsum('oc,chw->ohw', kernel[:, :, i, j], patch)
    return out + w['bias'][:, None, None] if 'bias' in w else out


def norm(x: np.ndarray, w: Weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, deviation = x.mean(), np.sqrt(x.var() + 1e-5)
    normed = (x - mean) / deviation * w['weight'] + w['bias']
    scale = deviation * w['scale_weight'] + w['scale_bias']
    return normed, scale, mean * w['offset_weight'] + w['offset_bias']


def gate(x: np.ndarray, w: Weights) -> np.ndarray:
    pooled = np.stack([x.max(0), x.mean(0)])
    seen = [conv(pooled, under(w, f'scales.{i}')) for i in range(3)]
    return sigmoid(conv(np.concatenate(seen), under(w, 'merge')))


def bias(query: tuple[int, int], key: tuple[int, int], w: Weights) -> np.ndarray:
    """Position bias of one pair of pixels, one number for each head."""
    delta = np.subtract(query, key)
    delta = np.sign(delta) * np.log(1 + np.abs(delta))
    hidden = leaky(w['mlp.0.weight'] @ delta + w['mlp.0.bias'])
    return np.asarray(w['mlp.2.weight'] @ hidden + w['mlp.2.bias'])


def mirrored(i: int, n: int) -> int:
    """Where a pixel beyond the border is taken from."""
    return -i if i < 0 else 2 * n - 2 - i if i >= n else i


def attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, w: Weights, window: int, shift: int
) -> np.ndarray:
    """Each pixel over the window that it lies in, one head after the other."""
    channels, height, width = v.shape
    heads = len(w['mlp.2.bias'])
    depth = channels // heads
    out = np.zeros_like(v)
    for row in range(height):
        for column in range(width):
            top = (row + shift) // window * window - shift
            left = (column + shift) // window * window - shift
            seen = [(top + i, left + j) for i in range(window) for j in range(window)]
            inside = tuple(
                np.array([mirrored(place[axis], n) for place in seen])
                for axis, n in enumerate((height, width))
            )
            biases = np.stack([bias((row, column), place, w) for place in seen])
            for head in range(heads):
                own = slice(head * depth, head * depth + depth)
                keys, values = (x[own][:, inside[0], inside[1]] for x in (k, v))
                logits = q[own, row, column] @ keys / depth**0.5 + biases[:, head]
                share = np.exp(logits - logits.max())
                out[own, row, column] = values @ (share / share.sum())
    return out


def mix(x: np.ndarray, w: Weights, window: int, shift: int) -> np.ndarray:
    p, q = np.split(conv(x, under(w, 'value.expand')), 2)
    value = conv(p * conv(q, under(w, 'value.convolve')), under(w, 'value.project'))
    mixed = conv(value, under(w, 'convolve'), 'reflect')
    if 'relate.weight' in w:
        query, key = np.split(conv(x, under(w, 'relate')), 2)
        mixed += attention(query, key, value, under(w, 'bias'), window, shift)
    return conv(mixed, under(w, 'project'))


def mlp(x: np.ndarray, w: Weights) -> np.ndarray:
    return conv(leaky(conv(x, under(w, '0'))), under(w, '2'))


def block(x: np.ndarray, w: Weights, window: int, shift: int) -> np.ndarray:
    if 'norm_spatial.weight' in w:
        normed, a, b = norm(x, under(w, 'norm_spatial'))
        y = mix(normed, under(w, 'spatial'), window, shift) * a + b
        x = x + y + 0.01 * x * gate(x, under(w, 'gate'))
        normed, a, b = norm(x, under(w, 'norm_channel'))
        return x + mlp(normed, under(w, 'channel')) * a + b
    y = mix(x, under(w, 'spatial'), window, shift)
    x = x + y + 0.01 * x * gate(x, under(w, 'gate'))
    return x + mlp(x, under(w, 'channel'))
