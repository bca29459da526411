# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""PSNR, SSIM, MAE and SAM over a data set, also by kind of pixel and cloud cover."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from .functional._checks import check_data_range
from .functional.restoration import MEASURES, score_images
from .functional.ssim import Border, check_border

#: Kinds of pixels, then ranges of the image's own cloud cover in percent.
PARTS = ('', '_cloudy', '_clear')
COVERS = ('_0_20', '_20_40', '_40_60', '_60_80', '_80_100')


class RestorationMetrics(Metric):
    """Means over images of PSNR (dB), SSIM, MAE and SAM (degrees).

    Each image is scored on its own and the scores are averaged, as the published
    figures are; :mod:`torchgeo_tdpcr.metrics.functional` defines the scores. Identical
    images have a PSNR of 100 dB. Predictions are not clipped to the data range.

    :meth:`compute` returns a flat dictionary with the keys

    * ``psnr``, ``ssim``, ``mae``, ``sam``: over all pixels;
    * the same with ``_cloudy`` and ``_clear``: over the pixels of that kind in each
      image; images without such pixels do not count;
    * the same with ``_0_20``, ``_20_40``, ``_40_60``, ``_60_80``, ``_80_100``: over
      all pixels of the images with that cloud cover in percent. The lower end belongs
      to the range, and 100 to the last.

    The last two need a cloud mask. A key without any image behind it is left out. A
    NaN in an image makes the scores of its part NaN.

    Args:
        data_range: Largest minus smallest possible value of the images.
        prefix: Put before every key, such as ``'val/'``.
        ssim_border: What SSIM finds beyond the borders of an image: ``'reflect'``, its
            mirror image, or ``'zeros'``, as most published figures; see
            :func:`torchgeo_tdpcr.metrics.functional.ssim_map`.
        **kwargs: Arguments of :class:`torchmetrics.Metric`.

    Raises:
        ValueError: If ``data_range`` is not positive, or ``ssim_border`` is neither.

    Examples:
        >>> import torch
        >>> metrics = RestorationMetrics(prefix='val/')
        >>> target = torch.full((2, 13, 16, 16), 0.25)
        >>> metrics.update(target + 0.1, target)
        >>> metrics.compute()['val/psnr']
        tensor(20.)
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    sums: Tensor
    counts: Tensor

    def __init__(
        self,
        data_range: float = 1.0,
        prefix: str = '',
        ssim_border: Border = 'reflect',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_range = check_data_range(data_range)
        self.prefix = prefix
        self.ssim_border = check_border('ssim_border', ssim_border)
        groups = len(PARTS) + len(COVERS)
        # float32, as some accelerators have no float64: a mean over 20,000 images is
        # then good to 0.001 dB
        self.add_state('sums', torch.zeros(groups, len(MEASURES)), 'sum')
        self.add_state('counts', torch.zeros(groups, dtype=torch.long), 'sum')

    def update(
        self, prediction: Tensor, target: Tensor, mask_cloud: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            prediction: B×C×H×W, floating point, H and W at least 6, two bands or more.
            target: The same shape.
            mask_cloud: B×H×W, 1 where cloud or shadow.

        Raises:
            TypeError: If an image is not floating point or the mask is.
            ValueError: If shapes, sizes or values do not fit.
        """
        scores, pixels = score_images(
            prediction, target, mask_cloud, self.data_range, self.ssim_border
        )
        counted = pixels > 0
        if mask_cloud is not None:
            everywhere, cloudy = pixels[0], pixels[1]
            # whole numbers, as 0.2 has no exact floating-point form
            cover = (cloudy * len(COVERS) // everywhere).clamp(max=len(COVERS) - 1)
            covers = torch.arange(len(COVERS), device=cover.device)
            counted = torch.cat((counted, cover == covers[:, None]))
            scores = torch.cat((scores, scores[:1].expand(len(COVERS), -1, -1)))
        groups = len(counted)
        added = torch.where(counted[:, None], scores, 0.0).sum(-1)
        self.sums[:groups] += added.to(self.sums)
        self.counts[:groups] += counted.sum(-1).to(self.counts)

    def compute(self) -> dict[str, Tensor]:
        """Return the means.

        Returns:
            A scalar for each key that has an image behind it.
        """
        means = self.sums / self.counts[:, None]
        return {
            f'{self.prefix}{measure}{group}': value
            for group, count, values in zip(
                PARTS + COVERS, self.counts.tolist(), means, strict=True
            )
            for measure, value in zip(MEASURES, values, strict=True)
            if count
        }
