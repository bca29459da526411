# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The degradation prompt: where, and how strongly, the optical image is corrupted.

Eq. 1 of the TDP-CR paper (https://arxiv.org/abs/2601.12052).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nafblock import MirroredConv2d


class PromptGenerator(nn.Module):
    r"""Three 3×3 convolutions with GELU between them: :math:`P = g_\theta(I_c)` (Eq. 1).

    The paper gives the three layers and the GELUs; the hidden width of 32 and no
    activation after the last layer are what reproduces its Table I.

    Args:
        in_channels: Number of optical bands C.
        prompt_channels: Number of prompt channels :math:`C_p`.
        hidden_channels: Width of the two inner layers.

    Example:
        >>> import torch
        >>> PromptGenerator(13)(torch.rand(1, 13, 32, 32)).shape
        torch.Size([1, 8, 32, 32])
    """

    def __init__(
        self, in_channels: int, prompt_channels: int = 8, hidden_channels: int = 32
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            MirroredConv2d(in_channels, hidden_channels),
            nn.GELU(),
            MirroredConv2d(hidden_channels, hidden_channels),
            nn.GELU(),
            MirroredConv2d(hidden_channels, prompt_channels),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Generate the prompt.

        Args:
            image: Cloudy optical image, B×C×H×W, in [0, 1].

        Returns:
            Prompt, B×C_p×H×W, unbounded.
        """
        prompt: Tensor = self.layers(image)
        return prompt


class BlindPrompt(nn.Module):
    """A prompt that sees no image: the control for :class:`PromptGenerator`.

    A learned map, the same for every image, resized to it. What a model with it does
    worse than one with a prompt generator is what the prompt owes to the image.

    Args:
        prompt_channels: Number of prompt channels :math:`C_p`.
        size: Height and width of the learned map.

    Example:
        >>> BlindPrompt()(torch.rand(2, 13, 32, 48)).shape
        torch.Size([2, 8, 32, 48])
    """

    def __init__(self, prompt_channels: int = 8, size: int = 16) -> None:
        super().__init__()
        self.map = nn.Parameter(0.1 * torch.randn(1, prompt_channels, size, size))

    def forward(self, image: Tensor) -> Tensor:
        """Return the map.

        Args:
            image: Any image, B×C×H×W; only its size is used.

        Returns:
            Prompt, B×C_p×H×W.
        """
        size = image.shape[-2:]
        prompt = F.interpolate(self.map, size, mode='bilinear', align_corners=False)
        return prompt.expand(len(image), -1, -1, -1)
