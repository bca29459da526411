# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Normalisation of batches, which all data modules share, and its inverse."""

from collections.abc import Sequence
from typing import cast

from torch import nn
from torchgeo.datasets.utils import Sample

from ..transforms import (
    Sentinel1Denormalize,
    Sentinel1Normalize,
    Sentinel2Denormalize,
    Sentinel2Normalize,
)
from ..transforms.normalize import SARClip


class NormalizationMixin:
    """Map digital numbers and dB to [0, 1], and back."""

    def _set_normalization(
        self, bands: Sequence[str] | None, sar_clip: SARClip
    ) -> nn.Sequential:
        """Set up both directions; returns the transform of a batch."""
        self._denormalize = nn.Sequential(
            Sentinel2Denormalize(bands), Sentinel1Denormalize(sar_clip)
        )
        return nn.Sequential(Sentinel2Normalize(bands), Sentinel1Normalize(sar_clip))

    def denormalize(self, sample: Sample) -> Sample:
        """Undo the normalisation.

        Args:
            sample: A sample or batch with images in [0, 1]. A ``reconstruction`` counts
                as an image.

        Returns:
            The same in digital numbers and dB.
        """
        sample = cast(Sample, self._denormalize(sample))
        if 'reconstruction' in sample:
            optical = self._denormalize[0]
            sample['reconstruction'] = optical(sample['reconstruction'])
        return sample
