# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""EMRDM: cloud removal by a mean-reverting diffusion model.

Y. Liu, W. Li, J. Guan, S. Zhou, Y. Zhang: *Effective Cloud Removal for Remote Sensing
Images by an Improved Mean-Reverting Denoising Model with Elucidated Design Space*,
CVPR 2025. https://arxiv.org/abs/2503.23717
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from ...inputs import OpticalSARModel, padded, refuse_classes
from ...recipes import Recipe
from ...registry import register_model
from .denoiser import HourglassDenoiser
from .process import MeanReverting, seeded_noise


def losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Training objective of EMRDM on a batch.

    Args:
        model: The :class:`EMRDM`.
        batch: Batch with ``image``, ``image_sar`` and ``image_clear``.

    Returns:
        ``loss``, see :meth:`EMRDM.training_loss`.
    """
    objective = cast(Callable[..., Tensor], model.training_loss)
    return {'loss': objective(batch['image'], batch['image_sar'], batch['image_clear'])}


#: AdamW as hourglass diffusion transformers are trained, at a fifth of the rate.
RECIPE = Recipe(
    losses=losses,
    optimizer=partial(AdamW, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.01),
)


@register_model('emrdm', recipe=RECIPE)
class EMRDM(OpticalSARModel):
    """Sample the clear image, starting from noise around the cloudy one.

    A diffusion process leads from the clear image to the cloudy one plus noise
    (:class:`.MeanReverting`); an hourglass diffusion transformer that sees the cloudy
    and the SAR image learns to undo it (:class:`.HourglassDenoiser`). The forward pass
    runs the deterministic sampler, five Euler steps by default, in training mode too;
    training uses :meth:`training_loss`, which calls the network once.

    The default arguments give 39,133,515 parameters. At 256×256 one step takes 192 G
    multiply-adds by the definition of neighbourhood attention and 206.9 G as computed
    here (tiles that share their keys take four times the products of that attention);
    a reconstruction takes five such steps. The output is in channels_last memory format.

    The noise of the sampler depends on the seed and the pixel, not on the place in the
    batch: a chip gives the same result alone and among others, and all chips of a batch
    start from the same noise. Exported with :func:`torch.export.export`, the model takes
    any batch, at the height and width of the example.

    Choices, where the description of the model leaves things open:

    * Transformer: cosine-similarity attention with heads of 64 and one learned scale a
      head, rotary positions on half of each head, RMS norms whose gain the noise level
      sets, GELU gates, no biases, mapping network 768 wide with two layers of 1536: the
      reading of its paper that gives the known number of parameters.
    * Rotary positions count pixels, with 256 of them for the range of -1 to 1, so that a
      neighbourhood looks the same in a chip of any size.
    * Fixed frequencies, not random ones, describe the noise level.
    * Images: 5·reflectance − 1, so that 0.2 is zero; SAR: 2·x − 1. Second moments, rough
      estimates from typical reflectances: a root mean square of 0.5 (EDM's value) for
      clear images and 1 for cloudy ones, and no correlation between them about zero.
    * Process: noise level and share of the clear image tied so that the noise around
      the mean tends to a constant, 0.5 (0.1 in reflectance); levels 0.002 to 80 with
      exponent 7, as in EDM.
    * Training: times uniform between 0 and 1, so that each step of the sampler gets its
      share; squared error weighted by 1/c_out², as in EDM.
    * Optimizer: AdamW at 1e-4.
    * The moving average of the weights is left to the training loop.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands.
        num_classes: Must be None: the model does not segment.
        dims: Width of each level, finest first, multiples of *head_dim*.
        depths: Number of blocks of each level, each way.
        hidden: Width of the feed-forward layers of each level.
        kernel_size: Window of the neighbourhood attention, odd.
        neighbourhood_levels: Number of outer levels that use it.
        head_dim: Width of an attention head, a multiple of 8.
        mapping_dim: Width of the features of the noise level, even.
        mapping_hidden: Width of the feed-forward layers that make them.
        mapping_depth: Number of these layers.
        steps: Number of Euler steps of the sampler.
        seed: Seed of the sampler's noise.
        process: The diffusion process; by default the one described above.

    Raises:
        ValueError: If *num_classes* is set, *steps* is less than 1, *kernel_size* is even,
            or the widths do not fit together.

    Example:
        >>> model = EMRDM(dims=(8, 16), depths=(1, 1), hidden=(16, 32), head_dim=8,
        ...               mapping_dim=8, mapping_hidden=16, neighbourhood_levels=1)
        >>> image, sar = torch.rand(1, 13, 25, 30), torch.rand(1, 2, 25, 30)
        >>> model.eval()(image, sar)['reconstruction'].shape
        torch.Size([1, 13, 25, 30])
        >>> model.training_loss(image, sar, torch.rand(1, 13, 25, 30)).shape
        torch.Size([])
    """

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        dims: Sequence[int] = (128, 256, 384, 768),
        depths: Sequence[int] = (2, 2, 2, 2),
        hidden: Sequence[int] = (256, 512, 768, 1536),
        kernel_size: int = 7,
        neighbourhood_levels: int = 2,
        head_dim: int = 64,
        mapping_dim: int = 768,
        mapping_hidden: int = 1536,
        mapping_depth: int = 2,
        steps: int = 5,
        seed: int = 0,
        process: MeanReverting | None = None,
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'EMRDM')
        if steps < 1:
            raise ValueError(f'`steps={steps}` must be at least 1.')
        self.steps = steps
        self.seed = seed
        self.process = MeanReverting() if process is None else process
        self.denoiser = HourglassDenoiser(
            2 * in_channels + sar_channels,
            in_channels,
            dims,
            depths,
            hidden,
            kernel_size,
            neighbourhood_levels,
            head_dim,
            mapping_dim,
            mapping_hidden,
            mapping_depth,
        )
        self.stride = self.denoiser.stride
        self.to(memory_format=torch.channels_last)

    def forward(
        self, image: Tensor, image_sar: Tensor, seed: int | None = None
    ) -> dict[str, Tensor]:
        """Sample the scene beneath the clouds, as any :class:`.OpticalSARModel` does.

        Args:
            image: Cloudy optical image.
            image_sar: SAR image.
            seed: Seed of the noise, the model's own by default.

        Returns:
            ``reconstruction`` (B×C×H×W, not clipped).
        """
        height, width = image.shape[-2:]
        outputs = self.compute(*self.prepared(image, image_sar), seed)
        return {key: value[..., :height, :width] for key, value in outputs.items()}

    def compute(
        self, image: Tensor, image_sar: Tensor, seed: int | None = None
    ) -> dict[str, Tensor]:
        """Run the sampler.

        Returns:
            ``reconstruction`` (B×C×H×W, not clipped).
        """
        cloudy, sar = _in_model_units(image, image_sar)
        seed = self.seed if seed is None else seed
        noise = seeded_noise(cloudy.shape[1:], seed, image.device)
        sigmas = self.process.steps(self.steps, image.device)[:, None, None, None, None]
        # The unknown clear image is left out: its share here is below one per cent.
        x = cloudy + self.process.mixture(sigmas[0]).spread * noise
        for i in range(self.steps):
            clear = self.denoise(x, cloudy, sar, sigmas[i])
            x = self.process.euler_step(x, clear, cloudy, sigmas[i], sigmas[i + 1])
        return {'reconstruction': (x + 1) / 5}

    def denoise(self, x: Tensor, cloudy: Tensor, sar: Tensor, sigma: Tensor) -> Tensor:
        """Estimate the clear image, by the preconditioned network.

        Args:
            x: Image at noise level *sigma*, B×C×H×W, in the units of the model.
            cloudy: Cloudy image, likewise.
            sar: SAR image, B×S×H×W, likewise.
            sigma: Noise level, B×1×1×1, or 1×1×1×1 for all chips.

        Returns:
            Clear image, B×C×H×W, float32 for float32 inputs.
        """
        factors = self.process.precondition(sigma)
        inputs = torch.cat([factors.into * x, cloudy, sar], 1)
        output: Tensor = self.denoiser(inputs, factors.level.flatten())
        return factors.skip * x + factors.out * output.to(x.dtype)

    def training_loss(
        self,
        image: Tensor,
        image_sar: Tensor,
        image_clear: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Weighted squared error of the estimate at a random time of each chip.

        Args:
            image: Cloudy optical image, B×C×H×W, normalised to [0, 1].
            image_sar: SAR image, B×S×H×W, normalised to [0, 1].
            image_clear: Clear optical image, B×C×H×W, normalised to [0, 1].
            generator: Source of times and noise, on the device of the images; PyTorch's
                own by default.

        Returns:
            Scalar, near 1 for a new model where the images are as the preconditioning
            expects.

        Raises:
            ValueError: If the inputs do not have the channels that the model was built
                for, or differ in height or width; if *image_clear* differs in shape from
                *image*.
        """
        cloudy, sar = _in_model_units(*self.prepared(image, image_sar))
        if image_clear.shape != image.shape:
            raise ValueError(
                f'`image_clear` has shape {tuple(image_clear.shape)}, but `image` '
                f'{tuple(image.shape)}. Give both the same bands and pixels.'
            )
        clear = 5 * padded(image_clear, self.stride) - 1
        device = image.device
        time = torch.rand(len(clear), 1, 1, 1, generator=generator, device=device)
        noise = torch.randn(clear.shape, generator=generator, device=device)
        sigma = self.process.sigma(time)
        x = self.process.perturb(clear, cloudy, sigma, noise)
        error = (self.denoise(x, cloudy, sar, sigma) - clear)[
            ..., : image.shape[-2], : image.shape[-1]
        ]
        return (error / self.process.precondition(sigma).out).square().mean()


def _in_model_units(image: Tensor, image_sar: Tensor) -> tuple[Tensor, Tensor]:
    """Bring the images to the units of the model."""
    return 5 * image - 1, 2 * image_sar - 1
