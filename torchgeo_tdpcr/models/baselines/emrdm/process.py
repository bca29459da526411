# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The diffusion of EMRDM: from a clear image to noise around the cloudy one.

The design space (schedule, preconditioning, weights) is that of T. Karras, M. Aittala,
T. Aila, S. Laine: *Elucidating the Design Space of Diffusion-Based Generative Models*,
NeurIPS 2022, https://arxiv.org/abs/2206.00364 (EDM), applied to clear minus cloudy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


class Mixture(NamedTuple):
    """What an image at some noise level is made of.

    The image is ``keep * clear + revert * cloudy + spread * noise``.
    """

    keep: Tensor
    revert: Tensor
    spread: Tensor


class Preconditioning(NamedTuple):
    """Factors around the network F, and the noise level that it is told.

    The estimate of the clear image is ``skip * x + out * F(into * x, level)``.
    """

    skip: Tensor
    out: Tensor
    into: Tensor
    level: Tensor


@dataclass(frozen=True, slots=True)
class MeanReverting:
    """Mean-reverting process x = s·clear + (1 − s)·cloudy + s·σ·n.

    The noise level σ grows from *sigma_min* to *sigma_max* over time 0 to 1. The share
    of the clear image is s = (1 + (σ / λ)²)^(−1/2), so the noise around the mean, s·σ,
    tends to λ while the mean tends to the cloudy image. Divided by s, the difference to
    the cloudy image is a variance-exploding process, the one that EDM analyses.

    All moments are about zero, in the units of the model.

    Args:
        noise: λ, the standard deviation of the noise at the end.
        sigma_min: Least noise level.
        sigma_max: Greatest noise level.
        rho: Exponent of the schedule.
        sigma_data: Root mean square of clear images.
        sigma_mean: Root mean square of cloudy images.
        correlation: Mean of clear times cloudy, over both root mean squares.

    Raises:
        ValueError: If a level is not positive, *sigma_min* is not below *sigma_max*, or
            *correlation* is not between -1 and 1.

    Example:
        >>> process = MeanReverting(noise=0.5)
        >>> [round(float(s), 3) for s in process.steps(5)]
        [80.0, 17.528, 2.515, 0.17, 0.002, 0.0]
        >>> round(float(process.mixture(torch.tensor(80.0)).spread), 4)
        0.5
    """

    noise: float = 0.5
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    sigma_data: float = 0.5
    sigma_mean: float = 1.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        for name in ('noise', 'sigma_min', 'rho', 'sigma_data', 'sigma_mean'):
            if getattr(self, name) <= 0:
                raise ValueError(f'`{name}={getattr(self, name)}` must be positive.')
        if self.sigma_max <= self.sigma_min:
            raise ValueError(
                f'`sigma_max={self.sigma_max}` must exceed '
                f'`sigma_min={self.sigma_min}`.'
            )
        if not -1 < self.correlation < 1:
            raise ValueError(
                f'`correlation={self.correlation}` must lie between -1 and 1.'
            )

    def sigma(self, time: Tensor) -> Tensor:
        """Noise level at a time.

        Args:
            time: Time, 0 (clear) to 1 (cloudy), any shape.

        Returns:
            σ of the same shape.
        """
        low, high = (s ** (1 / self.rho) for s in (self.sigma_min, self.sigma_max))
        sigma: Tensor = (low + time * (high - low)) ** self.rho
        return sigma

    def steps(self, count: int, device: torch.device | None = None) -> Tensor:
        """Noise levels at which a sampler calls the network, and 0 to end on.

        Args:
            count: Number of calls.
            device: Where to put the result.

        Returns:
            Noise levels from *sigma_max* down, count + 1.
        """
        sigmas = self.sigma(torch.linspace(1, 0, count, device=device))
        return torch.cat([sigmas, sigmas.new_zeros(1)])

    def mixture(self, sigma: Tensor) -> Mixture:
        """Shares of clear image, cloudy image and noise.

        Args:
            sigma: Noise level σ, any shape.

        Returns:
            The shares, of the same shape.
        """
        log_keep = -0.5 * torch.log1p((sigma / self.noise) ** 2)
        keep = log_keep.exp()
        # expm1, because 1 - keep has no digits left at the least noise level.
        return Mixture(keep, -torch.expm1(log_keep), keep * sigma)

    def perturb(
        self, clear: Tensor, cloudy: Tensor, sigma: Tensor, noise: Tensor
    ) -> Tensor:
        """Image at a noise level.

        Args:
            clear: Clear image, B×C×H×W.
            cloudy: Cloudy image of the same shape.
            sigma: Noise level σ, broadcastable to the images.
            noise: Standard normal noise of the shape of the images.

        Returns:
            Image between both, of the same shape.
        """
        keep, revert, spread = self.mixture(sigma)
        return keep * clear + revert * cloudy + spread * noise

    def precondition(self, sigma: Tensor) -> Preconditioning:
        """Factors with which the network's input and target have unit variance.

        By EDM's principles: *into* scales the input to unit variance, *skip* is the
        linear estimate of the clear image with the least error, and *out* is the size
        of that error. They need the second moments of clear and cloudy images.

        Args:
            sigma: Noise level σ, positive, any shape.

        Returns:
            The factors and c_noise = ln(σ) / 4, of the same shape.
        """
        keep, revert, spread = self.mixture(sigma)
        data, mean = self.sigma_data**2, self.sigma_mean**2
        cross = self.correlation * self.sigma_data * self.sigma_mean
        variance = (
            keep**2 * data + revert**2 * mean + 2 * keep * revert * cross + spread**2
        )
        # The variance of the error, multiplied out so that nothing cancels.
        error = revert**2 * (data * mean - cross**2) + spread**2 * data
        return Preconditioning(
            skip=(keep * data + revert * cross) / variance,
            out=(error / variance).sqrt(),
            into=variance.rsqrt(),
            level=sigma.log() / 4,
        )

    def euler_step(
        self, x: Tensor, clear: Tensor, cloudy: Tensor, sigma: Tensor, following: Tensor
    ) -> Tensor:
        """One Euler step of the deterministic backward equation.

        With y = (x − cloudy) / s, the equation is dy/dσ = (y − D) / σ, D the estimate of
        clear minus cloudy. The step is written in x, which is finite where s nears 0.

        Args:
            x: Image at noise level *sigma*, B×C×H×W.
            clear: Estimate of the clear image.
            cloudy: Cloudy image.
            sigma: Noise level σ of *x*, positive.
            following: Noise level to step to, less than *sigma*.

        Returns:
            Image at noise level *following*.
        """
        keep, revert, spread = self.mixture(sigma)
        noise = (x - keep * clear - revert * cloudy) / spread
        return self.perturb(clear, cloudy, following, noise)


def seeded_noise(
    shape: Sequence[int], seed: int, device: torch.device | None = None
) -> Tensor:
    """Standard normal noise that depends on the seed and the pixel alone.

    The same pixel gets the same noise whatever the size of the image, the batch and the
    device, and the function compiles and exports, which random generators do not.

    Args:
        shape: Channels C, height H and width W.
        seed: Seed, any integer; its lower 32 bits count.
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

    # Two uniform numbers a pixel, for the Box-Muller transform.
    code = _scrambled(axis(2)[:, None, None, None] ^ (seed & _MASK))
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
