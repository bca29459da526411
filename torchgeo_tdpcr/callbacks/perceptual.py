# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""LPIPS of the visible bands, measured while testing."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchgeo.datasets.utils import Sample
from torchmetrics import Metric
from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

Network = Literal['alex', 'vgg', 'squeeze']


class PerceptualSimilarity(Callback):
    """Log ``test_lpips`` and ``test_input_lpips``, of the restored and the cloudy image.

    LPIPS compares features that an image classifier sees in two pictures, and is lower
    for more alike ones. The pictures here are the visible bands with reflectances of 0
    to 1 as they are, without a stretch, as in published figures; red comes first.

    It is :class:`torchmetrics.image.LearnedPerceptualImagePatchSimilarity`. The weights
    of the classifier are torchvision's, which downloads them at first use; neither they
    nor the scores go into checkpoints.

    Source: R. Zhang et al., *The Unreasonable Effectiveness of Deep Features as a
    Perceptual Metric*, CVPR 2018. https://arxiv.org/abs/1801.03924

    Args:
        net_type: The classifier: ``'alex'``, ``'vgg'`` or ``'squeeze'``. Scores of
            different ones do not compare.
        rgb: Names of the red, the green and the blue band, by default the
            ``rgb_bands`` of the data set.

    Raises:
        ValueError: If *net_type* is none of the three, or *rgb* are not three.

    Example:
        >>> PerceptualSimilarity().net_type
        'alex'

        torchgeo test … --trainer.callbacks+=PerceptualSimilarity
    """

    def __init__(
        self, net_type: Network = 'alex', rgb: Sequence[str] | None = None
    ) -> None:
        if net_type not in ('alex', 'vgg', 'squeeze'):
            raise ValueError(
                f"`net_type={net_type!r}`: choose 'alex', 'vgg' or 'squeeze'."
            )
        if rgb is not None and len(rgb) != 3:
            raise ValueError(f'`rgb={list(rgb)}` must name three bands.')
        self.net_type = net_type
        self.rgb = None if rgb is None else tuple(rgb)
        self._metrics: dict[str, Metric] = {}
        self._channels: list[int] = []

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load the classifier.

        Args:
            trainer: The trainer.
            pl_module: The task.

        Raises:
            FileNotFoundError: If its weights are not on this machine and cannot be
                downloaded.
            ValueError: If the task restores nothing, or the data lack a visible band or
                do not name their bands.
        """
        phase: Any = getattr(pl_module, 'phase', None)
        if phase is not None and not phase.restores:
            raise ValueError(
                'LPIPS is of restored images, and this task maps land cover alone. Leave '
                '`PerceptualSimilarity` out.'
            )
        self._channels = self._visible(getattr(trainer, 'datamodule', None))
        metric = self._load().to(pl_module.device)
        self._metrics = {'lpips': metric, 'input_lpips': metric.clone()}

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Sample,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch.

        Args:
            trainer: The trainer.
            pl_module: The task.
            outputs: The task's outputs for the batch.
            batch: The batch.
            batch_idx: Index of the batch.
            dataloader_idx: Index of the dataloader.
        """
        if 'reconstruction' not in outputs or 'image_clear' not in batch:
            return
        clear = self._picture(batch['image_clear'])
        self._metrics['lpips'].update(self._picture(outputs['reconstruction']), clear)
        self._metrics['input_lpips'].update(self._picture(batch['image']), clear)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the means over images.

        Args:
            trainer: The trainer.
            pl_module: The task.
        """
        for name, metric in self._metrics.items():
            if metric.update_called:
                pl_module.log(f'test_{name}', metric.compute())
        self._metrics = {}

    def _visible(self, datamodule: Any) -> list[int]:
        """Channels of red, green and blue."""
        bands = getattr(getattr(datamodule, 'input_record', None), 'bands', ())
        dataset = getattr(datamodule, 'dataset_class', None)
        names = self.rgb or getattr(dataset, 'rgb_bands', ())
        if not names or not set(names) <= set(bands):
            raise ValueError(
                f'LPIPS needs red, green and blue, but the bands are {list(bands)}. Read '
                'them in the data module, or name them with `rgb`.'
            )
        return [bands.index(name) for name in names]

    def _picture(self, image: Tensor) -> Tensor:
        return image[:, self._channels].float().clamp(0, 1)

    def _load(self) -> LearnedPerceptualImagePatchSimilarity:
        try:
            return LearnedPerceptualImagePatchSimilarity(self.net_type, normalize=True)
        # URLError is an OSError
        except OSError as error:
            folder = f'{torch.hub.get_dir()}/checkpoints'
            raise FileNotFoundError(
                f"LPIPS needs the weights of torchvision's `{self.net_type}` in "
                f"'{folder}', and they could not be downloaded: {error}. On a machine "
                'with a network run `python -c "from torchmetrics.image import '
                'LearnedPerceptualImagePatchSimilarity as L; '
                f'L({self.net_type!r})"`, and copy what that puts into its folder of '
                'that name.'
            ) from error
