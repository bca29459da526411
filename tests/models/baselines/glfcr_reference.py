# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""GLF-CR in NumPy, from its description: pixel by pixel, in double precision."""

import numpy as np
from numpy_layers import (
    Array,
    Weights,
    conv,
    gelu,
    leaky,
    linear,
    part,
    sigmoid,
    softmax,
)

#: Of the leaky ReLUs.
SLOPE = 0.1


def dynamic_filter(x: Array, filters: Array, size: int) -> Array:
    """*filters* is channel-major, C·size²×H×W; the border is replicated."""
    channels, height, width = x.shape
    out = np.zeros_like(x)
    for c, row, column in np.ndindex(channels, height, width):
        for i, j in np.ndindex(size, size):
            y = min(max(row + i - size // 2, 0), height - 1)
            z = min(max(column + j - size // 2, 0), width - 1)
            tap = filters[c * size * size + i * size + j, row, column]
            out[c, row, column] += tap * x[c, y, z]
    return out


def attention(
    optical: Array, sar: Array, weights: Weights, heads: int, window: int, shift: int
) -> list[Array]:
    """Of H×W×C: the window that each pixel is in after the roll is looked for."""
    height, width, channels = optical.shape
    dim = channels // heads
    table = weights['position.relative_position_bias_table']
    gate = weights['gate.weight'][:, :, 0, 0], weights['gate.bias']
    qkv = [
        linear(x, weights, f'{name}_qkv').reshape(height, width, 3, heads, dim)
        for name, x in (('optical', optical), ('sar', sar))
    ]
    mixed = [np.zeros_like(optical), np.zeros_like(sar)]
    rows, columns = np.arange(height), np.arange(width)
    # Place after the roll
    to_row, to_column = (rows - shift) % height, (columns - shift) % width
    for r, c in np.ndindex(height, width):
        keys = [
            (y, z)
            for y in rows[to_row // window == to_row[r] // window]
            for z in columns[to_column // window == to_column[c] // window]
        ]
        added = np.zeros((heads, len(keys)))
        logits = np.zeros((2, heads, len(keys)))
        for n, (y, z) in enumerate(keys):
            down, right = to_row[r] - to_row[y], to_column[c] - to_column[z]
            side = 2 * window - 1
            added[:, n] = table[(down + window - 1) * side + right + window - 1]
            # Only one of the two came round the border
            if (r < shift) != (y < shift) or (c < shift) != (z < shift):
                added[:, n] -= 100
            for s in range(2):
                query, key = qkv[s][r, c, 0], qkv[s][y, z, 1]
                logits[s, :, n] = (query * key).sum(-1) / dim**0.5
        difference = logits[1] - logits[0]
        share = sigmoid(gate[0] @ difference + gate[1][:, None])
        logits[0] = logits[0] + share * difference
        for s in range(2):
            values = np.stack([qkv[s][y, z, 2] for y, z in keys])
            for h in range(heads):
                mix = softmax(logits[s, h] + added[h]) @ values[:, h]
                mixed[s][r, c, h * dim : (h + 1) * dim] = mix
    return [
        linear(x, weights, f'{name}_project')
        for name, x in zip(('optical', 'sar'), mixed, strict=True)
    ]


def mlp(x: Array, weights: Weights) -> Array:
    """Layer norm, linear, exact GELU, linear."""
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    x = linear(x * weights['0.weight'] + weights['0.bias'], weights, '1')
    return linear(gelu(x), weights, '3')


def layer(
    streams: list[Array], weights: Weights, heads: int, window: int, shift: int
) -> list[Array]:
    """A dense layer of both streams."""
    names = 'optical', 'sar'
    new = [
        np.maximum(conv(x, weights, name), 0).transpose(1, 2, 0)
        for name, x in zip(names, streams, strict=True)
    ]
    inner = part(weights, 'attention')
    mixed = attention(new[0], new[1], inner, heads, window, shift)
    new = [x + y for x, y in zip(new, mixed, strict=True)]
    return [
        (x + mlp(x, part(weights, f'{name}_mlp'))).transpose(2, 0, 1)
        for name, x in zip(names, new, strict=True)
    ]


def dense(
    streams: list[Array], weights: Weights, layers: int, heads: int, window: int
) -> list[Array]:
    """A dense block of both streams."""
    grown = streams
    for i in range(layers):
        shift = window // 2 if i % 2 else 0
        new = layer(grown, part(weights, f'layers.{i}'), heads, window, shift)
        grown = [np.concatenate(x) for x in zip(grown, new, strict=True)]
    return [
        x + conv(y, weights, f'{name}_merge')
        for name, x, y in zip(('optical', 'sar'), streams, grown, strict=True)
    ]


def fusion(streams: list[Array], weights: Weights, size: int) -> list[Array]:
    """Local fusion."""
    optical, sar = streams
    z = leaky(conv(np.concatenate(streams), weights, 'guide.0'), SLOPE)
    for i in (2, 3):
        inner = leaky(conv(z, weights, f'guide.{i}.body.0'), SLOPE)
        z = z + conv(inner, weights, f'guide.{i}.body.2')
    filters = leaky(conv(z, weights, 'filter.predict'), SLOPE)
    filtered = dynamic_filter(sar, filters, size)
    change = filtered - optical
    optical = optical + change * sigmoid(conv(change, weights, 'to_optical'))
    if 'to_sar.weight' in weights:
        change = optical - filtered
        sar = sar + change * sigmoid(conv(change, weights, 'to_sar'))
    return [optical, sar]


def fold(x: Array) -> Array:
    """C×2H×2W to 4C×H×W."""
    c, h, w = x.shape
    x = x.reshape(c, h // 2, 2, w // 2, 2)
    return x.transpose(0, 2, 4, 1, 3).reshape(4 * c, h // 2, w // 2)


def unfold(x: Array) -> Array:
    """4C×H×W to C×2H×2W."""
    c, h, w = x.shape
    x = x.reshape(c // 4, 2, 2, h, w).transpose(0, 3, 1, 4, 2)
    return x.reshape(c // 4, 2 * h, 2 * w)


def network(
    image: Array,
    image_sar: Array,
    weights: Weights,
    blocks: int,
    layers: int,
    heads: int,
    window: int,
    size: int,
) -> Array:
    """The whole network, on one image of a size that needs no padding."""
    shallow = conv(fold(image), weights, 'optical_stem')
    sar = conv(fold(image_sar), weights, 'sar_stem')
    streams = [
        conv(shallow, weights, 'optical_shallow'),
        conv(sar, weights, 'sar_shallow'),
    ]
    stages = []
    for i in range(blocks):
        streams = dense(streams, part(weights, f'dense.{i}'), layers, heads, window)
        streams = fusion(streams, part(weights, f'fusions.{i}'), size)
        stages.append(streams[0])
    x = conv(np.concatenate(stages), weights, 'merge.0')
    x = conv(x, weights, 'merge.1') + shallow
    x = unfold(conv(x, weights, 'output.0'))
    return image + conv(x, weights, 'output.2')
