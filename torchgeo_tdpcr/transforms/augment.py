# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Geometric augmentation of a batch, the same for every key of a sample."""

import kornia.augmentation as K
from torch import nn


def random_crop_flip_rotate(size: int | tuple[int, int]) -> nn.Module:
    """A random crop, flips, and rotations by multiples of 90°.

    kornia finds the keys by prefix: ``image…`` and ``mask…`` are transformed together,
    each sample of the batch on its own, on the device that it is on; other keys are
    left as they are. Labels stay labels; a rotated image is exact to rounding, because
    kornia resamples at the pixel centres.

    Args:
        size: Height and width of the crop in pixels, at most those of the batch. A
            square, so that rotations keep the shape.

    Returns:
        A module from batch to batch.

    Raises:
        ValueError: If *size* is not square.

    Example:
        >>> import torch
        >>> batch = {'image': torch.rand(2, 13, 64, 64), 'mask': torch.ones(2, 64, 64)}
        >>> {k: tuple(v.shape) for k, v in random_crop_flip_rotate(32)(batch).items()}
        {'image': (2, 13, 32, 32), 'mask': (2, 32, 32)}
    """
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ValueError(
            f'`patch_size={size}` is not square, which rotations by 90° need. Give one '
            'number.'
        )
    return K.AugmentationSequential(
        K.RandomCrop((height, width)),
        K.RandomHorizontalFlip(),
        K.RandomVerticalFlip(),
        K.RandomRotation90((0, 3), p=1.0),
        data_keys=None,
        keepdim=True,
    )
