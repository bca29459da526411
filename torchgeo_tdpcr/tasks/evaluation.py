# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What validation and testing measure, for any task that restores and segments."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchgeo.datasets.utils import Sample

from ..metrics import RestorationMetrics, SegmentationMetrics
from .phases import Phase

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule as Base
else:
    Base = object


class EvaluationMixin(Base):
    """Metrics of the output, and of the cloudy input itself as the floor."""

    hparams: Any
    phase: Phase

    def _outputs(self, batch: Sample) -> dict[str, Tensor]:
        """Run the model on a batch."""
        raise NotImplementedError

    def _restored(self, batch: Sample, outputs: dict[str, Tensor]) -> Tensor:
        """Restored images in [0, 1]."""
        raise NotImplementedError

    def _losses(self, outputs: dict[str, Tensor], batch: Sample) -> dict[str, Tensor]:
        """The losses of the phase."""
        raise NotImplementedError

    def configure_metrics(self) -> None:
        """Set up the metrics of validation and testing."""
        num_classes, border = self.hparams['num_classes'], self.hparams['ssim_border']
        for split in ('val', 'test'):
            for kind, prefix in (('restoration', ''), ('input', 'input_')):
                metrics = RestorationMetrics(prefix=prefix, ssim_border=border)
                setattr(self, f'{split}_{kind}', metrics)
            segmentation = None
            if num_classes is not None:
                segmentation = SegmentationMetrics(
                    num_classes,
                    ignore_index=self.hparams['ignore_index'],
                    labels=self.hparams['labels'],
                )
            setattr(self, f'{split}_segmentation', segmentation)

    def validation_step(
        self, batch: Sample, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        """Update the validation metrics.

        Args:
            batch: The output of your DataLoader.
            batch_idx: Index of this batch.
            dataloader_idx: Index of the current dataloader.

        Returns:
            The model's outputs, for callbacks.
        """
        return self._evaluate(batch, 'val')

    def test_step(
        self, batch: Sample, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        """Update the test metrics.

        Args:
            batch: The output of your DataLoader.
            batch_idx: Index of this batch.
            dataloader_idx: Index of the current dataloader.

        Returns:
            The model's outputs, for callbacks.
        """
        return self._evaluate(batch, 'test')

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics."""
        self._log_metrics('val')

    def on_test_epoch_end(self) -> None:
        """Log the test metrics."""
        self._log_metrics('test')

    def _evaluate(self, batch: Sample, split: str) -> dict[str, Tensor]:
        """Update the metrics of a split."""
        outputs = self._outputs(batch)
        for name, value in self._losses(outputs, batch).items():
            self.log(f'{split}_{name}', value, batch_size=len(batch['image']))
        cloud = batch.get('mask_cloud')
        if self.phase.restores:
            if self._validates:
                restored = outputs['reconstruction'].clamp(0, 1)
            else:
                restored = self._restored(batch, outputs)
            clear = batch['image_clear']
            getattr(self, f'{split}_restoration').update(restored, clear, cloud)
        if self._measures_input:
            clear, cloudy = batch['image_clear'], batch['image']
            getattr(self, f'{split}_input').update(cloudy, clear, cloud)
        if self.phase.segments:
            segmentation = getattr(self, f'{split}_segmentation')
            segmentation.update(outputs['logits'], batch['mask'], cloud)
        return outputs

    @property
    def _validates(self) -> bool:
        """Whether a fit is under way, each epoch of which is measured."""
        return self.trainer.state.fn == 'fit'

    @property
    def _measures_input(self) -> bool:
        """Whether to measure the cloudy input, too: not in every epoch of a fit."""
        return self.phase.restores and not self._validates

    def _log_metrics(self, split: str) -> None:
        """Log and reset the metrics of a split.

        Which are computed must be the same in every process: they wait for each other.
        """
        kinds = ['restoration'] if self.phase.restores else []
        if self._measures_input:
            kinds.append('input')
        if self.phase.segments:
            kinds.append('segmentation')
        for kind in kinds:
            metrics = getattr(self, f'{split}_{kind}')
            values = metrics.compute()
            for name, value in values.items():
                if split == 'test' and _says_nothing(name, values):
                    continue
                shown = name in ('psnr', 'miou')
                self.log(f'{split}_{name}', value, prog_bar=shown)
            metrics.reset()


def _says_nothing(name: str, values: dict[str, Tensor]) -> bool:
    """Whether a value is the published mIoU where every class occurs: just the mIoU."""
    other = name.replace('miou_published', 'miou')
    return other != name and torch.equal(values[name], values[other])
