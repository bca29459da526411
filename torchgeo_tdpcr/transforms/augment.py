# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Geometric augmentation of a batch, the same for every key of a sample."""

from typing import Literal, get_args

import kornia.augmentation as K
from torch import nn

#: Whether flips and rotations are drawn for each chip, or once for a whole batch.
Augment = Literal['chip', 'batch']


def random_crop_flip_rotate(
    size: int | tuple[int, int], augment: Augment | None = 'chip'
) -> nn.Module:
    """A random crop, flips, and rotations by multiples of 90°.

    kornia finds the keys by prefix: ``image…`` and ``mask…`` are transformed together,
    each sample of the batch cropped on its own, on the device that it is on; other keys
    are left as they are. Labels stay labels; a rotated image is exact to rounding,
    because kornia resamples at the pixel centres.

    Args:
        size: Height and width of the crop in pixels, at most those of the batch. A
            square, so that rotations keep the shape, unless *augment* is None.
        augment: ``'chip'`` to draw one of the eight flips and rotations for each chip;
            ``'batch'`` to draw one of six for the whole batch, as ECRformer does: none,
            a flip either way, or a rotation by 90°, 180° or 270°; None to crop only.

    Returns:
        A module from batch to batch.

    Raises:
        ValueError: If *size* is not square, or *augment* is none of its choices.

    Example:
        >>> import torch
        >>> batch = {'image': torch.rand(2, 13, 64, 64), 'mask': torch.ones(2, 64, 64)}
        >>> {k: tuple(v.shape) for k, v in random_crop_flip_rotate(32)(batch).items()}
        {'image': (2, 13, 32, 32), 'mask': (2, 32, 32)}
    """
    height, width = (size, size) if isinstance(size, int) else size
    if augment not in (*get_args(Augment), None):
        raise ValueError(f"`augment={augment!r}`: choose 'chip', 'batch' or None.")
    if height != width and augment is not None:
        raise ValueError(
            f'`patch_size={size}` is not square, which rotations by 90° need. Give one '
            'number.'
        )
    crop = K.RandomCrop((height, width))
    if augment is None:
        return _alike(crop)
    if augment == 'chip':
        flips = K.RandomHorizontalFlip(), K.RandomVerticalFlip()
        return _alike(crop, *flips, K.RandomRotation90((0, 3), p=1.0))
    # A turn by 0 is the sixth choice
    turns = (K.RandomRotation90((n, n), p=1.0) for n in range(4))
    flips = K.RandomHorizontalFlip(p=1.0), K.RandomVerticalFlip(p=1.0)
    return nn.Sequential(_alike(crop), _alike(*flips, *turns, random_apply=1))


def _alike(
    *steps: K.base._AugmentationBase, random_apply: int | bool = False
) -> nn.Module:
    """Steps that treat all keys of a sample alike."""
    return K.AugmentationSequential(
        *steps, data_keys=None, keepdim=True, random_apply=random_apply
    )
