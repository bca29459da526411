# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How far off a restored image may be, pixel by pixel."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nafblock import MirroredConv2d


class UncertaintyHead(nn.Module):
    r"""Expected absolute error of the restored image, a mean over the bands.

    :math:`b = \operatorname{softplus}(\mathrm{conv}_{1 \times 1}(\operatorname{GELU}
    (\mathrm{conv}_{3 \times 3}([X, P]))))`, :math:`X` the finest map of the decoder and
    :math:`P` the prompt. It is no part of the paper. Nothing flows back from it: the
    restoration is the same with and without. Trained by
    :class:`~torchgeo_tdpcr.JointLoss`, as the scale of a Laplace distribution, which is
    the mean of the absolute error.

    Args:
        channels: Width of the decoder's finest map.
        prompt_channels: Number of prompt channels, 0 where there is no prompt.
        hidden: Width in between.
        factor: What is predicted is multiplied by this number, which a calibration on other
            data than those of training finds.

    Raises:
        ValueError: If *factor* is not above 0.

    Example:
        >>> head = UncertaintyHead(16, 8)
        >>> expected = head(torch.rand(1, 16, 4, 4), torch.rand(1, 8, 4, 4))
        >>> expected.shape, bool((expected > 0).all())
        (torch.Size([1, 1, 4, 4]), True)
    """

    def __init__(
        self,
        channels: int,
        prompt_channels: int = 0,
        hidden: int = 8,
        factor: float = 1.0,
    ) -> None:
        super().__init__()
        if not factor > 0:
            raise ValueError(f'`uncertainty_factor={factor}` must be above 0.')
        self.factor = factor
        self.mix = MirroredConv2d(channels + prompt_channels, hidden)
        self.scale = nn.Conv2d(hidden, 1, 1)
        # A few hundredths at first, as models err after some training
        nn.init.constant_(self.scale.bias, -3.0)  # type: ignore[arg-type]

    def forward(self, features: Tensor, prompt: Tensor | None = None) -> Tensor:
        """Tell how far off the restored image may be.

        Args:
            features: Finest map of the decoder, B×C×H×W.
            prompt: Prompt, B×C_p×H×W; None where there is none.

        Returns:
            Expected absolute error in units of the image, B×1×H×W, above 0, in float32.
        """
        maps = [features] if prompt is None else [features, prompt]
        hidden = F.gelu(self.mix(torch.cat(maps, 1).detach()))
        # Softplus of a large negative number is 0 in half precision
        expected: Tensor = F.softplus(self.scale(hidden).float()) + 1e-4
        return expected * self.factor
