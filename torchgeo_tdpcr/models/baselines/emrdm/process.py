# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The diffusion of EMRDM: from a clear image to noise around the cloudy one.

The design space (schedule, preconditioning, weights, stochastic sampler) is that of
T. Karras, M. Aittala, T. Aila, S. Laine: *Elucidating the Design Space of
Diffusion-Based Generative Models*, NeurIPS 2022, https://arxiv.org/abs/2206.00364
(EDM), with a mean that moves to the cloudy image.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Preconditioning(NamedTuple):
    """Factors around the network F, and the noise level that it is told.

    The estimate of the clear image is ``skip * y + out * F(into * y, level)``.
    """

    skip: Tensor
    out: Tensor
    into: Tensor
    level: Tensor


@dataclass(frozen=True, slots=True)
class MeanReverting:
    """Mean-reverting process y = clear + k·cloudy + σ·n, with k = *reversion*·σ.

    The noise level σ grows from *sigma_min* to *sigma_max*. Divided by 1 + k, the image
    goes from the clear to the cloudy one, and the noise around it to 1 / *reversion*.
    All moments are about zero, in the units of the model.

    Args:
        reversion: How fast the mean moves to the cloudy image, k / σ.
        sigma_min: Least noise level of the sampler.
        sigma_max: Greatest noise level of the sampler.
        rho: Exponent of the sampler's schedule.
        sigma_data: Root mean square of clear images.
        sigma_mean: Root mean square of cloudy images.
        correlation: Mean of clear times cloudy, over both root mean squares.
        churn: Relative rise of the noise level by fresh noise, summed over the steps of
            the sampler; 0 makes it deterministic.
        churn_noise: Standard deviation of the fresh noise, as a factor.
        log_mean: Mean of ln σ in training.
        log_std: Standard deviation of ln σ in training.

    Raises:
        ValueError: If a level, moment or factor is not positive or *churn* is negative;
            if *sigma_min* is not below *sigma_max*, or *correlation* is not between -1
            and 1.

    Example:
        >>> process = MeanReverting()
        >>> [round(float(s), 2) for s in process.steps(5)]
        [100.0, 20.66, 2.69, 0.15, 0.0, 0.0]
        >>> process.perturb(*torch.tensor([0.5, 0.2, 2.0, 0.1])).item()
        1.9000000953674316
    """

    reversion: float = 3.0
    sigma_min: float = 0.001
    sigma_max: float = 100.0
    rho: float = 7.0
    sigma_data: float = 1.0
    sigma_mean: float = 1.0
    correlation: float = 0.9
    churn: float = 5.0
    churn_noise: float = 1.023
    log_mean: float = -1.2
    log_std: float = 1.2

    def __post_init__(self) -> None:
        for name in (
            'reversion',
            'sigma_min',
            'rho',
            'sigma_data',
            'sigma_mean',
            'churn_noise',
            'log_std',
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f'`{name}={getattr(self, name)}` must be positive.')
        if self.churn < 0:
            raise ValueError(f'`churn={self.churn}` must be 0 or more.')
        if self.sigma_max <= self.sigma_min:
            raise ValueError(
                f'`sigma_max={self.sigma_max}` must exceed '
                f'`sigma_min={self.sigma_min}`.'
            )
        if not -1 < self.correlation < 1:
            raise ValueError(
                f'`correlation={self.correlation}` must lie between -1 and 1.'
            )

    def steps(self, count: int, device: torch.device | None = None) -> Tensor:
        """Noise levels between which a sampler steps, and 0 to end on.

        Args:
            count: Number of steps.
            device: Where to put the result.

        Returns:
            Noise levels from *sigma_max* down, count + 1.
        """
        time = torch.linspace(1, 0, count, device=device)
        low, high = (s ** (1 / self.rho) for s in (self.sigma_min, self.sigma_max))
        sigmas = (low + time * (high - low)) ** self.rho
        return torch.cat([sigmas, sigmas.new_zeros(1)])

    def training_sigma(self, normal: Tensor) -> Tensor:
        """Noise levels to train at: those of a normal distribution of ln σ.

        Args:
            normal: Standard normal numbers, any shape.

        Returns:
            σ of the same shape.
        """
        return (self.log_mean + self.log_std * normal).exp()

    def perturb(
        self, clear: Tensor, cloudy: Tensor, sigma: Tensor, noise: Tensor
    ) -> Tensor:
        """Image at a noise level.

        Args:
            clear: Clear image, B×C×H×W.
            cloudy: Cloudy image of the same shape.
            sigma: Noise level σ, broadcastable to the images.
            noise: Standard normal noise, broadcastable to the images.

        Returns:
            The image y, of the same shape.
        """
        return clear + self.start(cloudy, sigma, noise)

    def start(self, cloudy: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        """Image to start a sampler from: all but the clear image, which is unknown.

        Args:
            cloudy: Cloudy image, B×C×H×W.
            sigma: Noise level σ, broadcastable to the image.
            noise: Standard normal noise, broadcastable to the image.

        Returns:
            The image y without its clear part, of the same shape.
        """
        return sigma * (self.reversion * cloudy + noise)

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
        revert = self.reversion * sigma
        data, mean = self.sigma_data**2, self.sigma_mean**2
        cross = self.correlation * self.sigma_data * self.sigma_mean
        variance = data + revert**2 * mean + 2 * revert * cross + sigma**2
        # The variance of the error, multiplied out so that nothing cancels.
        error = revert**2 * (data * mean - cross**2) + sigma**2 * data
        return Preconditioning(
            skip=(data + revert * cross) / variance,
            out=(error / variance).sqrt(),
            into=variance.rsqrt(),
            level=sigma.log() / 4,
        )

    def churned(
        self, y: Tensor, cloudy: Tensor, sigma: Tensor, noise: Tensor, count: int
    ) -> tuple[Tensor, Tensor]:
        """Raise the noise level by fresh noise, and the mean with it.

        EDM keeps the rise below a factor of √2; this does not.

        Args:
            y: Image at noise level *sigma*, B×C×H×W.
            cloudy: Cloudy image.
            sigma: Noise level σ.
            noise: Fresh standard normal noise, broadcastable to the images.
            count: Number of steps of the sampler.

        Returns:
            Image at the raised noise level, and that level.
        """
        raised = sigma * (1 + self.churn / count)
        spread = self.churn_noise * (raised**2 - sigma**2).sqrt()
        moved = y + self.reversion * (raised - sigma) * cloudy + spread * noise
        return moved, raised

    def euler_step(
        self, y: Tensor, clear: Tensor, sigma: Tensor, following: Tensor
    ) -> Tensor:
        """One Euler step of the backward equation dy/dσ = (y − clear) / σ.

        Args:
            y: Image at noise level *sigma*, B×C×H×W.
            clear: Estimate of the clear image.
            sigma: Noise level σ of *y*, positive.
            following: Noise level to step to, less than *sigma*.

        Returns:
            Image at noise level *following*.
        """
        return clear + following / sigma * (y - clear)
