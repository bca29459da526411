# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Window attention of two streams at once, in which SAR corrects the optical weights.

Windows, their cyclic shift and its mask are after Z. Liu et al.: *Swin Transformer:
Hierarchical Vision Transformer using Shifted Windows*, ICCV 2021.
https://arxiv.org/abs/2103.14030
"""

import torch
from timm.layers import RelPosBias
from torch import Tensor, nn

#: What the mask adds to the logit of two pixels that only the shift brought together.
APART = -100.0


def to_windows(x: Tensor, window: int) -> Tensor:
    """Cut maps into windows.

    Args:
        x: B×H×W×C; H and W are multiples of *window*.
        window: Height and width w of a window.

    Returns:
        (B·windows)×w²×C: windows and pixels in reading order.

    Example:
        >>> to_windows(torch.rand(2, 8, 12, 3), 4).shape
        torch.Size([12, 16, 3])
    """
    x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def from_windows(x: Tensor, window: int, height: int, width: int) -> Tensor:
    """Put windows together again, the inverse of :func:`to_windows`.

    Args:
        x: (B·windows)×w²×C.
        window: Height and width w of a window.
        height: H, a multiple of *window*.
        width: W, likewise.

    Returns:
        B×H×W×C.

    Example:
        >>> from_windows(torch.rand(12, 16, 3), 4, 8, 12).shape
        torch.Size([2, 8, 12, 3])
    """
    x = x.unflatten(0, (-1, height // window, width // window))
    x = x.unflatten(3, (window, window)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)


def shift_mask(x: Tensor, window: int, shift: int) -> Tensor:
    """Tell apart what was no neighbour before a map was rolled.

    Rolled by *shift* up and to the left, the last windows hold what came from the other
    end of the map.

    Args:
        x: A map of the size, type and device that the mask is for, B×C×H×W; H and W are
            multiples of *window*.
        window: Height and width w of a window.
        shift: By how many pixels the map is rolled, less than a window.

    Returns:
        Windows×w²×w²: 0 for two pixels of one region, :data:`APART` for others.

    Example:
        >>> mask = shift_mask(torch.empty(1, 1, 4, 4), window=2, shift=1)
        >>> [int((w == 0).sum()) for w in mask]  # regions: 1, 2, 2 and 4
        [16, 8, 8, 4]
    """
    height, width = x.shape[-2:]
    rows, columns = (
        (place >= size - window).long() + (place >= size - shift)
        for size, place in (
            (n, torch.arange(n, device=x.device)) for n in (height, width)
        )
    )
    region = 3 * rows[:, None] + columns
    region = to_windows(region[None, ..., None], window)[..., 0]
    apart = region[:, :, None] != region[:, None]
    return APART * apart.to(x.dtype)


class CoupledAttention(nn.Module):
    """Two window attentions side by side; optical weights move towards those of SAR.

    Each stream has queries, keys and values of its own. What the optical logits are
    short of the SAR logits is added to them through a gate, for each pair of pixels and
    head: beneath a cloud the SAR image still shows what is alike.

    Args:
        channels: Number of channels C of each stream, a multiple of *heads*.
        heads: Number of attention heads.
        window: Height and width of a window.
        shift: By how many pixels both maps are rolled up and to the left, less than a
            window. 0: not at all.

    Example:
        >>> attend = CoupledAttention(8, heads=2, window=4, shift=2)
        >>> optical, sar = torch.rand(2, 1, 8, 12, 8)
        >>> mask = shift_mask(torch.empty(1, 8, 8, 12), 4, 2)
        >>> [x.shape for x in attend(optical, sar, mask)]
        [torch.Size([1, 8, 12, 8]), torch.Size([1, 8, 12, 8])]
    """

    def __init__(
        self, channels: int, heads: int = 8, window: int = 8, shift: int = 0
    ) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.shift = shift
        self.scale = (channels // heads) ** -0.5
        self.optical_qkv = nn.Linear(channels, 3 * channels)
        self.sar_qkv = nn.Linear(channels, 3 * channels)
        self.position = RelPosBias((window, window), heads)
        self.gate = nn.Conv2d(heads, heads, 1)
        self.optical_project = nn.Linear(channels, channels)
        self.sar_project = nn.Linear(channels, channels)

    def forward(
        self, optical: Tensor, sar: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attend in both streams.

        Args:
            optical: Optical feature, B×H×W×C; H and W are multiples of the window.
            sar: SAR feature, B×H×W×C.
            mask: :func:`shift_mask` of this size; None without a shift.

        Returns:
            Mixed optical and SAR feature, B×H×W×C each.
        """
        optical_q, optical_k, optical_v = self._split(optical, self.optical_qkv)
        sar_q, sar_k, sar_v = self._split(sar, self.sar_qkv)
        optical_logits = self.scale * optical_q @ optical_k.transpose(-2, -1)
        sar_logits = self.scale * sar_q @ sar_k.transpose(-2, -1)
        # Bias and mask are the same in both, so the difference is that without them.
        difference = sar_logits - optical_logits
        optical_logits = optical_logits + difference * self.gate(difference).sigmoid()
        bias = self.position.get_bias()
        if mask is not None:
            bias = bias + mask[:, None]
        size = optical.shape[1], optical.shape[2]
        return (
            self._mix(optical_logits, bias, optical_v, self.optical_project, size),
            self._mix(sar_logits, bias, sar_v, self.sar_project, size),
        )

    def _split(self, x: Tensor, qkv: nn.Linear) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B·windows)×heads×w²×(C/heads)."""
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        x = qkv(to_windows(x, self.window)).unflatten(-1, (3, self.heads, -1))
        q, k, v = x.permute(2, 0, 3, 1, 4).unbind()
        return q, k, v

    def _mix(
        self,
        logits: Tensor,
        bias: Tensor,
        value: Tensor,
        project: nn.Linear,
        size: tuple[int, int],
    ) -> Tensor:
        """Mix the values, and put the windows where they were."""
        logits = logits.unflatten(0, (-1, bias.shape[0])) + bias
        weights = logits.softmax(-1).flatten(0, 1).to(value.dtype)
        x = project((weights @ value).transpose(1, 2).flatten(2))
        x = from_windows(x, self.window, *size)
        if self.shift:
            x = x.roll((self.shift, self.shift), (1, 2))
        return x
