# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The structural similarity map that the loss and the metric share.

The formula is kornia's, which filters rows and columns in turn and so takes less time
in training than one with the full window. Its mean equals torchmetrics'.
"""

import torch
from kornia.metrics import ssim
from torch import Tensor

from ._checks import to_full_precision

WINDOW = 11
#: Reflection at the border needs one pixel more than it mirrors.
SMALLEST = WINDOW // 2 + 1


def ssim_map(prediction: Tensor, target: Tensor, data_range: float = 1.0) -> Tensor:
    """Structural similarity at every pixel of every band.

    The window is an 11×11 Gaussian of σ 1.5 pixels, K1 is 0.01 and K2 is 0.03; borders
    are mirrored. The mean of the map is what
    :func:`torchmetrics.functional.image.structural_similarity_index_measure` gives.

    The work is done in float32, or float64 where an input is, also under autocast:
    variances are differences of nearly equal numbers, which half precision loses.

    Source: Wang et al., *Image quality assessment: from error visibility to structural
    similarity*, IEEE Transactions on Image Processing 13(4), 2004.

    Args:
        prediction: B×C×H×W, floating point, H and W at least 6.
        target: The same shape.
        data_range: Largest minus smallest possible value.

    Returns:
        B×C×H×W between -1 and 1, float32 or float64.

    Raises:
        ValueError: If an image is smaller than 6 pixels.

    Examples:
        >>> import torch
        >>> image = torch.rand(2, 13, 32, 32)
        >>> ssim_map(image, image).mean().round(decimals=4)
        tensor(1.)
    """
    height, width = prediction.shape[-2:]
    if height < SMALLEST or width < SMALLEST:
        raise ValueError(
            f'`prediction`: images of {height}×{width} pixels are too small for SSIM, '
            f'whose {WINDOW}×{WINDOW} window needs at least {SMALLEST} each way. Use '
            'larger patches or `lambda_ssim=0`.'
        )
    prediction, target = to_full_precision(prediction, target)
    # Not every version of kornia leaves autocast by itself
    with torch.autocast(prediction.device.type, enabled=False):
        # kornia's default eps would make identical dark images differ
        return ssim(prediction, target, WINDOW, max_val=float(data_range), eps=0.0)
