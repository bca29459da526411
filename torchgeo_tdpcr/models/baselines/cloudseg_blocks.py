# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The fusion block of CloudSeg, one for each stage of its encoders."""

import torch
from timm.layers import SqueezeExcite
from torch import Tensor, nn


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int, dilation: int = 1
) -> nn.Sequential:
    """Convolution, batch normalisation and ReLU, at the same resolution.

    Args:
        in_channels: Number of input channels.
        out_channels: Number of output channels.
        kernel: Size of the kernel, odd.
        dilation: Distance of its taps.

    Returns:
        The three modules.
    """
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            padding=kernel // 2 * dilation,
            dilation=dilation,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class CloudSegFusion(nn.Module):
    """Fuse optical and SAR features, and hand the result back to both.

    Four steps: convolutions at three scales over both streams; a gate on every pixel;
    squeeze-and-excitation on the channels; and for either stream a gate that says how
    much of the fused feature is distributed to it.

    Args:
        channels: Number of channels C of each stream.

    Example:
        >>> fuse = CloudSegFusion(16)
        >>> [tuple(x.shape) for x in fuse(torch.rand(2, 16, 8, 8), torch.rand(2, 16, 8, 8))]
        [(2, 16, 8, 8), (2, 16, 8, 8), (2, 16, 8, 8)]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = conv_bn_relu(2 * channels, channels, 1)
        self.scales = nn.ModuleList(
            conv_bn_relu(channels, channels, kernel, dilation)
            for kernel, dilation in ((1, 1), (3, 1), (3, 2))
        )
        self.merge = conv_bn_relu(3 * channels, channels, 1)
        self.spatial_gate = nn.Conv2d(2, 1, 7, padding=3)
        self.excite = SqueezeExcite(channels, rd_ratio=1 / 16, rd_divisor=1)
        self.optical_gate = nn.Conv2d(2 * channels, channels, 1)
        self.sar_gate = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse one stage.

        Args:
            optical: Optical feature, B×C×H×W.
            sar: SAR feature, B×C×H×W.

        Returns:
            The fused feature, and the optical and the SAR feature with their shares of
            it; all B×C×H×W.
        """
        x = self.squeeze(torch.cat([optical, sar], 1))
        x = self.merge(torch.cat([scale(x) for scale in self.scales], 1))
        statistics = [x.mean(1, keepdim=True), x.amax(1, keepdim=True)]
        x = x * self.spatial_gate(torch.cat(statistics, 1)).sigmoid()
        x = self.excite(x)
        to_optical = self.optical_gate(torch.cat([x, optical], 1)).sigmoid()
        to_sar = self.sar_gate(torch.cat([x, sar], 1)).sigmoid()
        return x, optical + to_optical * x, sar + to_sar * x
