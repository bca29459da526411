# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Fusing optical and SAR features: the prompt-guided block, and plain concatenation.

Eqs. 2–8 of the TDP-CR paper (https://arxiv.org/abs/2601.12052); the selective-kernel
attention behind Eq. 3 is after X. Li et al., CVPR 2019.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nafblock import MirroredConv2d

#: Which branches of prompt-guided fusion are present (Table III-A of the paper).
Branches = Literal['both', 'global', 'local']


class PromptGuidedFusion(nn.Module):
    r"""Weigh optical against SAR per channel and pixel, and refine the optical stream.

    The attention weights of the last forward pass without gradient (evaluation under
    ``torch.no_grad``) stay readable in :attr:`attention` when
    :attr:`keep_attention` is set.

    Args:
        channels: Number of channels C of both features.
        prompt_channels: Number of channels of what conditions the local branch,
            the prompt by default.
        branches: ``'both'``, or one of ``'global'`` and ``'local'`` alone.
        reduction: Bottleneck ratio of the global branch.

    Raises:
        ValueError: If *branches* is none of the three.

    Example:
        >>> fuse = PromptGuidedFusion(32)
        >>> optical, sar = torch.randn(2, 1, 32, 64, 64)
        >>> fuse(optical, sar, torch.randn(1, 8, 128, 128)).shape
        torch.Size([1, 32, 64, 64])
    """

    def __init__(
        self,
        channels: int,
        prompt_channels: int = 8,
        branches: Branches = 'both',
        reduction: int = 16,
    ) -> None:
        super().__init__()
        if branches not in ('both', 'global', 'local'):
            raise ValueError(
                f"`branches={branches!r}`: choose 'both', 'global' or 'local'."
            )
        #: Whether to keep the attention weights of each forward pass.
        self.keep_attention = False
        #: α of Eq. 6, B×2×C×H×W (optical, SAR), of the last pass; or None.
        self.attention: Tensor | None = None
        self.global_branch: nn.Sequential | None = None
        self.local_branch: nn.Sequential | None = None
        if branches != 'local':
            # At 1/16 the narrow stages would squeeze through 2 channels; a floor of 16
            # is what reproduces Table I.
            narrow = max(channels // reduction, 16)
            self.global_branch = nn.Sequential(
                nn.Conv2d(channels, narrow, 1),
                nn.GELU(),
                nn.Conv2d(narrow, 2 * channels, 1),
            )
        if branches != 'global':
            self.local_branch = nn.Sequential(
                MirroredConv2d(
                    prompt_channels, prompt_channels, groups=prompt_channels
                ),
                nn.Conv2d(prompt_channels, 2 * channels, 1),
            )
        self.align = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
        )

    def logits(self, optical: Tensor, sar: Tensor, prompt: Tensor | None) -> Tensor:
        """Modality logits, Eqs. 2–5.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.
            prompt: What conditions the local branch, B×C_p×H'×W'; resized
                bilinearly to H×W. None only where there is no local branch.

        Returns:
            Logits, B×2C×H×W, or B×2C×1×1 from the global branch alone; optical first.
        """
        logits: Tensor | None = None
        if self.local_branch is not None:
            assert prompt is not None
            if prompt.shape[-2:] != optical.shape[-2:]:
                prompt = F.interpolate(
                    prompt, optical.shape[-2:], mode='bilinear', align_corners=False
                )
            logits = self.local_branch(prompt)
        if self.global_branch is not None:
            # The mean of the sum is the sum of the means, which needs no H×W tensor.
            pooled = optical.mean((2, 3), keepdim=True) + sar.mean((2, 3), keepdim=True)
            context = self.global_branch(pooled)
            logits = context if logits is None else logits + context
        assert logits is not None
        return logits

    def forward(self, optical: Tensor, sar: Tensor, prompt: Tensor | None) -> Tensor:
        """Fuse the two streams.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.
            prompt: Degradation prompt, B×C_p×H'×W', of any size.

        Returns:
            Refined optical feature of Eq. 8, B×C×H×W.
        """
        logits_optical, logits_sar = self.logits(optical, sar, prompt).chunk(2, dim=1)
        # The softmax over two modalities (Eq. 6) is a sigmoid of their difference.
        alpha_sar = torch.sigmoid(logits_sar - logits_optical)
        if self.keep_attention:
            self.attention = torch.stack([1 - alpha_sar, alpha_sar], 1).expand(
                -1, -1, -1, *optical.shape[-2:]
            )
        fused = optical + alpha_sar * (sar - optical)
        aligned: Tensor = self.align(fused)
        return optical + aligned


class ConcatFusion(nn.Module):
    """Concatenate and project: what Table III-A's fusion is compared with.

    Args:
        channels: Number of channels C of both features.

    Example:
        >>> optical, sar = torch.randn(2, 1, 32, 64, 64)
        >>> ConcatFusion(32)(optical, sar).shape
        torch.Size([1, 32, 64, 64])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.align = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(
        self, optical: Tensor, sar: Tensor, prompt: Tensor | None = None
    ) -> Tensor:
        """Fuse the two streams.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.
            prompt: Not used; the signature is that of :class:`PromptGuidedFusion`.

        Returns:
            Refined optical feature, B×C×H×W.
        """
        aligned: Tensor = self.align(torch.cat([optical, sar], 1))
        return optical + aligned
