# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import pytest
import torch
from model_checks import pair
from torch import Tensor

from torchgeo_tdpcr.models.inputs import (
    OpticalSARModel,
    check_multiple,
    padded,
    refuse_classes,
)


class Copy(OpticalSARModel):
    """Gives back what it gets, and notes its size."""

    stride = 8

    def compute(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        self.seen = image.shape, image_sar.shape
        return {'reconstruction': image, 'sar': image_sar}


class Blind(Copy):
    """The same, which may do without radar."""

    sar_optional = True


def test_a_model_without_radar_is_given_none() -> None:
    with pytest.raises(ValueError, match='`sar_channels=0`: Copy has an input for SAR'):
        Copy(in_channels=3, sar_channels=0)
    model = Blind(in_channels=3, sar_channels=0)
    image, sar = pair(2, 9, 16, bands=3)
    for given in (sar, sar[:, :0]):
        assert model(image, given)['sar'].shape == (2, 0, 9, 16)
    with pytest.raises(ValueError, match='`image`'):
        model(image[:, 1:], sar)


@pytest.mark.parametrize(
    ('size', 'inside'), [((1, 1), (8, 8)), ((16, 24), (16, 24)), ((9, 16), (16, 16))]
)
def test_models_see_padded_images_and_return_cropped_ones(
    size: tuple[int, int], inside: tuple[int, int]
) -> None:
    model = Copy(in_channels=3, sar_channels=2, num_classes=5)
    assert (model.in_channels, model.sar_channels, model.num_classes) == (3, 2, 5)
    image, sar = pair(2, *size, bands=3)
    out = model(image, sar)
    assert model.seen == ((2, 3, *inside), (2, 2, *inside))
    assert torch.equal(out['reconstruction'], image)
    assert torch.equal(out['sar'], sar)


@pytest.mark.parametrize(
    ('size', 'inside'), [((1, 30), (24, 32)), ((24, 25), (24, 32)), ((17, 3), (24, 24))]
)
def test_models_see_so_many_pixels_at_least(
    size: tuple[int, int], inside: tuple[int, int]
) -> None:
    model = Copy(in_channels=3, sar_channels=2)
    # Rounded up to the stride of 8
    model.smallest = 20
    image, sar = pair(2, *size, bands=3)
    out = model(image, sar)
    assert model.seen == ((2, 3, *inside), (2, 2, *inside))
    assert torch.equal(out['reconstruction'], image)


def test_wrong_inputs_never_reach_the_model() -> None:
    model = Copy(in_channels=3, sar_channels=2)
    image, sar = pair(1, 8, 8, bands=3)
    for inputs, named in (
        ((image[0], sar), r'`image` has shape \(3, 8, 8\)'),
        ((image[:, :2], sar), 'built for B×3×H×W'),
        ((image, sar[:, :1]), '`image_sar` has shape'),
        ((image[..., :4], sar), 'Bring both to one grid'),
    ):
        with pytest.raises(ValueError, match=named):
            model(*inputs)
    assert not hasattr(model, 'seen')


def test_a_model_has_to_compute() -> None:
    with pytest.raises(TypeError, match='compute'):
        OpticalSARModel(in_channels=3, sar_channels=2)  # type: ignore[abstract]


def test_border_is_repeated_in_channels_last() -> None:
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    out = padded(image, 4)
    assert out[0, 0].tolist() == [
        [0, 1, 2, 2],
        [3, 4, 5, 5],
        [3, 4, 5, 5],
        [3, 4, 5, 5],
    ]
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match='`num_classes=7`: DSen2-CR does not segment'):
        refuse_classes(7, 'DSen2-CR')
    with pytest.raises(
        ValueError, match='`channels=10` must be a positive multiple of `heads=4`'
    ):
        check_multiple('channels', 10, 4, 'heads')
    with pytest.raises(
        ValueError, match=r'`channels=10` must be a positive multiple of 4\.'
    ):
        check_multiple('channels', 10, 4)
    with pytest.raises(ValueError, match='`channels=0` must be a positive multiple'):
        check_multiple('channels', 0, 4)
    with pytest.raises(ValueError, match='`heads=0` must be at least 1'):
        check_multiple('channels', 8, 0, 'heads')
