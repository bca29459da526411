# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The blocks of HPN-CR for one image, C×H×W, in NumPy, from its description."""

import numpy as np
from numpy_layers import Array, Weights, conv, leaky, part, sigmoid, softmax

#: Of the leaky ReLUs.
SLOPE = 0.01


def norm(x: Array, w: Weights) -> tuple[Array, Array, Array]:
    mean, deviation = x.mean(), np.sqrt(x.var() + 1e-5)
    normed = (x - mean) / deviation * w['weight'] + w['bias']
    scale = deviation * w['scale_weight'] + w['scale_bias']
    return normed, scale, mean * w['offset_weight'] + w['offset_bias']


def gate(x: Array, w: Weights) -> Array:
    pooled = np.stack([x.max(0), x.mean(0)])
    seen = [conv(pooled, w, f'scales.{i}') for i in range(3)]
    return sigmoid(conv(np.concatenate(seen), w, 'merge'))


def bias(query: tuple[int, int], key: tuple[int, int], w: Weights) -> Array:
    """Position bias of one pair of pixels, one number for each head."""
    delta = np.subtract(query, key)
    delta = np.sign(delta) * np.log(1 + np.abs(delta))
    hidden = leaky(w['mlp.0.weight'] @ delta + w['mlp.0.bias'], SLOPE)
    return np.asarray(w['mlp.2.weight'] @ hidden + w['mlp.2.bias'])


def mirrored(i: int, n: int) -> int:
    """Where a pixel beyond the border is taken from."""
    return -i if i < 0 else 2 * n - 2 - i if i >= n else i


def attention(
    q: Array, k: Array, v: Array, w: Weights, window: int, shift: int
) -> Array:
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
                out[own, row, column] = values @ softmax(logits)
    return out


def mix(x: Array, w: Weights, window: int, shift: int) -> Array:
    p, q = np.split(conv(x, w, 'value.expand'), 2)
    value = conv(p * conv(q, w, 'value.convolve'), w, 'value.project')
    mixed = conv(value, w, 'convolve', 'reflect')
    if 'relate.weight' in w:
        query, key = np.split(conv(x, w, 'relate'), 2)
        mixed += attention(query, key, value, part(w, 'bias'), window, shift)
    return conv(mixed, w, 'project')


def mlp(x: Array, w: Weights) -> Array:
    return conv(leaky(conv(x, w, '0'), SLOPE), w, '2')


def block(x: Array, w: Weights, window: int, shift: int) -> Array:
    if 'norm_spatial.weight' in w:
        normed, a, b = norm(x, part(w, 'norm_spatial'))
        y = mix(normed, part(w, 'spatial'), window, shift) * a + b
        x = x + y + 0.01 * x * gate(x, part(w, 'gate'))
        normed, a, b = norm(x, part(w, 'norm_channel'))
        return x + mlp(normed, part(w, 'channel')) * a + b
    y = mix(x, part(w, 'spatial'), window, shift)
    x = x + y + 0.01 * x * gate(x, part(w, 'gate'))
    return x + mlp(x, part(w, 'channel'))
