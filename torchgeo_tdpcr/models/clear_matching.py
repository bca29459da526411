# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Restored colours, matched to what a scene shows between its own clouds.

Under a cloud a model restores the colours that such land has on average. A town or a field
of this scene may be darker, or another green, and its clear pixels show which. How far off
the model is here is found out by laying the scene's own clouds, mirrored, over its clear
pixels: what the model restores there can be compared. It is no part of the paper.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .around import mean_around, most_around

#: Takes optical and SAR images, returns restored ones.
Restore = Callable[[Tensor, Tensor], Tensor]

#: Pixels around a cloud that may be in it.
_MARGIN = 4
#: Clear pixels under mirrored clouds from which on a ratio counts half. Fewer are too much
#: like each other to tell what lies elsewhere.
_HALF = 1_500
#: How much of what was found is put right; land under the clouds is not quite like that
#: beside them.
_SHARE = 0.75
#: The ratios are no more than this and no less than its inverse.
_MOST = 2.0
#: By which axes clouds are mirrored, one after the other until there are enough pixels:
#: each costs as much as restoring the image does.
_MIRRORED = ((-2, -1), (-1,), (-2,))
_ENOUGH = 6_000


@torch.no_grad()
def match_clear(
    restore: Restore,
    image: Tensor,
    image_sar: Tensor,
    clouds: Tensor,
    restored: Tensor,
    valid: Tensor | None = None,
) -> Tensor:
    """Match restored images to the clear pixels of the images that they were made of.

    Of each image, each band is multiplied under clouds by one number: the ratio of what its
    clear pixels are, a mean of as they were seen and as they were restored when they were
    seen, to what is restored of them under mirrored clouds.

    Args:
        restore: The model.
        image: Cloudy optical images, B×C×H×W, in [0, 1].
        image_sar: SAR images, B×S×H×W, as the model takes them.
        clouds: B×H×W, true (or 1) in clouds and shadows.
        restored: What the model restored, B×C×H×W.
        valid: B×H×W bool, where there are data (defaults to everywhere).

    Returns:
        Restored images, B×C×H×W, in [0, 1]. Those without clouds, and without clear pixels
        to compare with, are as they were.

    Example:
        >>> def too_bright(image, image_sar):
        ...     return torch.where(image == 1, 0.6, image)
        >>> image = torch.full((1, 3, 64, 64), 0.3)
        >>> clouds = torch.zeros(1, 64, 64, dtype=torch.bool)
        >>> clouds[:, :20] = True
        >>> image[:, :, :20] = 1
        >>> restored = too_bright(image, None)
        >>> matched = match_clear(too_bright, image, image[:, :2], clouds, restored)
        >>> restored[0, 0, 0, 0].item(), matched[0, 0, 0, 0].item() < 0.5
        (0.6000000238418579, True)
    """
    clouds = clouds.bool()
    around = most_around(clouds.unsqueeze(1).float(), _MARGIN).squeeze(1) > 0
    clear = ~around
    if valid is not None:
        clear &= valid
    some = [
        i
        for i, cloudy in enumerate(clouds)
        if bool(cloudy.any()) and bool(clear[i].any())
    ]
    if not some:
        return restored
    ratio = _ratios(
        restore,
        *(tensor[some] for tensor in (image, image_sar, clouds, restored, clear)),
    )
    # Falls off around the clouds, as what is kept of clear pixels does
    weight = around[some].unsqueeze(1).to(restored.dtype)
    weight = mean_around(weight, _MARGIN)
    matched = restored.clone()
    matched[some] *= 1 + weight * (ratio[..., None, None] - 1)
    # Bright pixels, too, stay reflectance
    return matched.clamp_(0, 1)


def _ratios(
    restore: Restore,
    image: Tensor,
    image_sar: Tensor,
    clouds: Tensor,
    restored: Tensor,
    clear: Tensor,
) -> Tensor:
    """By what each band of each image is to be multiplied, B×C."""
    known = (image + restored) / 2
    wanted, found = (torch.zeros_like(image[:, :, 0, 0]) for _ in range(2))
    count = torch.zeros_like(wanted[:, :1])
    for axes in _MIRRORED:
        laid = clouds.flip(axes) & ~clouds
        under = laid & clear
        # Each image by itself, whatever others are in its batch
        lacks = (count[:, 0] < _ENOUGH) & under.flatten(1).any(1)
        few = lacks.nonzero()[:, 0]
        if not len(few):
            continue
        mirrored = image[few].flip(axes)
        covered = torch.where(laid[few].unsqueeze(1), mirrored, image[few])
        mask = under[few].unsqueeze(1).to(image.dtype)
        wanted[few] += (known[few] * mask).sum((2, 3))
        found[few] += (restore(covered, image_sar[few]) * mask).sum((2, 3))
        count[few] += mask.sum((2, 3))
    ratio = (wanted / found.clamp(min=1e-6)).clamp(1 / _MOST, _MOST)
    return ratio ** (_SHARE * count / (count + _HALF))
