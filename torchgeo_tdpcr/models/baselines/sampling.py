# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The frame of diffusion models, and their noise, which is the same each time."""

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ..inputs import OpticalSARModel, padded

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


class SamplingModel(OpticalSARModel):
    """An :class:`.OpticalSARModel` that samples the clear image, from seeded noise.

    It removes clouds alone. Its network takes images in [-1, 1].

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands S; 0 for a model that sees no radar.
        steps: Number of steps of the sampler.
        seed: Seed of the sampler's noise.

    Raises:
        ValueError: If *steps* is less than 1.

    Example:
        >>> class Noisy(SamplingModel):
        ...     def compute(self, image, image_sar, seed=None):
        ...         return {'reconstruction': image + self.noise(image, seed)}
        ...
        ...     def denoising_error(self, clear, image, image_sar, generator):
        ...         return clear
        >>> model = Noisy(in_channels=13, sar_channels=2, steps=1, seed=5)
        >>> images = torch.rand(1, 13, 5, 7), torch.rand(1, 2, 5, 7)
        >>> first, again, other = (
        ...     model(*images, seed)['reconstruction'] for seed in (None, 5, 6)
        ... )
        >>> torch.equal(first, again), torch.equal(first, other)
        (True, False)
    """

    def __init__(
        self, in_channels: int, sar_channels: int, steps: int, seed: int = 0
    ) -> None:
        super().__init__(in_channels, sar_channels)
        if steps < 1:
            raise ValueError(f'`steps={steps}` must be at least 1.')
        self.steps = steps
        self.seed = seed

    def forward(
        self, image: Tensor, image_sar: Tensor, seed: int | None = None
    ) -> dict[str, Tensor]:
        """Sample the scene beneath the clouds, as any :class:`.OpticalSARModel` does.

        Args:
            image: Cloudy optical image.
            image_sar: SAR image.
            seed: Seed of the noise, the model's own by default.

        Returns:
            ``reconstruction`` (B×C×H×W), in the range that :meth:`compute` says.
        """
        height, width = image.shape[-2:]
        outputs = self.compute(*self.prepared(image, image_sar), seed)
        return {key: value[..., :height, :width] for key, value in outputs.items()}

    @abstractmethod
    def compute(
        self, image: Tensor, image_sar: Tensor, seed: int | None = None
    ) -> dict[str, Tensor]:
        """Run the sampler on inputs that fit.

        Args:
            image: Cloudy optical image, H and W multiples of :attr:`stride`.
            image_sar: SAR image, likewise.
            seed: Seed of the noise, the model's own by default.

        Returns:
            ``reconstruction``, of the inputs' height and width.
        """

    def noise(self, image: Tensor, seed: int | None = None, step: int = 0) -> Tensor:
        """Noise by :func:`seeded_noise`, one for all chips.

        Args:
            image: Image that it is for, B×C×H×W.
            seed: Seed of the noise, the model's own by default.
            step: Which of the independent noises of a seed.

        Returns:
            Noise, 1×C×H×W, float32.
        """
        seed = self.seed if seed is None else seed
        return seeded_noise(image.shape[1:], seed, step, image.device)

    def training_loss(
        self,
        image: Tensor,
        image_sar: Tensor,
        image_clear: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Mean square of :meth:`denoising_error`, over the pixels of the images.

        Args:
            image: Cloudy optical image, B×C×H×W, normalised to [0, 1].
            image_sar: SAR image, B×S×H×W, normalised to [0, 1].
            image_clear: Clear optical image, B×C×H×W, normalised to [0, 1].
            generator: Source of levels and noise, on the device of the images; PyTorch's
                own by default.

        Returns:
            A scalar.

        Raises:
            ValueError: If the inputs do not have the channels that the model was built
                for, or differ in height or width; if *image_clear* differs in shape from
                *image*.
        """
        inputs = self.prepared(image, image_sar)
        if image_clear.shape != image.shape:
            raise ValueError(
                f'`image_clear` has shape {tuple(image_clear.shape)}, but `image` '
                f'{tuple(image.shape)}. Give both the same bands and pixels.'
            )
        clear = 2 * padded(image_clear, self.stride, self.smallest) - 1
        error = self.denoising_error(clear, *inputs, generator)
        height, width = image.shape[-2:]
        return error[..., :height, :width].square().mean()

    @abstractmethod
    def denoising_error(
        self,
        clear: Tensor,
        image: Tensor,
        image_sar: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """By how much the clear image is missed, at a random noise level of each chip.

        Args:
            clear: Clear image in [-1, 1], B×C×H×W, padded as :meth:`prepared` pads.
            image: Cloudy optical image, prepared.
            image_sar: SAR image, likewise.
            generator: Source of levels and noise; PyTorch's own if None.

        Returns:
            The error, B×C×H×W, as it is to be weighted.
        """
