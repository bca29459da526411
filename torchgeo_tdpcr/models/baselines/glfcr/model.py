# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""GLF-CR: optical and SAR dense blocks, fused globally and locally.

F. Xu, Y. Shi, P. Ebel, L. Yu, G.-S. Xia, W. Yang, X. X. Zhu: *GLF-CR: SAR-enhanced
cloud removal with global-local fusion*, ISPRS Journal of Photogrammetry and Remote
Sensing 192, 2022. https://arxiv.org/abs/2206.02850
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import MultiStepLR

from ...inputs import OpticalSARModel, check_multiple, refuse_classes
from ...recipes import Recipe, l1_losses
from ...registry import register_model
from .attention import shift_mask
from .dense import CoupledDenseBlock
from .fusion import LocalFusion

#: How GLF-CR is trained. The authors' schedule halves the rate every 5 steps, and its
#: first step comes at the end of the second epoch: 6 epochs at the full rate, 5 at the
#: half, 5 at a quarter, and so on.
RECIPE = Recipe(
    losses=l1_losses,
    optimizer=partial(Adam, lr=1e-4),
    scheduler=partial(MultiStepLR, milestones=range(6, 1000, 5), gamma=0.5),
)


@register_model('glfcr', recipe=RECIPE)
class GLFCR(OpticalSARModel):
    """Remove clouds with SAR that guides attention and fills in local detail.

    Both images are folded to half resolution. Six times, dense blocks of both streams
    attend together within windows, the optical one with weights that move towards those
    of SAR (*global fusion*), and *local fusion* follows: the SAR feature is filtered by
    a 5×5 filter of its own at each pixel and channel, then each stream takes from the
    other through a gate. Optical outputs of all stages are merged and unfolded to a
    correction of the cloudy image.

    Layer for layer it is the network that the authors published. That one has
    14,827,373 parameters, of which 9,312 are never used and left out here: 14,818,061.
    They are the gate into the SAR stream of the last stage, which nothing follows. All
    others have an influence on the output.

    The published network takes images of one size, which the masks of its moved windows
    are made for: 128×128, to which chips are cropped for testing as well. This one makes
    them for any size. Images are continued by their border pixels up to :attr:`stride`,
    twice the window. Exported with :func:`torch.export.export`, it takes any batch at the
    height and width of the example.

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
        mlp_ratio: Width of the MLPs after the attention as a multiple of *growth*.
        kernel_size: Height and width of the dynamic filters, odd.
        output_channels: Width before the output is unfolded, a multiple of 4.
        drop_path: Probability with which training leaves out a residual branch of the
            last dense layer; it rises linearly from 0 at the first.

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
        drop_path: float = 0.2,
    ) -> None:
        super().__init__(in_channels, sar_channels)
        refuse_classes(num_classes, 'GLF-CR')
        check_multiple('growth', growth, heads, 'heads')
        if kernel_size % 2 == 0:
            raise ValueError(f'`kernel_size={kernel_size}` must be odd.')
        check_multiple('output_channels', output_channels, 4)
        if min(blocks, layers, window) < 1:
            raise ValueError(
                f'`blocks={blocks}`, `layers={layers}` and `window={window}` must be at '
                'least 1.'
            )
        if not 0 <= drop_path < 1:
            raise ValueError(
                f'`drop_path={drop_path}` must be a probability, at least 0 and less '
                'than 1.'
            )
        self.window = window
        self.stride = 2 * window
        self.fold = nn.PixelUnshuffle(2)
        self.optical_stem = nn.Conv2d(4 * in_channels, channels, 5, padding=2)
        self.optical_shallow = nn.Conv2d(channels, channels, 3, padding=1)
        self.sar_stem = nn.Conv2d(4 * sar_channels, channels, 5, padding=2)
        self.sar_shallow = nn.Conv2d(channels, channels, 3, padding=1)
        last = max(blocks * layers - 1, 1)
        rates = [drop_path * i / last for i in range(blocks * layers)]
        self.dense = nn.ModuleList(
            CoupledDenseBlock(
                channels,
                growth,
                heads,
                window,
                mlp_ratio,
                rates[i * layers : (i + 1) * layers],
            )
            for i in range(blocks)
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
        # The same for every layer with moved windows
        mask = shift_mask(optical, self.window, self.window // 2)
        stages: list[Tensor] = []
        for dense, fuse in zip(self.dense, self.fusions, strict=True):
            optical, sar = fuse(*dense(optical, sar, mask))
            stages.append(optical)
        merged = shallow + self.merge(torch.cat(stages, 1))
        reconstruction = image + self.output(merged)
        return {'reconstruction': reconstruction}
