# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Restored colours, matched to clear pixels."""

import pytest
import torch
from torch import Tensor

from torchgeo_tdpcr.models import clear_matching
from torchgeo_tdpcr.models.clear_matching import match_clear

CLOUD = 1.0
#: What the land of two places looks like, in three bands, and what a model takes it for.
DARK, PALE = torch.tensor([0.1, 0.2, 0.4]), torch.tensor([0.3, 0.3, 0.6])
USUAL = torch.tensor([0.2, 0.25, 0.5])


def by_heart(image: Tensor, image_sar: Tensor) -> Tensor:
    """Hands clear pixels on, and knows one colour for all that it does not see."""
    cloudy = (image == CLOUD).all(1, keepdim=True)
    return torch.where(cloudy, USUAL[:, None, None], image)


def scene(colour: Tensor, rows: int = 40) -> tuple[Tensor, Tensor]:
    """An image of one colour, 128 pixels a side, with clouds over its first rows."""
    image = colour[:, None, None].expand(3, 128, 128).clone()
    clouds = torch.zeros(128, 128, dtype=torch.bool)
    clouds[:rows] = True
    image[:, clouds] = CLOUD
    return image, clouds


def matched(image: Tensor, clouds: Tensor, **further: Tensor) -> Tensor:
    sar = torch.zeros(len(image), 2, *image.shape[2:])
    return match_clear(by_heart, image, sar, clouds, by_heart(image, sar), **further)


@pytest.mark.parametrize('colour', [DARK, PALE])
def test_colours_come_nearer_to_those_of_the_scene(colour: Tensor) -> None:
    image, clouds = scene(colour)
    found = matched(image[None], clouds[None])[0]
    before = (USUAL - colour).abs()
    after = (found[:, :30].mean((1, 2)) - colour).abs()
    assert (after < 0.5 * before).all()
    # Far from clouds nothing changes
    torch.testing.assert_close(found[:, 60:], image[:, 60:])


def test_each_image_by_itself() -> None:
    images, clouds = (
        torch.stack(parts)
        for parts in zip(scene(DARK), scene(PALE, 64), scene(DARK, 3), strict=True)
    )
    together = matched(images, clouds)
    for i, alone in enumerate(images):
        torch.testing.assert_close(
            matched(alone[None], clouds[i : i + 1])[0], together[i], atol=0, rtol=0
        )


@pytest.mark.parametrize('rows', [0, 128, 127])
def test_nothing_to_compare_with(rows: int) -> None:
    image, clouds = scene(DARK, rows)
    sar = torch.zeros(1, 2, 128, 128)
    assert torch.equal(matched(image[None], clouds[None]), by_heart(image[None], sar))


def test_few_pixels_tell_little() -> None:
    changes = []
    for rows in (2, 10, 40):
        image, clouds = scene(DARK, rows)
        found = matched(image[None], clouds[None])[0, :, 0, 0]
        changes.append(float((found / USUAL)[0]))
    assert 1 > changes[0] > changes[1] > changes[2] > DARK[0] / USUAL[0]


def test_missing_pixels_do_not_count() -> None:
    image, clouds = scene(DARK)
    valid = torch.ones_like(clouds)
    # What is missing is 0, and would make everything dark
    image[:, 64:], valid[64:] = 0, False
    found = matched(image[None], clouds[None], valid=valid[None])[0, :, 10, 10]
    assert (found <= USUAL).all()
    assert (found > 0.9 * DARK).all()


def test_ratios_are_bounded() -> None:
    image, clouds = scene(torch.tensor([1e-4, 0.9, 0.5]))
    found = matched(image[None], clouds[None])[0, :, 10, 10] / USUAL
    assert found[0] >= 0.5
    assert found[1] <= 2


def test_bright_pixels_stay_in_the_range() -> None:
    image, clouds = scene(PALE)
    # A roof under the cloud, which the model does see
    image[:, 5, 5] = torch.tensor([0.9, 0.95, 0.99])
    found = matched(image[None], clouds[None])
    assert found[0, :, 5, 5].tolist() == [1.0, 1.0, 1.0]
    assert found.max() == 1


def test_one_more_pass_where_it_tells_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counting(image: Tensor, image_sar: Tensor) -> Tensor:
        calls.append(len(image))
        return by_heart(image, image_sar)

    images, clouds = (
        torch.stack(parts)
        for parts in zip(scene(DARK, 60), scene(PALE, 0), strict=True)
    )
    sar = torch.zeros(2, 2, 128, 128)
    match_clear(counting, images, sar, clouds, by_heart(images, sar))
    assert calls == [1]
    calls.clear()
    monkeypatch.setattr(clear_matching, '_ENOUGH', 10_000)
    match_clear(counting, images, sar, clouds, by_heart(images, sar))
    # Mirrored from left to right, rows of clouds lie on each other
    assert calls == [1, 1]
