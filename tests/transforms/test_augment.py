# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import pytest
import torch

from torchgeo_tdpcr.transforms import random_crop_flip_rotate


def batch(size: int = 48, number: int = 8) -> dict[str, torch.Tensor]:
    """A batch in which every pixel of every key tells where it was."""
    place = torch.arange(number * size * size).reshape(number, size, size)
    planes = place[:, None].float()
    return {
        'image': planes.repeat(1, 13, 1, 1),
        'image_clear': planes.repeat(1, 13, 1, 1),
        'image_sar': planes.repeat(1, 2, 1, 1),
        'image_thickness': planes.clone(),
        'mask': place.clone(),
        'mask_cloud': place.clone(),
        'bounds': torch.zeros(number, 9, dtype=torch.float64),
        'epsg': torch.full((number,), 32632),
    }


def test_every_key_stays_aligned() -> None:
    torch.manual_seed(0)
    augment = random_crop_flip_rotate(32)
    seen = set()
    for _ in range(8):
        before = batch()
        after = augment(before)
        place = after['mask']
        assert place.shape == (8, 32, 32)
        assert place.dtype == torch.int64
        assert torch.equal(after['mask_cloud'], place)
        for key in ('image', 'image_clear', 'image_sar', 'image_thickness'):
            for channel in range(after[key].shape[1]):
                found = after[key][:, channel].round().long()
                assert torch.equal(found, place), key
        assert torch.equal(after['epsg'], batch()['epsg'])
        for i, sample in enumerate(place):
            assert torch.equal(sample // (48 * 48), torch.full_like(sample, i))
            # The steps to the right and down tell which of the 8 orientations it is.
            seen.add(
                (int(sample[0, 1] - sample[0, 0]), int(sample[1, 0] - sample[0, 0]))
            )
    assert len(seen) == 8


def test_samples_get_different_crops() -> None:
    torch.manual_seed(0)
    place = random_crop_flip_rotate(32)(batch())['mask'] % (48 * 48)
    assert len({int(sample.min()) for sample in place}) > 1


def test_not_square() -> None:
    with pytest.raises(ValueError, match='square'):
        random_crop_flip_rotate((32, 64))
