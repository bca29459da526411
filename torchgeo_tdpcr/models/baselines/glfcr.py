# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""GLF-CR: optical and SAR dense blocks, fused globally and locally.

F. Xu, Y. Shi, P. Ebel, L. Yu, G.-S. Xia, W. Yang, X. X. Zhu: *GLF-CR: SAR-enhanced
cloud removal with global-local fusion*, ISPRS Journal of Photogrammetry and Remote
Sensing 192, 2022. https://arxiv.org/abs/2206.02850
"""

from functools import partial

import torch
import torch.nn.functional as F
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn
from torch.optim import Adam

from ..inputs import OpticalSARModel, check_multiple, refuse_classes
from ..recipes import Recipe, l1_losses
from ..registry import register_model
from .window_attention import PositionBias, window_attention


class GuidedAttention(nn.Module):
    """Let both modalities say which optical pixels of a window belong together.

    Queries and keys come from optical and SAR features, values from the optical ones:
    beneath a cloud the SAR image still shows what is alike. An MLP follows.

    Args:
        channels: Number of channels C of each modality.
        heads: Number of attention heads.
        window: Height and width of a window.
        shift: By how many pixels the grid of windows is moved.
        mlp_ratio: Width of the MLP as a multiple of C.

    Example:
        >>> attend = GuidedAttention(8, heads=2)
        >>> attend(torch.rand(1, 8, 9, 20), torch.rand(1, 8, 9, 20)).shape
        torch.Size([1, 8, 9, 20])
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        window: int = 8,
        shift: int = 0,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.window = window
        self.shift = shift
        hidden = int(mlp_ratio * channels)
        self.norm = LayerNorm2d(2 * channels)
        self.relate = nn.Conv2d(2 * channels, 4 * channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.bias = PositionBias(window, heads)
        self.project = nn.Conv2d(channels, channels, 1)
        self.mlp = nn.Sequential(
            LayerNorm2d(channels),
            nn.Conv2d(channels, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, optical: Tensor, sar: Tensor) -> Tensor:
        """Refine the optical feature.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            Refined optical feature, B×C×H×W.
        """
        both = self.norm(torch.cat([optical, sar], 1))
        query, key = self.relate(both).chunk(2, dim=1)
        value = self.value(both[:, : self.channels])
        mixed = window_attention(
            query, key, value, self.bias(), self.window, self.shift
        )
        optical = optical + self.project(mixed)
        refined: Tensor = optical + self.mlp(optical)
        return refined


class GuidedDenseBlocks(nn.Module):
    """Two residual dense blocks side by side, the SAR one guiding the optical one.

    Each layer appends a few maps to its stream, made from all maps before. The new
    optical maps pass through :class:`GuidedAttention` first.

    Args:
        channels: Number of channels C of each stream.
        growth: Number of maps that a layer appends.
        layers: Number of layers.
        heads: Number of attention heads.
        window: Height and width of the attention windows.
        mlp_ratio: Width of the attention's MLP as a multiple of *growth*.

    Example:
        >>> blocks = GuidedDenseBlocks(8, growth=4, layers=2, heads=2)
        >>> optical, sar = blocks(torch.rand(1, 8, 9, 9), torch.rand(1, 8, 9, 9))
        >>> optical.shape == sar.shape == (1, 8, 9, 9)
        True
    """

    def __init__(
        self,
        channels: int,
        growth: int = 48,
        layers: int = 5,
        heads: int = 8,
        window: int = 8,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__()
        widths = [channels + i * growth for i in range(layers + 1)]
        self.optical, self.sar = (
            nn.ModuleList(nn.Conv2d(w, growth, 3, padding=1) for w in widths[:-1])
            for _ in range(2)
        )
        self.attentions = nn.ModuleList(
            GuidedAttention(growth, heads, window, i % 2 * (window // 2), mlp_ratio)
            for i in range(layers)
        )
        self.merge_optical = nn.Conv2d(widths[-1], channels, 1)
        self.merge_sar = nn.Conv2d(widths[-1], channels, 1)

    def forward(self, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor]:
        """Refine both streams.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            Refined optical and SAR feature, B×C×H×W each.
        """
        dense_optical, dense_sar = optical, sar
        for grow_optical, grow_sar, attend in zip(
            self.optical, self.sar, self.attentions, strict=True
        ):
            new_optical = F.relu(grow_optical(dense_optical))
            new_sar = F.relu(grow_sar(dense_sar))
            new_optical = attend(new_optical, new_sar)
            dense_optical = torch.cat([dense_optical, new_optical], 1)
            dense_sar = torch.cat([dense_sar, new_sar], 1)
        return (
            optical + self.merge_optical(dense_optical),
            sar + self.merge_sar(dense_sar),
        )


def dynamic_filter(x: Tensor, filters: Tensor, size: int) -> Tensor:
    """Filter each pixel and channel with weights of its own; zero beyond the border.

    A sum over shifted views of *x*, so nothing of the size of *filters* is made.

    Args:
        x: B×C×H×W.
        filters: Weights, B×(size²·C)×H×W: the C channels of the first tap (above left),
            then of the next in reading order.
        size: Height and width of a filter, odd.

    Returns:
        B×C×H×W.

    Example:
        >>> dynamic_filter(torch.ones(1, 1, 4, 4), torch.ones(1, 9, 4, 4), 3)[0, 0, 0]
        tensor([4., 6., 6., 4.])
    """
    height, width = x.shape[-2:]
    taps = filters.chunk(size * size, dim=1)
    x = F.pad(x, [size // 2] * 4)
    total = taps[0] * x[..., :height, :width]
    for i, tap in enumerate(taps[1:], start=1):
        top, left = divmod(i, size)
        total = torch.addcmul(
            total, tap, x[..., top : top + height, left : left + width]
        )
    return total


class LocalFusion(nn.Module):
    """Smooth the speckle of SAR where needed, then let the streams exchange.

    Args:
        channels: Number of channels C of each stream.
        kernel_size: Height and width of the dynamic filters, odd.
        last: Whether nothing follows that takes SAR, so that no gate into it is needed.

    Example:
        >>> fuse = LocalFusion(8)
        >>> optical, sar = fuse(torch.rand(1, 8, 9, 9), torch.rand(1, 8, 9, 9))
        >>> optical.shape == sar.shape == (1, 8, 9, 9)
        True
    """

    def __init__(self, channels: int, kernel_size: int = 5, last: bool = False) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        taps = kernel_size * kernel_size
        self.filters = nn.Sequential(
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * channels, taps * channels, 1),
        )
        # A new filter is near the identity; random taps would wipe the SAR stream out.
        predict = self.filters[-1]
        assert isinstance(predict, nn.Conv2d)
        assert predict.bias is not None
        nn.init.normal_(predict.weight, std=1e-3)
        with torch.no_grad():
            predict.bias.view(taps, channels).zero_()[taps // 2] = 1
        self.to_optical = nn.Conv2d(channels, channels, 3, padding=1)
        self.to_sar = None if last else nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse the two streams.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            Both streams, each with some of the other, B×C×H×W each; of the last fusion
            SAR is only filtered.
        """
        filters = self.filters(torch.cat([optical, sar], 1))
        sar = dynamic_filter(sar, filters, self.kernel_size)
        difference = sar - optical
        optical = optical + torch.sigmoid(self.to_optical(difference)) * difference
        if self.to_sar is not None:
            sar = sar - torch.sigmoid(self.to_sar(difference)) * difference
        return optical, sar


#: How GLF-CR is trained.
RECIPE = Recipe(losses=l1_losses, optimizer=partial(Adam, lr=1e-4))


@register_model('glfcr', recipe=RECIPE)
class GLFCR(OpticalSARModel):
    """Remove clouds with SAR that guides attention and fills in local detail.

    Both images are folded to half resolution. Six times, a residual dense block in each
    stream is followed by local fusion: the SAR stream is filtered by a 5×5 filter of its
    own at each pixel and channel, then each stream takes from the other through a gate.
    Optical outputs of all stages are merged and unfolded to a correction of the cloudy
    image.

    The default arguments are the paper's where we know them: 14,764,925 parameters,
    against 14.827 M counted for the authors' model; 245.4 G multiply-adds at 256×256,
    against 249.7 G.

    Choices, where the description leaves something open:

    - Attention sits in every dense layer, on the maps that the layer appends. Queries
      and keys come from both streams, values from the optical one. That is how we read
      *guides the relationship among all local optical windows*. Every other layer
      moves its windows by half a window. There is a learned position bias.
    - SAR dense blocks have no attention.
    - Dynamic filters are predicted by two 3×3 convolutions of 192 channels and a 1×1 to
      25·96: one filter for each pixel and channel, not normalised. They start near
      the identity. These widths are what meets the parameter count.
    - Gates are a sigmoid of a 3×3 convolution of the difference, one for each
      direction. The last stage has none into SAR, as nothing would use it: 83,040
      parameters less.
    - The shallow feature that is added before the output is that of the 5×5 convolution.

    It takes any height and width: images are continued by their border pixels up to
    :attr:`stride`, and maps within attention up to the windows. Exported with
    :func:`torch.export.export`, it takes any batch at the height and width of the
    example.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands.
        num_classes: None; the model does not segment.
        channels: Width of both streams.
        growth: Number of maps that a dense layer appends; a multiple of *heads*.
        blocks: Number of stages.
        layers: Number of layers of a dense block.
        heads: Number of attention heads.
        window: Height and width of the attention windows.
        mlp_ratio: Width of the attention's MLP as a multiple of *growth*.
        kernel_size: Height and width of the dynamic filters, odd.
        output_channels: Width before the output is unfolded, a multiple of 4.

    Raises:
        ValueError: If *num_classes* is given, or another argument does not fit.

    Example:
        >>> model = GLFCR(channels=8, growth=4, blocks=2, layers=2, heads=2).eval()
        >>> out = model(torch.rand(1, 13, 45, 70), torch.rand(1, 2, 45, 70))
        >>> out['reconstruction'].shape
        torch.Size([1, 13, 45, 70])
    """

    stride = 2

    def __init__(
        self,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = None,
        channels: int = 96,
        growth: int = 48,
        blocks: int = 6,
        layers: int = 5,
        heads: int = 8,
        window: int = 8,
        mlp_ratio: float = 2.0,
        kernel_size: int = 5,
        output_channels: int = 256,
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'GLF-CR')
        check_multiple('growth', growth, heads, 'heads')
        if kernel_size % 2 == 0:
            raise ValueError(f'`kernel_size={kernel_size}` must be odd.')
        check_multiple('output_channels', output_channels, 4)
        if min(blocks, layers) < 1:
            raise ValueError(
                f'`blocks={blocks}` and `layers={layers}` must be at least 1.'
            )
        self.fold = nn.PixelUnshuffle(2)
        self.optical_stem = nn.Conv2d(4 * in_channels, channels, 5, padding=2)
        self.sar_stem = nn.Conv2d(4 * sar_channels, channels, 5, padding=2)
        self.optical_shallow = nn.Conv2d(channels, channels, 3, padding=1)
        self.sar_shallow = nn.Conv2d(channels, channels, 3, padding=1)
        self.dense = nn.ModuleList(
            GuidedDenseBlocks(channels, growth, layers, heads, window, mlp_ratio)
            for _ in range(blocks)
        )
        self.fusions = nn.ModuleList(
            LocalFusion(channels, kernel_size, last=i == blocks - 1)
            for i in range(blocks)
        )
        self.merge = nn.Sequential(
            nn.Conv2d(blocks * channels, channels, 1),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.output = nn.Sequential(
            nn.Conv2d(channels, output_channels, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Conv2d(output_channels // 4, in_channels, 3, padding=1),
        )
        self.to(memory_format=torch.channels_last)

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Restore the image.

        Returns:
            ``reconstruction``, B×C×H×W, not clipped.
        """
        shallow = self.optical_stem(self.fold(image))
        optical = self.optical_shallow(shallow)
        sar = self.sar_shallow(self.sar_stem(self.fold(image_sar)))
        stages: list[Tensor] = []
        for dense, fuse in zip(self.dense, self.fusions, strict=True):
            optical, sar = fuse(*dense(optical, sar))
            stages.append(optical)
        merged = shallow + self.merge(torch.cat(stages, 1))
        reconstruction = image + self.output(merged)
        return {'reconstruction': reconstruction}
