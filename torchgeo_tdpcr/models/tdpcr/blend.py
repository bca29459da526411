# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Blending what was restored with what was seen, as the prompt says."""

import torch
from torch import Tensor, nn

from ..nafblock import MirroredConv2d


def blended(restored: Tensor, image: Tensor, weight: Tensor, dropped: float) -> Tensor:
    """Blend restored images with cloudy ones.

    Args:
        restored: Restored images, B×C×H×W.
        image: Cloudy images, B×C×H×W.
        weight: Those of the cloudy images, B×C×H×W or B×1×H×W.
        dropped: Part of the images, drawn anew each time, of which the cloudy ones have no
            weight.

    Returns:
        The blend, B×C×H×W, in the precision of the cloudy images.
    """
    if dropped:
        weight = weight * (
            torch.rand(len(image), 1, 1, 1, device=image.device) >= dropped
        )
    # In mixed precision, what is handed on must not be rounded
    return torch.lerp(restored.to(image.dtype), image, weight.to(image.dtype))


class PromptBlend(nn.Module):
    r"""Hand on what the prompt holds for clear: :math:`\hat I = R + w \odot (I_c - R)`.

    :math:`w = \sigma(5 \cdot \mathrm{conv}_{3 \times 3}(P))` for each band and pixel,
    :math:`R` the decoder's image plus :math:`\mathrm{conv}_{3 \times 3}(P)`. It is no
    part of the paper. It makes the prompt mean what the paper says of it: where the
    optical image is corrupted, and how strongly.

    In training :math:`w` is zero for some of the images, drawn anew each time. Else the
    decoder would never learn what lies under thin cloud, where it is easiest to hand on
    a part of it.

    Args:
        channels: Number of optical bands C.
        prompt_channels: Number of prompt channels :math:`C_p`.
        dropped: Part of the images that training restores without the cloudy one.

    Example:
        >>> blend = PromptBlend(13).eval()
        >>> restored, cloudy = torch.zeros(1, 13, 4, 4), torch.ones(1, 13, 4, 4)
        >>> blend(restored, cloudy, torch.rand(1, 8, 4, 4)).mean().item()
        0.5
    """

    def __init__(
        self, channels: int, prompt_channels: int = 8, dropped: float = 0.5
    ) -> None:
        super().__init__()
        self.weight = MirroredConv2d(prompt_channels, channels)
        self.addition = MirroredConv2d(prompt_channels, channels)
        self.dropped = dropped
        for layer in (self.weight, self.addition):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, restored: Tensor, image: Tensor, prompt: Tensor) -> Tensor:
        """Blend two images.

        Args:
            restored: What the decoder restored, B×C×H×W.
            image: Cloudy optical image, B×C×H×W.
            prompt: Prompt, B×C_p×H×W.

        Returns:
            The blend, B×C×H×W, in the precision of the cloudy image.
        """
        restored = restored + self.addition(prompt)
        # Five times as steep, so that it can tell cloud from clear early in training
        weight = torch.sigmoid(5 * self.weight(prompt))
        return blended(restored, image, weight, self.dropped if self.training else 0)
