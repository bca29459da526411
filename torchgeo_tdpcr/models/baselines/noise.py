# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The noise that the samplers of diffusion models start from, the same each time."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
# Scrambling leaves 0 as it is, so the default seed must not be 0 there.
_OFFSET = 0x9E3779B9


def seeded_noise(
    shape: Sequence[int], seed: int, step: int = 0, device: torch.device | None = None
) -> Tensor:
    """Standard normal noise that depends on the seed, the step and the pixel alone.

    The same pixel gets the same noise whatever the size of the image, the batch and the
    device, and the function compiles and exports, which random generators do not.

    Args:
        shape: Channels C, height H and width W.
        seed: Seed, any integer; its lower 32 bits count.
        step: Which of the independent noises of a seed, 0 or more.
        device: Where to make it.

    Returns:
        Noise, 1×C×H×W, float32.

    Example:
        >>> small = seeded_noise((1, 2, 3), seed=5)
        >>> torch.equal(small, seeded_noise((1, 8, 9), seed=5)[..., :2, :3])
        True
    """
    channels, height, width = shape

    def axis(size: int) -> Tensor:
        return torch.arange(size, dtype=torch.int64, device=device)

    code = _scrambled(axis(1) + ((seed + _OFFSET) & _MASK))
    code = _scrambled(code ^ step)
    # Two uniform numbers a pixel, for the Box-Muller transform.
    code = _scrambled(axis(2)[:, None, None, None] ^ code)
    code = _scrambled(code ^ axis(channels)[:, None, None])
    code = _scrambled(code ^ axis(height)[:, None])
    code = _scrambled(code ^ axis(width))
    # 24 bits are exact in float32, and the half keeps the logarithm finite.
    radius, angle = (((code >> 8).float() + 0.5) / 2**24).unbind(0)
    normal = (-2 * radius.log()).sqrt() * (2 * math.pi * angle).cos()
    return normal[None]


def _scrambled(code: Tensor) -> Tensor:
    """Mix 32-bit integers, held in int64, so that near ones come out unrelated."""
    # Products wrap around in int64; their lower 32 bits are right all the same.
    code = ((code ^ (code >> 16)) * 0x7FEB352D) & _MASK
    code = ((code ^ (code >> 15)) * 0x846CA68B) & _MASK
    return code ^ (code >> 16)
