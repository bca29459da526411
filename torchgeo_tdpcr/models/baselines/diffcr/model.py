# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""DiffCR: cloud removal by a conditional diffusion model that predicts the clear image.

X. Zou, K. Li, J. Xing, Y. Zhang, S. Wang, L. Jin, P. Tao: *DiffCR: A Fast Conditional
Diffusion Framework for Cloud Removal from Optical Satellite Images*, IEEE Transactions on
Geoscience and Remote Sensing 62, 2024. https://arxiv.org/abs/2308.04417
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.optim import Adam

from ...inputs import refuse_classes
from ...recipes import Recipe, denoising_losses
from ...registry import register_model
from ..sampling import SamplingModel
from .network import ConditionalUNet
from .process import SigmoidDiffusion, thresholded

#: Adam at a constant rate.
RECIPE = Recipe(losses=denoising_losses, optimizer=partial(Adam, lr=5e-5))


@register_model('diffcr', recipe=RECIPE)
class DiffCR(SamplingModel):
    """Sample the clear image from noise, given the cloudy and the SAR image.

    A diffusion process leads from the clear image to noise (:class:`.SigmoidDiffusion`).
    A U-Net of NAFBlocks learns to estimate the clear image from any stage of it, by mean
    squared error; a second encoder tells it the condition, the cloudy image and SAR
    (:class:`.ConditionalUNet`). The forward pass runs the sampler, DPM-Solver++ with
    dynamic thresholding: 20 moves and a last estimate, so 21 calls of the network, in
    training mode too. Training uses :meth:`training_loss`, which calls it once.

    Published for three cloudy dates of three bands and no SAR: 22.91 M parameters, which
    :class:`.ConditionalUNet` has for those, as it says. The default arguments, for one
    date of 13 bands and two of SAR, give 20,857,997 parameters; 22,956,173 with the layer
    that the authors have but do not use. One call takes 20.1 G multiply-adds at 256×256
    beside 8.8 G for the condition, which are done once, since the condition's features do
    not depend on the noise; the published code does them at each call, to the same end.

    The noise of the sampler depends on the seed and the pixel, not on the place in the
    batch: a chip gives the same result alone and among others, and all chips of a batch
    start from the same noise. Exported with :func:`torch.export.export`, the model takes
    any batch, at the height and width of the example.

    From the paper and the authors' public configuration: the network; sigmoid schedules of
    2000 times for training and 1000 for sampling; images scaled to [-1, 1]; a time uniform
    from the second to the last for each chip, and γ uniform between it and the one before;
    mean squared error of the clear image; the solver, its 20 moves, the thresholding and
    the final estimate; Adam at 5e-5 without weight decay. What the network is told of the
    noise differs between their training, γ, and their sampler, a time from 999 to 0; so it
    does here (*time_input*). The last call is told 0, the γ of pure noise, so its estimate
    is likely to rest on the condition more than on what was sampled.

    Choices, where the descriptions leave things open or do not fit:

    * SAR: its channels are concatenated to those of the cloudy image, as further bands of
      the one date of the condition, and scaled by 2·x − 1 as well. The published model
      sees none, as this one with ``sar_channels=0``. Whether those behind its published
      scores on SEN12MS-CR did, we found said nowhere.
    * Images whose size is no multiple of the stride have their border repeated; the
      authors add zeros. Dynamic thresholding counts the repeated pixels too.
    * The sampler's coefficients are computed in double precision, and it goes on from the
      estimate of the clear image itself, where the authors convert that to noise and back:
      equal but for rounding.
    * The moving average of the weights (0.9999, which the authors keep but do not test)
      is left to the training loop.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands; 0 for a model that sees no radar.
        num_classes: Must be None: the model does not segment.
        width: Number of channels of the finest level, doubled at each further one; a
            multiple of 4.
        depths: Number of blocks of each level: of either encoder, and of the decoder.
        middle: Number of blocks at the coarsest resolution.
        time_channels: Number of cosines and sines of the noise level, even.
        embed_channels: Number of features of the noise level.
        steps: Number of moves of the sampler.
        seed: Seed of the sampler's noise.
        time_input: What the sampler tells the network: 'index', the time, as published, or
            'level', γ, as in training.

    Raises:
        ValueError: If *num_classes* is set, *steps* is less than 1, *time_input* is
            neither, or *width* or *time_channels* is no such multiple.

    Example:
        >>> model = DiffCR(width=8, depths=(1, 1), steps=2)
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
        width: int = 64,
        depths: Sequence[int] = (1, 1, 1, 1),
        middle: int = 1,
        time_channels: int = 64,
        embed_channels: int = 256,
        steps: int = 20,
        seed: int = 0,
        time_input: str = 'index',
    ) -> None:
        super().__init__(in_channels, sar_channels, steps, seed)
        refuse_classes(num_classes, 'DiffCR')
        self.diffusion = SigmoidDiffusion(time_input=time_input)
        self.plan = self.diffusion.plan(steps)
        self.network = ConditionalUNet(
            in_channels,
            in_channels + sar_channels,
            width,
            depths,
            middle,
            time_channels,
            embed_channels,
        )
        self.stride = self.network.stride
        self.to(memory_format=torch.channels_last)

    def compute(
        self, image: Tensor, image_sar: Tensor, seed: int | None = None
    ) -> dict[str, Tensor]:
        """Run the sampler.

        Returns:
            ``reconstruction`` (B×C×H×W, between 0 and 1).
        """
        features = self.network.encode(_condition(image, image_sar))
        noise = self.noise(image, seed)
        x = noise.to(memory_format=torch.channels_last).expand_as(image)
        before = None
        for time_input, move in zip(
            self.plan.time_inputs, self.plan.moves, strict=False
        ):
            clear = self.denoise(x, features, time_input)
            ahead = clear
            if before is not None:
                ahead = clear + move.slope * (clear - before)
            x = move.shrink * x + move.pull * ahead
            before = clear
        clear = self.denoise(x, features, self.plan.time_inputs[-1])
        return {'reconstruction': (clear + 1) / 2}

    def denoise(
        self, x: Tensor, features: Sequence[Tensor], time_input: float
    ) -> Tensor:
        """Estimate the clear image, as the sampler does.

        Args:
            x: Noisy image, B×C×H×W.
            features: Features of the condition, by the network.
            time_input: What the network is told of the noise.

        Returns:
            Clear image in [-1, 1], B×C×H×W, float32 for float32 inputs.
        """
        level = torch.full((1,), time_input, dtype=torch.float32, device=x.device)
        estimate: Tensor = self.network(x, features, level)
        return thresholded(estimate.to(x.dtype))

    def denoising_error(
        self,
        clear: Tensor,
        image: Tensor,
        image_sar: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Error of the estimate, in the units of images in [-1, 1].

        Returns:
            The error, B×C×H×W, float32.
        """
        level = self.diffusion.draw_levels(len(clear), generator, clear.device)
        noise = torch.randn(clear.shape, generator=generator, device=clear.device)
        x = self.diffusion.perturb(clear, level, noise)
        features = self.network.encode(_condition(image, image_sar))
        estimate: Tensor = self.network(x, features, level)
        return estimate.float() - clear.float()


def _condition(image: Tensor, image_sar: Tensor) -> Tensor:
    """The one date that the estimate depends on, in the units of the model."""
    return (2 * torch.cat([image, image_sar], 1) - 1)[:, None]
