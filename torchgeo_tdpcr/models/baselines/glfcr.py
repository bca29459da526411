# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""GLF-CR: optical and SAR dense blocks, fused globally and locally.

F. Xu, Y. Shi, P. Ebel, L. Yu, G.-S. Xia, W. Yang, X. X. Zhu: *GLF-CR: SAR-enhanced
cloud removal with global-local fusion*, ISPRS Journal of Photogrammetry and Remote
Sensing 192, 2022. https://arxiv.org/abs/2206.02850
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..inputs import check_multiple, prepared, refuse_classes
from ..recipes import Recipe, l1_losses
from ..registry import register_model
from .glfcr_blocks import GuidedDenseBlocks, LocalFusion


def optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam with a learning rate of 1e-4.

    Args:
        parameters: What to optimise.

    Returns:
        The optimizer.
    """
    return torch.optim.Adam(parameters, lr=1e-4)


#: How GLF-CR is trained. Crop and batch are those of the other baselines here.
RECIPE = Recipe(losses=l1_losses, optimizer=optimizer, crop=128, batch_size=16)


@register_model('glfcr', recipe=RECIPE)
class GLFCR(nn.Module):
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
    - Crop 128 and batch 16 of the recipe are those of the other baselines.

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
        super().__init__()
        refuse_classes(num_classes, 'GLF-CR')
        check_multiple('growth', growth, heads, 'heads')
        if kernel_size % 2 == 0:
            raise ValueError(f'`kernel_size={kernel_size}` must be odd.')
        check_multiple('output_channels', output_channels, 4)
        if min(blocks, layers) < 1:
            raise ValueError(
                f'`blocks={blocks}` and `layers={layers}` must be at least 1.'
            )
        self.in_channels = in_channels
        self.sar_channels = sar_channels
        self.num_classes = num_classes
        #: Height and width are padded to a multiple of this inside.
        self.stride = 2
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

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Reconstruct the scene beneath the clouds.

        Args:
            image: Cloudy optical image, B×C×H×W, normalised to [0, 1].
            image_sar: SAR image, B×S×H×W, normalised to [0, 1]; the same H and W, any.

        Returns:
            ``reconstruction``, B×C×H×W, not clipped.

        Raises:
            ValueError: If the inputs do not have the channels that the model was built
                for, or differ in height or width.
        """
        image, image_sar, (height, width) = prepared(
            image, image_sar, self.in_channels, self.sar_channels, self.stride
        )

        shallow = self.optical_stem(self.fold(image))
        optical = self.optical_shallow(shallow)
        sar = self.sar_shallow(self.sar_stem(self.fold(image_sar)))
        stages: list[Tensor] = []
        for dense, fuse in zip(self.dense, self.fusions, strict=True):
            optical, sar = fuse(*dense(optical, sar))
            stages.append(optical)
        merged = shallow + self.merge(torch.cat(stages, 1))
        reconstruction = image + self.output(merged)
        return {'reconstruction': reconstruction[..., :height, :width]}
