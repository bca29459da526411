# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Fractal noise: random fields whose power falls with frequency as in nature.

Clouds and landscapes look alike over a wide range of scales. A Gaussian random field
whose power spectrum falls as a power of the frequency has that property and needs one
Fourier transform.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Floating-point array; float32 throughout this package.
FloatArray = NDArray[np.floating[Any]]


def _fast_length(length: int) -> int:
    """Smallest even length of at least `length` with the factors 2, 3 and 5 only."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1 and length % 2 == 0:
            return length
        length += 1


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    slope: float = 2.5,
    largest: float | None = None,
    smallest: float = 0.0,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> FloatArray:
    """Draw a Gaussian random field with a power-law spectrum.

    Args:
        rng: Source of randomness.
        shape: Height and width.
        slope: How fast the power falls with frequency. 0 is white noise, 2 is rough
            terrain, 3 is smooth cloud.
        largest: Wavelength in pixels beyond which the power stays level; the size of
            the field if None.
        smallest: Wavelength in pixels below which nothing is left.
        stretch: How many times longer than wide the structures are.
        angle: Direction of the long axis in radians, from the columns to the rows.

    Returns:
        Field of mean 0 and standard deviation 1.

    Example:
        >>> field = fractal_noise(np.random.default_rng(0), (48, 64))
        >>> field.shape, bool(abs(field.mean()) < 1e-3)
        ((48, 64), True)
    """
    height, width = shape
    # the transform is periodic: a margin keeps opposite edges from matching
    rows, cols = (_fast_length(n + n // 8 + 4) for n in shape)
    white = rng.standard_normal((rows, cols), dtype=np.float32)
    y = np.fft.fftfreq(rows).astype(np.float32)[:, None]
    x = np.fft.rfftfreq(cols).astype(np.float32)[None]
    if stretch != 1.0:
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        y, x = (c * y - s * x), (c * x + s * y) * np.float32(stretch)
    power = y * y + x * x
    floor = np.float32(1.0 / (largest or max(shape))) ** 2
    gain = (power + floor) ** np.float32(-slope / 4)
    if smallest > 0:
        gain *= np.exp(-power * np.float32(smallest**2))
    gain[0, 0] = 0
    field = np.fft.irfft2(np.fft.rfft2(white) * gain, s=(rows, cols))
    field = field[:height, :width].astype(np.float32)
    field -= field.mean()
    spread = float(field.std())
    return field / np.float32(spread) if spread > 0 else field


def smooth(field: FloatArray, passes: int = 1) -> FloatArray:
    """Blur with the binomial kernel (1, 2, 1) / 4 along the last two axes.

    Args:
        field: Array of any number of dimensions from two up.
        passes: How often to blur; each adds 0.5 to the variance in pixels².

    Returns:
        Blurred array of the same shape; edges repeat.
    """
    for _ in range(passes):
        for axis in (-2, -1):
            out = field.copy()
            a = np.moveaxis(field, axis, 0)
            b = np.moveaxis(out, axis, 0)
            b[1:-1] = (a[:-2] + a[2:]) * 0.25 + a[1:-1] * 0.5
            b[0] = a[0] * 0.75 + a[1] * 0.25
            b[-1] = a[-1] * 0.75 + a[-2] * 0.25
            field = out
    return field


def block_mean(
    field: FloatArray, size: int, origin: tuple[int, int] = (0, 0)
) -> FloatArray:
    """Average over square blocks and repeat, as coarse bands look on a fine grid.

    Args:
        field: Array whose last two dimensions are height and width.
        size: Side of a block in pixels; 1 returns the field.
        origin: Row and column of the first pixel on the grid of blocks.

    Returns:
        Array of the same shape, constant within each block.
    """
    if size == 1:
        return field
    for axis, start in zip((-2, -1), origin, strict=True):
        length = field.shape[axis]
        cell = (np.arange(length) + start % size) // size
        first = np.flatnonzero(np.diff(cell, prepend=-1))
        counts = np.diff(first, append=length).astype(np.float32)
        total = np.add.reduceat(field, first, axis=axis)
        mean = total / (counts[:, None] if axis == -2 else counts)
        field = np.take(mean, cell - cell[0], axis=axis).astype(np.float32)
    return field
