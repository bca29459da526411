# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Normalisation of batches, which all data modules share, and its inverse."""

import warnings
from collections.abc import Sequence
from typing import Any, cast

from torch import nn
from torchgeo.datasets.utils import Sample

from ..input_record import REMEDY, InputRecord, describe
from ..transforms import (
    Sentinel1Denormalize,
    Sentinel1Normalize,
    Sentinel2Denormalize,
    Sentinel2Normalize,
)
from ..transforms.bands import SENTINEL2_BANDS
from ..transforms.normalize import SAR_CLIPS, BandNormalize, SARClip


class NormalizationMixin:
    """Map digital numbers and dB to [0, 1], and back.

    What the user has not said (``bands`` or ``sar_clip`` is None) is taken from the model
    that the data are for, where that knows.
    """

    aug: Any
    kwargs: dict[str, Any]
    dataset_class: Any
    trainer: Any

    def _set_input(
        self, bands: Sequence[str] | None, sar_clip: SARClip | None
    ) -> nn.Sequential:
        """Remember what the user said, and set up both directions."""
        self._said = {'bands': bands, 'sar_clip': sar_clip}
        self.sar_clip: SARClip = sar_clip or 'joint'
        return self._set_normalization(bands, self.sar_clip)

    def _set_normalization(
        self, bands: Sequence[str] | None, sar_clip: SARClip
    ) -> nn.Sequential:
        """Set up both directions; returns the transform of a batch."""
        self._denormalize = nn.Sequential(
            Sentinel2Denormalize(bands), Sentinel1Denormalize(sar_clip)
        )
        return nn.Sequential(Sentinel2Normalize(bands), Sentinel1Normalize(sar_clip))

    @property
    def input_record(self) -> InputRecord | None:
        """What a model is fed, None if a subclass normalises in its own way."""
        parts = list(self.aug) if isinstance(self.aug, nn.Sequential) else []
        known = [part for part in parts if isinstance(part, BandNormalize)]
        optical = [part for part in known if 'image' in part.keys]
        radar = [part for part in known if 'image_sar' in part.keys]
        if len(optical) != 1 or len(radar) != 1 or len(parts) != 2:
            return None
        return InputRecord(
            optical[0].bands,
            optical[0].clips,
            radar[0].bands,
            radar[0].clips,
            tuple(self._class_names),
            self.kwargs.get('offset'),
            type(self).__name__,
        )

    @property
    def _class_names(self) -> Sequence[str]:
        given: Sequence[str] = self.kwargs.get('class_names') or ()
        fixed: Sequence[str] = getattr(self.dataset_class, 'class_names', ())
        return given or fixed

    def adopt_input(self, record: InputRecord) -> bool:
        """Take from the input of a model what the user has not said.

        Args:
            record: What the model was trained with.

        Returns:
            Whether anything has changed, so that datasets must be set up anew.
        """
        bands, sar_clip = self.kwargs.get('bands'), self.sar_clip
        available = getattr(self.dataset_class, 'all_bands', ()) or SENTINEL2_BANDS
        if self._said['bands'] is None and set(record.bands) <= set(available):
            bands = record.bands
        if self._said['sar_clip'] is None:
            for name, clips in SAR_CLIPS.items():
                if tuple(clips.values()) == record.sar_clips:
                    sar_clip = cast(SARClip, name)
        names = record.class_names
        changed = (
            'class_names' in self.kwargs
            and self.kwargs['class_names'] is None
            and bool(names)
            and len(names) == self.kwargs.get('num_classes', 7)
        )
        if changed:
            self.kwargs['class_names'] = names
        before = self.input_record
        self.sar_clip = sar_clip
        self.aug = self._set_normalization(bands, sar_clip)
        after = self.input_record
        if before is not None and after is not None and before.bands == after.bands:
            return changed
        self.kwargs['bands'] = bands
        return True

    def meet_model(self, stage: str) -> None:
        """Agree with the model of the trainer on what it is fed.

        Args:
            stage: What is to be done; see ``setup``.

        Raises:
            ValueError: If an argument contradicts what the model was trained with.
        """
        task = getattr(self.trainer, 'lightning_module', None)
        record: InputRecord | None = getattr(task, 'input_record', None)
        if record is not None:
            self.adopt_input(record)
            self.check_input(record, task, fitting=stage == 'fit')

    def check_input(
        self, record: InputRecord, task: Any = None, fitting: bool = False
    ) -> None:
        """Raise where what is fed contradicts the input of a model.

        Args:
            record: What the model was trained with.
            task: The task, which says whether it maps land cover.
            fitting: Whether training begins anew from the weights of the model: then
                other input is a warning, unless it is Phase 2, which keeps what
                Phase 1 has learned.

        Raises:
            ValueError: If they contradict each other.
        """
        mine = self.input_record
        if mine is None:
            return
        maps = not fitting and bool(getattr(task, 'maps_land_cover', False))
        found = record.differences(mine, self._said['bands'] is not None, maps)
        if not found:
            return
        message = describe(found, record)
        if fitting and not getattr(task, 'keeps_input', False):
            warnings.warn(
                f'{message} All that is trained must learn it anew.', stacklevel=2
            )
            return
        raise ValueError(f'{message} {REMEDY}')

    def unsaid_input(self) -> str:
        """Name what is assumed of the input where no model tells it."""
        assumed = []
        mine = self.input_record
        if mine is not None and self._said['bands'] is None:
            assumed.append(f'`bands={list(mine.bands)}`')
        if self._said['sar_clip'] is None:
            assumed.append(f'`sar_clip={self.sar_clip!r}`')
        return ' and '.join(assumed)

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
