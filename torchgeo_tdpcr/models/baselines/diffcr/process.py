# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The diffusion of DiffCR, from a clear image to noise, and the way back.

The way back is the second-order multistep solver for data prediction of C. Lu, Y. Zhou,
F. Bao, J. Chen, C. Li, J. Zhu: *DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
Probabilistic Models*, https://arxiv.org/abs/2211.01095.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor


class Move(NamedTuple):
    """How the solver gets from one time to the next.

    With the estimates of the clear image at this time and at the one before, the image
    there is ``shrink * x + pull * (now + slope * (now - before))``.
    """

    shrink: float
    pull: float
    slope: float


class Plan(NamedTuple):
    """What a sampler does.

    Attributes:
        time_inputs: What the network is told of the noise at each call, one more than
            moves.
        moves: What follows each call but the last, whose estimate is the result.
    """

    time_inputs: tuple[float, ...]
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class SigmoidDiffusion:
    """Diffusion x = √γ·clear + √(1 − γ)·noise, whose level γ falls along a sigmoid.

    Of T times, time i has γ = (s(3) − s(6·i/T − 3)) / (s(3) − s(−3)), s the logistic
    function. The last γ, which would be 0, is a thousandth of the one before.

    The sampler has a grid of times of its own, and leaves out those at the end where
    ln √(γ / (1 − γ)) is below -5.1: with 1000 times, the last one. Between the times that
    remain, ln γ is interpolated linearly.

    Args:
        training_times: Number of times of which training draws.
        sampling_times: Number of times of the sampler's grid.
        time_input: What the sampler tells the network, which learned to be told γ.
            'index', as published: 1000·i/n for the i-th of n times from the clear end, 0 to
            999. 'level': γ.

    Raises:
        ValueError: If a number of times is below 3, or *time_input* is something else.

    Example:
        >>> diffusion = SigmoidDiffusion()
        >>> plan = diffusion.plan(steps=20)
        >>> len(plan.moves), round(plan.time_inputs[0]), plan.time_inputs[-1]
        (20, 999, 0.0)
        >>> [round(g, 3) for g in diffusion.levels(4).tolist()]
        [0.851, 0.5, 0.149, 0.0]
    """

    training_times: int = 2000
    sampling_times: int = 1000
    time_input: str = 'index'

    def __post_init__(self) -> None:
        for name in ('training_times', 'sampling_times'):
            if getattr(self, name) < 3:
                raise ValueError(f'`{name}={getattr(self, name)}` must be at least 3.')
        if self.time_input not in ('index', 'level'):
            raise ValueError(
                f"`time_input={self.time_input!r}` must be 'index' or 'level'."
            )

    def levels(self, count: int) -> Tensor:
        """Share γ of the clear image's energy at each of a number of times.

        Args:
            count: Number of times T.

        Returns:
            γ at times 1 to T, falling, float64.
        """
        times = torch.linspace(-3, 3, count + 1, dtype=torch.float64, device='cpu')
        curve = times.sigmoid()
        levels = (curve[-1] - curve[1:]) / (curve[-1] - curve[0])
        levels[-1] = levels[-2] / 1000
        return levels

    def draw_levels(
        self,
        count: int,
        generator: torch.Generator | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Draw levels for training: uniform between two neighbouring times.

        Args:
            count: Number of chips B.
            generator: Source, on the device; PyTorch's own by default.
            device: Where to put the result.

        Returns:
            γ of each chip, B, float32.
        """
        levels = self.levels(self.training_times).float().to(device)
        last = self.training_times
        time = torch.randint(1, last, (count,), generator=generator, device=device)
        share = torch.rand(count, generator=generator, device=device)
        return torch.lerp(levels[time - 1], levels[time], share)

    def perturb(self, clear: Tensor, level: Tensor, noise: Tensor) -> Tensor:
        """Image at a noise level.

        Args:
            clear: Clear image, B×C×H×W.
            level: γ of each chip, B.
            noise: Standard normal noise of the shape of the image.

        Returns:
            Image of the same shape.
        """
        level = level[:, None, None, None]
        return level.sqrt() * clear + (1 - level).sqrt() * noise

    def plan(self, steps: int) -> Plan:
        """Plan the sampler: times equally far apart, from noise to the first of the grid.

        The first move is of first order, as is the last where there are fewer than ten.

        Args:
            steps: Number of moves; the network is called once more than that.

        Returns:
            The plan.
        """
        logs = [math.log(g) / 2 for g in self.levels(self.sampling_times).tolist()]
        logs = [log for log in logs if log - _log_spread(log) >= -5.1]
        count = len(logs)
        # Places in the grid, from 0, the clearest
        places = [(count - 1) * (1 - k / steps) for k in range(steps + 1)]
        keeps = [_interpolated(logs, place) for place in places]
        ratios = [keep - _log_spread(keep) for keep in keeps]
        moves = []
        for k, (here, there) in enumerate(pairwise(keeps)):
            gain = ratios[k + 1] - ratios[k]
            slope = 0.0
            if k and (k < steps - 1 or steps >= 10):
                slope = gain / (ratios[k] - ratios[k - 1]) / 2
            shrink = math.exp(_log_spread(there) - _log_spread(here))
            moves.append(Move(shrink, -math.exp(there) * math.expm1(-gain), slope))
        if self.time_input == 'index':
            inputs = [1000 * place / count for place in places]
        else:
            inputs = [math.exp(2 * keep) for keep in keeps]
        return Plan(tuple(inputs), tuple(moves))


def thresholded(clear: Tensor, share: float = 0.995) -> Tensor:
    """Bring an estimate of a clear image into [-1, 1], each chip for itself.

    The dynamic thresholding of C. Saharia et al.: *Photorealistic Text-to-Image Diffusion
    Models with Deep Language Understanding*, https://arxiv.org/abs/2205.11487.

    Args:
        clear: Estimate, B×C×H×W.
        share: Quantile of the absolute values that becomes 1 where it exceeds 1; what is
            beyond is clipped.

    Returns:
        Estimate of the same shape.

    Example:
        >>> thresholded(torch.tensor([0.5, -4.0, 2.0, 0.0]).view(1, 1, 2, 2), share=2 / 3)
        tensor([[[[ 0.2500, -1.0000],
                  [ 1.0000,  0.0000]]]])
    """
    sizes = clear.abs().flatten(1)
    rank = share * (sizes.shape[1] - 1)
    # The largest few suffice, and torch.quantile refuses images of 16 million numbers.
    largest = sizes.topk(sizes.shape[1] - math.floor(rank), sorted=True).values
    upper = largest[:, -min(2, largest.shape[1])]
    bound = torch.lerp(largest[:, -1], upper, rank % 1).clamp(min=1)
    bound = bound[:, None, None, None]
    return clear.clamp(-bound, bound) / bound


def _log_spread(log_keep: float) -> float:
    """Logarithm of √(1 − γ), from that of √γ."""
    return math.log(-math.expm1(2 * log_keep)) / 2


def _interpolated(values: list[float], place: float) -> float:
    """Value between the entries of a list."""
    lower = min(int(place), len(values) - 2)
    return values[lower] + (place - lower) * (values[lower + 1] - values[lower])
