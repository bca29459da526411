# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""ECRformer a second time, slow and plain: NumPy, one image, weights by name."""

import numpy as np
from numpy_layers import Array, Weights, conv, gelu, part, sigmoid, softmax


def mirrored(x: Array, by: int) -> Array:
    return np.pad(x, ((0, 0), (by, by), (by, by)), mode='reflect')


def convolved(x: Array, weights: Weights, name: str) -> Array:
    return conv(x, weights, name, 'reflect')


def normed(x: Array, weights: Weights) -> Array:
    x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    gain, shift = (weights[name][:, None, None] for name in ('weight', 'bias'))
    return x * gain + shift


def over_channels(x: Array, weights: Weights) -> Array:
    x = convolved(convolved(x, weights, 'qkv.0'), weights, 'qkv.1')
    temperature = weights['temperature'].ravel()
    each = len(x) // 3 // len(temperature)
    heads = x.reshape(3, len(temperature), each, *x.shape[1:])
    out = []
    for (q, k, v), factor in zip(heads.swapaxes(0, 1), temperature, strict=True):
        a, b = (y.reshape(each, -1) for y in (q, k))
        a, b = (y / np.linalg.norm(y, axis=1, keepdims=True) for y in (a, b))
        out.append(np.einsum('cd,dhw->chw', softmax(factor * a @ b.T, 1), v))
    return convolved(np.concatenate(out), weights, 'project')


def over_neighbours(x: Array, weights: Weights, cell: int) -> Array:
    channels, height, width = x.shape
    x = x + conv(x, weights, 'position')
    q, k, v = np.split(convolved(x, weights, 'qkv'), 3)
    groups = 2 if channels == 2 * cell else 4
    out = np.zeros_like(q)
    for first in range(0, channels, cell):
        head = slice(first, first + cell)
        d = 1 + first // (channels // groups)
        keys, values = mirrored(k[head], d), mirrored(v[head], d)
        for y in range(height):
            for z in range(width):
                # d pixels of border: row y of the image is row y + d
                at = [(y + i, z + j) for i in (0, d, 2 * d) for j in (0, d, 2 * d)]
                logits = np.array([q[head, y, z] @ keys[:, a, b] for a, b in at])
                weight = softmax(logits / cell**0.5, 0)
                out[head, y, z] = sum(
                    w * values[:, a, b] for w, (a, b) in zip(weight, at, strict=True)
                )
    return convolved(out, weights, 'project')


def fed_forward(x: Array, weights: Weights) -> Array:
    x = convolved(convolved(x, weights, 'expand.0'), weights, 'expand.1')
    a, b = np.split(x, 2)
    return convolved(gelu(a) * b, weights, 'project')


def gated(x: Array, weights: Weights, first: int) -> Array:
    """Channels, then pixels; the two modules are number *first* and the next."""

    def weigh(pooled: Array) -> Array:
        down, up = (weights[f'{first}.weigh.{i}.weight'][..., 0, 0] for i in (0, 2))
        return up @ gelu(down @ pooled)

    scale = sigmoid(weigh(x.mean((1, 2))) + weigh(x.max((1, 2))))
    x = x * scale[:, None, None]
    pooled = np.stack([x.mean(0), x.max(0)])
    return x * sigmoid(convolved(pooled, weights, f'{first + 1}.weigh'))


def block(x: Array, weights: Weights, cell: int | None) -> Array:
    """A block of a level, or without the size of a head the one of the bottleneck."""
    for i in range(3 if cell else 2):
        own = part(weights, str(i))
        y, layer = normed(x, part(own, 'norm')), part(own, 'layer')
        if i == 0:
            y = over_channels(y, layer)
        elif i == 1 and cell:
            y = over_neighbours(y, layer, cell)
        else:
            y = fed_forward(y, layer)
        x = x + own['scale'] * y
    return x


def shuffled(x: Array) -> Array:
    """Four channels become the pixels of one."""
    channels, height, width = x.shape
    out = np.zeros((channels // 4, 2 * height, 2 * width))
    for i in range(4):
        out[:, i // 2 :: 2, i % 2 :: 2] = x[i::4]
    return out


def unshuffled(x: Array) -> Array:
    channels, height, width = x.shape
    out = np.zeros((channels * 4, height // 2, width // 2))
    for i in range(4):
        out[i::4] = x[:, i // 2 :: 2, i % 2 :: 2]
    return out


def network(
    image: Array, sar: Array, weights: Weights, depths: tuple[int, ...], plain: int
) -> tuple[Array, list[Array], list[Array]]:
    """The reconstruction, and the images of encoder and decoder, finest first.

    *plain* is the number of blocks in the bottleneck, and in the refinement.
    """
    stems = (
        convolved(sar, weights, 'sar_stem'),
        convolved(image, weights, 'optical_stem'),
    )
    cell = len(stems[0])

    def blocks(x: Array, name: str, depth: int, cell: int | None) -> Array:
        for i in range(depth):
            x = block(x, part(weights, f'{name}.{i}'), cell)
        return x

    x = np.concatenate(stems)
    skips = []
    for i, depth in enumerate(depths):
        x = blocks(x, f'encoders.{i}', depth, cell)
        x = gated(x, part(weights, f'encoders.{i}'), depth)
        skips.append(x)
        x = unshuffled(convolved(x, weights, f'downs.{i}.0'))
        x = gated(x, part(weights, f'downs.{i}'), 2)
    x = blocks(x, 'bottleneck', plain, None)
    decoded = []
    for i, depth in enumerate(depths[::-1]):
        x = shuffled(convolved(x, weights, f'ups.{i}.0'))
        x = gated(x, part(weights, f'ups.{i}'), 2)
        x = np.concatenate([x, skips[-1 - i]])
        if i < len(depths) - 1:
            x = convolved(x, weights, f'merges.{i}')
        x = blocks(x, f'decoders.{i}', depth, cell)
        x = gated(x, part(weights, f'decoders.{i}'), depth)
        decoded.append(convolved(x, weights, f'decoder_heads.{i}'))
    x = blocks(x, 'refinement', plain, None)
    encoded = [convolved(y, weights, f'encoder_heads.{i}') for i, y in enumerate(skips)]
    return convolved(x, weights, 'output'), encoded, decoded[::-1]
