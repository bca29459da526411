# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Handing on what is clear, by how far restored and observed image agree."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..around import mean_around, most_around
from ..nafblock import MirroredConv2d
from .blend import blended

#: Pixels of half the resolution around what is not clear that are not, either.
_MARGIN = 2
#: Weights below this are of thick clouds, around which nothing is handed on within so many
#: pixels of half the resolution; and over how many that fades.
_THICK, _AROUND, _FADE = 0.1, 10, 3
#: Part of the images that training restores without the cloudy one.
_DROPPED = 0.5


class ClearGate(nn.Module):
    r"""Hand on observed pixels where they are clear: :math:`\hat I = R + w (I_c - R)`.

    Where the cloudy image :math:`I_c` and the restored one :math:`R` agree there is no
    cloud, and what was observed is more exact than what was restored. Two 3×3 convolutions
    of :math:`I_c`, :math:`I_c - R` and the prompt, at half the resolution, tell one weight
    :math:`w` for all bands, so that no band is handed on by itself and colours stay what
    they are. Within four pixels of what is not clear little is handed on, and within twenty
    of a thick cloud nothing: haze there would be a pale rim. It is no part of the paper.

    Nothing flows back from it but through :math:`R`: it can be learnt on a model that is
    trained. In training :math:`w` is zero for half of the images, drawn anew each time, so
    that a model that is trained with it still learns to restore.

    Args:
        channels: Number of optical bands C.
        prompt_channels: Number of prompt channels, 0 where there is no prompt.
        hidden: Width in between.

    Example:
        >>> gate = ClearGate(13, 8).eval()
        >>> restored, cloudy = torch.zeros(1, 13, 8, 8), torch.ones(1, 13, 8, 8)
        >>> gate(restored, cloudy, torch.rand(1, 8, 8, 8)).mean().item() < 0.5
        True
    """

    def __init__(
        self, channels: int, prompt_channels: int = 0, hidden: int = 24
    ) -> None:
        super().__init__()
        self.mix = MirroredConv2d(2 * channels + prompt_channels, hidden)
        self.look_around = MirroredConv2d(hidden, hidden)
        self.weight = nn.Conv2d(hidden, 1, 1)
        # Nothing is handed on before it is known to be clear
        nn.init.zeros_(self.weight.weight)
        nn.init.constant_(self.weight.bias, -2.0)  # type: ignore[arg-type]

    def forward(
        self, restored: Tensor, image: Tensor, prompt: Tensor | None = None
    ) -> Tensor:
        """Hand on what is clear.

        Args:
            restored: Restored image, B×C×H×W, H and W at least 4.
            image: Cloudy optical image, B×C×H×W.
            prompt: Prompt, B×C_p×H×W; None where there is none.

        Returns:
            The image, B×C×H×W, in the precision of the cloudy image.
        """
        apart = image - restored.to(image.dtype)
        maps = [image, apart] if prompt is None else [image, apart, prompt]
        coarse = F.avg_pool2d(torch.cat(maps, 1).detach(), 2)
        coarse = F.gelu(self.look_around(F.gelu(self.mix(coarse))))
        # In mixed precision, what is handed on must not be rounded
        clear = torch.sigmoid(self.weight(coarse).to(image.dtype))
        near = most_around((clear < _THICK).to(clear.dtype), _AROUND)
        least = -most_around(-clear, _MARGIN)
        weight = mean_around(least, _MARGIN) * (1 - mean_around(near, _FADE))
        weight = F.interpolate(
            weight, image.shape[-2:], mode='bilinear', align_corners=False
        )
        return blended(restored, image, weight, _DROPPED if self.training else 0)
