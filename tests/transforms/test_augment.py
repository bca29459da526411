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


def steps(place: torch.Tensor) -> tuple[int, int]:
    """The steps to the right and down, which tell the orientation."""
    return int(place[0, 1] - place[0, 0]), int(place[1, 0] - place[0, 0])


def test_one_orientation_for_a_batch() -> None:
    torch.manual_seed(0)
    augment = random_crop_flip_rotate(32, 'batch')
    seen = set()
    for _ in range(40):
        after = augment(batch())
        places = after['mask']
        found = after['image'][:, 12].round().long()
        assert torch.equal(found, places)
        assert places.dtype == torch.int64
        (orientation,) = {steps(place) for place in places}
        seen.add(orientation)
        assert len({int(sample.min() % (48 * 48)) for sample in places}) > 1
    # None, two flips, two turns by 90° and one by 180°: no flip of a turned image
    row = 48
    flips = {(1, row), (-1, row), (1, -row)}
    assert seen == flips | {(-1, -row), (row, -1), (-row, 1)}


def test_crop_alone() -> None:
    torch.manual_seed(0)
    after = random_crop_flip_rotate((32, 16), None)(batch())
    places = after['mask']
    assert places.shape == (8, 32, 16)
    assert {steps(place) for place in places} == {(1, 48)}
    assert torch.equal(after['image_sar'][:, 1].long(), places)


def test_unknown_augment() -> None:
    with pytest.raises(ValueError, match="`augment='pixel'`: choose"):
        random_crop_flip_rotate(32, 'pixel')  # type: ignore[arg-type]


def test_not_square() -> None:
    with pytest.raises(ValueError, match='square'):
        random_crop_flip_rotate((32, 64))
