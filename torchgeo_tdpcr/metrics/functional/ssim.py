# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The structural similarity map that the loss and the metric share.

The formula is kornia's, which filters rows and columns in turn and so takes less time
in training than one with the full window. Its mean equals torchmetrics'.
"""

from typing import Literal, get_args

import torch
from kornia.metrics import ssim
from torch import Tensor
from torch.nn import functional as F

from ._checks import to_full_precision

WINDOW = 11
#: Reflection at the border needs one pixel more than it mirrors.
SMALLEST = WINDOW // 2 + 1

#: What lies beyond the border of an image: its mirror image, or zeros.
Border = Literal['reflect', 'zeros']


def check_border(name: str, border: str) -> Border:
    """Return the border of SSIM, or refuse it.

    Args:
        name: The argument that it came from.
        border: Its value.

    Returns:
        The same.

    Raises:
        ValueError: If it is none of the choices.
    """
    for choice in get_args(Border):
        if border == choice:
            known: Border = choice
            return known
    raise ValueError(f"`{name}={border!r}`: choose 'reflect' or 'zeros'.")


def ssim_map(
    prediction: Tensor,
    target: Tensor,
    data_range: float = 1.0,
    border: Border = 'reflect',
) -> Tensor:
    """Structural similarity at every pixel of every band.

    The window is an 11×11 Gaussian of σ 1.5 pixels, K1 is 0.01 and K2 is 0.03. With
    mirrored borders the mean of the map is what
    :func:`torchmetrics.functional.image.structural_similarity_index_measure` gives. With
    zeros it is what most published figures of cloud removal are: in a frame of five
    pixels both images fall to zero alike, so they look more similar, by 0.001 to 0.01
    over 256×256 pixels.

    The work is done in float32, or float64 where an input is, also under autocast:
    variances are differences of nearly equal numbers, which half precision loses.

    Source: Wang et al., *Image quality assessment: from error visibility to structural
    similarity*, IEEE Transactions on Image Processing 13(4), 2004.

    Args:
        prediction: B×C×H×W, floating point, H and W at least 6.
        target: The same shape.
        data_range: Largest minus smallest possible value.
        border: ``'reflect'`` to mirror the images at their borders, ``'zeros'`` to pad
            them with zeros.

    Returns:
        B×C×H×W between -1 and 1, float32 or float64.

    Raises:
        ValueError: If an image is smaller than 6 pixels, or *border* is neither.

    Examples:
        >>> import torch
        >>> image = torch.rand(2, 13, 32, 32)
        >>> ssim_map(image, image).mean().round(decimals=4)
        tensor(1.)
    """
    check_border('border', border)
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
        padding = 'same'
        if border == 'zeros':
            frame = (WINDOW // 2,) * 4
            prediction, target = F.pad(prediction, frame), F.pad(target, frame)
            padding = 'valid'
        return ssim(prediction, target, WINDOW, float(data_range), 0.0, padding)
