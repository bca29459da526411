# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-2 digital numbers and Sentinel-1 decibels to [0, 1], and back.

The scaling is the one in use on LuojiaSET-OSFCR and SEN12MS-CR: clip, then map the
clip range linearly onto [0, 1].
"""

from collections.abc import Sequence
from typing import Literal, TypeVar, cast

import torch
from torch import Tensor, nn
from torchgeo.datasets.utils import Sample

from .bands import SENTINEL1_BANDS, SENTINEL2_BANDS, check_bands

TensorOrSample = TypeVar('TensorOrSample', Tensor, Sample)

#: Clip ranges in dB for VV and VH: ``'joint'`` as in the published joint training on
#: LuojiaSET-OSFCR, ``'shared'`` as in its published cloud removal.
SAR_CLIPS = {
    'joint': {name: band.clip for name, band in SENTINEL1_BANDS.items()},
    'shared': {'VV': (-25.0, 0.0), 'VH': (-25.0, 0.0)},
}

#: Name of one of :data:`SAR_CLIPS`.
SARClip = Literal['joint', 'shared']


class _Rescale(nn.Module):
    """Apply a per-band rescaling to a tensor, or to some keys of a sample."""

    low: Tensor
    span: Tensor

    def __init__(
        self, clips: Sequence[tuple[float, float]], bands: Sequence[str], key: str
    ) -> None:
        super().__init__()
        low, high = torch.tensor(clips, dtype=torch.float32).T
        self.register_buffer('low', low.reshape(-1, 1, 1), persistent=False)
        self.register_buffer('span', (high - low).reshape(-1, 1, 1), persistent=False)
        self.clips = tuple((float(low), float(high)) for low, high in clips)
        self.bands = tuple(bands)
        self.keys = (key, 'image_clear') if key == 'image' else (key,)

    def forward(self, x: TensorOrSample) -> TensorOrSample:
        """Rescale an image, or the images of a sample.

        Args:
            x: Image, …×C×H×W of any number type, single or batched, on any device; or
                a sample or batch with such images. A sample is not changed: the
                result is a new dictionary that shares the other keys.

        Returns:
            The same, rescaled, in float32 at least.

        Raises:
            ValueError: If an image does not have one channel a band.
        """
        if isinstance(x, dict):
            rescaled = {k: self._apply_to(x[k], k) for k in self.keys if k in x}
            return cast(TensorOrSample, {**x, **rescaled})
        return self._apply_to(x, 'x')

    def _apply_to(self, x: Tensor, name: str) -> Tensor:
        if x.ndim < 3 or x.shape[-3] != len(self.bands):
            raise ValueError(
                f'`{name}` has shape {tuple(x.shape)}, but {type(self).__name__} was '
                f'built for …×{len(self.bands)}×H×W, the bands {list(self.bands)}. '
                'Give both the same bands.'
            )
        if not x.dtype.is_floating_point:
            x = x.float()
        low = self.low.to(device=x.device, dtype=x.dtype, non_blocking=True)
        span = self.span.to(device=x.device, dtype=x.dtype, non_blocking=True)
        return self._rescale(x, low, span)

    def _rescale(self, x: Tensor, low: Tensor, span: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Show the bands."""
        return f'bands={list(self.bands)}'


class BandNormalize(_Rescale):
    """Clip and map to [0, 1]."""

    def _rescale(self, x: Tensor, low: Tensor, span: Tensor) -> Tensor:
        return x.sub(low).div_(span).clamp_(0, 1)


class BandDenormalize(_Rescale):
    """Map [0, 1] back; values outside are extrapolated, not clipped."""

    def _rescale(self, x: Tensor, low: Tensor, span: Tensor) -> Tensor:
        return x.mul(span).add_(low)


def _optical_clips(bands: Sequence[str], offset: float) -> list[tuple[float, float]]:
    """Clip ranges of Sentinel-2 bands in digital numbers that carry an offset."""
    clips = [SENTINEL2_BANDS[band].clip for band in bands]
    return [(low + offset, high + offset) for low, high in clips]


def _sar_clips(clip: SARClip) -> list[tuple[float, float]]:
    """Clip ranges of VV and VH."""
    if clip not in SAR_CLIPS:
        raise ValueError(f'`clip={clip!r}`: choose one of {list(SAR_CLIPS)}.')
    return list(SAR_CLIPS[clip].values())


class Sentinel2Normalize(BandNormalize):
    """Map Sentinel-2 digital numbers 0…10000 to [0, 1]; clip what lies outside.

    Works on a tensor, or on the keys ``image`` and ``image_clear`` of a sample.

    Args:
        bands: Names of the bands in the order of the channels, or None for all 13.
        offset: What the digital numbers carry on top: 0 where it was removed, as the
            datasets of this package do, or 1000 for raw files since processing
            baseline 04.00.

    Raises:
        ValueError: If a band is unknown.

    Example:
        >>> image = torch.tensor([-50.0, 0, 2500, 12000]).reshape(1, 2, 2)
        >>> Sentinel2Normalize(bands=['B2'])(image).flatten()
        tensor([0.0000, 0.0000, 0.2500, 1.0000])
    """

    def __init__(self, bands: Sequence[str] | None = None, offset: float = 0) -> None:
        bands = check_bands(bands)
        super().__init__(_optical_clips(bands, offset), bands, 'image')


class Sentinel2Denormalize(BandDenormalize):
    """Inverse of :class:`Sentinel2Normalize` within its clip range.

    Args:
        bands: Names of the bands in the order of the channels, or None for all 13.
        offset: Offset to add, see :class:`Sentinel2Normalize`.

    Raises:
        ValueError: If a band is unknown.

    Example:
        >>> Sentinel2Denormalize(bands=['B2'])(torch.full((1, 1, 1), 0.25))
        tensor([[[2500.]]])
    """

    def __init__(self, bands: Sequence[str] | None = None, offset: float = 0) -> None:
        bands = check_bands(bands)
        super().__init__(_optical_clips(bands, offset), bands, 'image')


class Sentinel1Normalize(BandNormalize):
    """Map Sentinel-1 backscatter in dB to [0, 1]; clip what lies outside.

    Works on a tensor, or on the key ``image_sar`` of a sample.

    Args:
        clip: ``'joint'`` for VV in [-25, 0] and VH in [-32.5, 0] dB, ``'shared'`` for
            [-25, 0] dB in both. Both are in use with LuojiaSET-OSFCR; models trained
            with one must be used with the same.

    Raises:
        ValueError: If *clip* is neither.

    Example:
        >>> image = torch.tensor([-12.5, -32.5]).reshape(2, 1, 1)
        >>> Sentinel1Normalize()(image).flatten()
        tensor([0.5000, 0.0000])
    """

    def __init__(self, clip: SARClip = 'joint') -> None:
        super().__init__(_sar_clips(clip), tuple(SENTINEL1_BANDS), 'image_sar')


class Sentinel1Denormalize(BandDenormalize):
    """Inverse of :class:`Sentinel1Normalize` within its clip range.

    Args:
        clip: As for :class:`Sentinel1Normalize`.

    Raises:
        ValueError: If *clip* is none of the two.

    Example:
        >>> Sentinel1Denormalize()(torch.tensor([0.5, 0.0]).reshape(2, 1, 1)).flatten()
        tensor([-12.5000, -32.5000])
    """

    def __init__(self, clip: SARClip = 'joint') -> None:
        super().__init__(_sar_clips(clip), tuple(SENTINEL1_BANDS), 'image_sar')
