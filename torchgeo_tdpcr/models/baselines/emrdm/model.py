# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""EMRDM: cloud removal by a mean-reverting diffusion model.

Y. Liu, W. Li, J. Guan, S. Zhou, Y. Zhang: *Effective Cloud Removal for Remote Sensing
Images by an Improved Mean-Reverting Denoising Model with Elucidated Design Space*,
CVPR 2025. https://arxiv.org/abs/2503.23717
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.optim import AdamW

from ...inputs import refuse_classes
from ...recipes import Recipe, denoising_losses
from ...registry import register_model
from ..sampling import SamplingModel
from .denoiser import HourglassDenoiser
from .process import MeanReverting

#: How the authors train it, at a constant rate. They evaluate a moving average of the
#: weights: :class:`torchgeo_tdpcr.callbacks.WarmedEMA`.
RECIPE = Recipe(
    losses=denoising_losses,
    optimizer=partial(AdamW, lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01),
)


@register_model('emrdm', recipe=RECIPE)
class EMRDM(SamplingModel):
    """Sample the clear image, starting from noise around the cloudy one.

    A diffusion process leads from the clear image to the cloudy one plus noise
    (:class:`.MeanReverting`); an hourglass diffusion transformer that sees the cloudy
    and the SAR image learns to undo it (:class:`.HourglassDenoiser`). The forward pass
    runs the stochastic sampler, by default five Euler steps, each from a noise level that
    fresh noise has doubled, in training mode too; training uses :meth:`training_loss`,
    which calls the network once.

    The default arguments give 39,133,515 parameters. At 256×256 one step takes 192 G
    multiply-adds by the definition of neighbourhood attention and 206.9 G as computed
    here (tiles that share their keys take four times the products of that attention);
    a reconstruction takes five such steps. The output is in channels_last memory format.

    The noise of the sampler depends on the seed, the step and the pixel, not on the place
    in the batch: a chip gives the same result alone and among others, and all chips of a
    batch get the same noise. Exported with :func:`torch.export.export`, the model takes
    any batch, at the height and width of the example.

    As in the authors' code:

    * Transformer: cosine-similarity attention with heads of 64 and one learned scale a
      head, rotary positions on half of each head, RMS norms whose gain the noise level
      sets, GELU gates, no biases, mapping network 768 wide with two layers of 1536.
    * Rotary positions span -1 to 1 over the longer side of the input, so that a
      neighbourhood has other angles in a crop than in a whole chip.
    * Cosines and sines at 384 random frequencies describe the noise level. They are no
      parameters, but a checkpoint holds them, and is no use without.
    * Images: 2·reflectance − 1, SAR: 2·x − 1; the network gets the noisy image, SAR and
      the cloudy image in this order.
    * Dropout of 0.1 in the innermost level and in the mapping network.
    * Process y = clear + 3σ·cloudy + σ·n; second moments of 1 for both images and a
      correlation of 0.9 in the preconditioning; sampler at σ of 100, 20.7, 2.69, 0.149
      and 0.001, each doubled by noise 1.023 times as strong as the process has it.
    * Training: ln σ normal with mean -1.2 and deviation 1.2; squared error over c_out².

    Our own choices:

    * Any height and width: padded inside to multiples of 8, which the authors' network
      needs. The rotary positions span the padded image.
    * The sampler draws its noise as said above; the authors draw anew in every call.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands; 0 for a model that sees no radar.
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
        dropout: Share of features dropped in training, see above.
        steps: Number of Euler steps of the sampler.
        seed: Seed of the sampler's noise.
        process: The diffusion process; by default that of the authors.

    Raises:
        ValueError: If *num_classes* is set, *steps* is less than 1, *kernel_size* is even,
            *dropout* is not in [0, 1), or the widths do not fit together.

    Example:
        >>> model = EMRDM(dims=(8, 16), depths=(1, 1), hidden=(16, 32), head_dim=8,
        ...               mapping_dim=8, mapping_hidden=16, neighbourhood_levels=1)
        >>> image, sar = torch.rand(1, 13, 25, 30), torch.rand(1, 2, 25, 30)
        >>> model.eval()(image, sar)['reconstruction'].shape
        torch.Size([1, 13, 25, 30])
        >>> model.training_loss(image, sar, torch.rand(1, 13, 25, 30)).shape
        torch.Size([])
    """

    sar_optional = True

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
        dropout: float = 0.1,
        steps: int = 5,
        seed: int = 0,
        process: MeanReverting | None = None,
    ) -> None:
        super().__init__(in_channels, sar_channels, steps, seed)
        refuse_classes(num_classes, 'EMRDM')
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
            dropout,
        )
        self.stride = self.denoiser.stride
        self.to(memory_format=torch.channels_last)

    def compute(
        self, image: Tensor, image_sar: Tensor, seed: int | None = None
    ) -> dict[str, Tensor]:
        """Run the sampler.

        Returns:
            ``reconstruction`` (B×C×H×W, not clipped).
        """
        cloudy, sar = _in_model_units(image, image_sar)
        process, count = self.process, self.steps
        sigmas = process.steps(count, image.device)[:, None, None, None, None]
        y = process.start(cloudy, sigmas[0], self.noise(image, seed))
        for i in range(count):
            fresh = self.noise(image, seed, i + 1)
            y, sigma = process.churned(y, cloudy, sigmas[i], fresh, count)
            clear = self.denoise(y, cloudy, sar, sigma)
            y = process.euler_step(y, clear, sigma, sigmas[i + 1])
        return {'reconstruction': (y + 1) / 2}

    def denoise(self, y: Tensor, cloudy: Tensor, sar: Tensor, sigma: Tensor) -> Tensor:
        """Estimate the clear image, by the preconditioned network.

        Args:
            y: Image at noise level *sigma*, B×C×H×W, in the units of the model.
            cloudy: Cloudy image, likewise.
            sar: SAR image, B×S×H×W, likewise.
            sigma: Noise level, B×1×1×1, or 1×1×1×1 for all chips.

        Returns:
            Clear image, B×C×H×W, float32 for float32 inputs.
        """
        factors = self.process.precondition(sigma)
        inputs = torch.cat([factors.into * y, sar, cloudy], 1)
        output: Tensor = self.denoiser(inputs, factors.level.flatten())
        return factors.skip * y + factors.out * output.to(y.dtype)

    def denoising_error(
        self,
        clear: Tensor,
        image: Tensor,
        image_sar: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Error of the estimate, over the size that the preconditioning expects of it.

        Its square is near 1 for a new model where the images are as expected.

        Returns:
            The error, B×C×H×W.
        """
        cloudy, sar = _in_model_units(image, image_sar)
        device = image.device
        level = torch.randn(len(clear), 1, 1, 1, generator=generator, device=device)
        noise = torch.randn(clear.shape, generator=generator, device=device)
        sigma = self.process.training_sigma(level)
        y = self.process.perturb(clear, cloudy, sigma, noise)
        error = self.denoise(y, cloudy, sar, sigma) - clear
        return error / self.process.precondition(sigma).out


def _in_model_units(image: Tensor, image_sar: Tensor) -> tuple[Tensor, Tensor]:
    """Bring the images to the units of the model."""
    return 2 * image - 1, 2 * image_sar - 1
