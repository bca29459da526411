# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import pytest
import torch

from torchgeo_tdpcr.transforms import (
    Sentinel1Denormalize,
    Sentinel1Normalize,
    Sentinel2Denormalize,
    Sentinel2Normalize,
)

DEVICES = ['cpu'] + (['cuda'] if torch.cuda.is_available() else [])


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('batch', [(), (2,)])
@pytest.mark.parametrize('offset', [0, 1000])
def test_optical_round_trip_is_exact(device: str, batch: tuple, offset: int) -> None:
    image = torch.arange(10_001, dtype=torch.float32, device=device) + offset
    image = image[:10_000].reshape(100, 100).expand(*batch, 13, 100, 100)
    normal = Sentinel2Normalize(offset=offset)(image)
    assert normal.min() == 0
    assert normal.max() == pytest.approx(0.9999)
    back = Sentinel2Denormalize(offset=offset)(normal)
    assert torch.equal(back.round(), image)
    torch.testing.assert_close(back, image, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize('clip', ['joint', 'shared'])
def test_sar_round_trip(clip: str) -> None:
    image = -25 * torch.rand(3, 2, 16, 16)
    normal = Sentinel1Normalize(clip)(image)  # type: ignore[arg-type]
    assert 0 <= normal.min() <= normal.max() <= 1
    torch.testing.assert_close(Sentinel1Denormalize(clip)(normal), image)  # type: ignore[arg-type]


def test_sar_clips_differ_in_vh_only() -> None:
    image = torch.tensor([-12.5, -12.5]).reshape(2, 1, 1)
    joint = Sentinel1Normalize('joint')(image).flatten()
    shared = Sentinel1Normalize('shared')(image).flatten()
    assert joint[0] == shared[0] == 0.5
    assert joint[1] == pytest.approx(20 / 32.5)
    assert shared[1] == 0.5


def test_clips_outside_and_keeps_the_input() -> None:
    image = torch.tensor([-100.0, 10_100.0]).reshape(1, 1, 2)
    assert Sentinel2Normalize(['B2'])(image).flatten().tolist() == [0, 1]
    assert image.flatten().tolist() == [-100, 10_100]
    integers = torch.tensor([[[5000]]], dtype=torch.int32)
    assert Sentinel2Normalize(['B2'])(integers).item() == 0.5


def test_samples() -> None:
    sample = {
        'image': torch.full((13, 2, 2), 5000.0),
        'image_clear': torch.full((13, 2, 2), 2500.0),
        'image_sar': torch.full((2, 2, 2), -12.5),
        'mask': torch.ones(2, 2, dtype=torch.long),
    }
    out = Sentinel1Normalize()(Sentinel2Normalize()(sample))
    assert out['image'].unique().item() == 0.5
    assert out['image_clear'].unique().item() == 0.25
    assert out['image_sar'][0].unique().item() == 0.5
    assert out['mask'] is sample['mask']
    assert sample['image'].unique().item() == 5000


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match='B99'):
        Sentinel2Normalize(['B99'])
    with pytest.raises(ValueError, match='clip'):
        Sentinel1Normalize('neither')  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='13×H×W'):
        Sentinel2Normalize()(torch.rand(12, 2, 2))
    with pytest.raises(ValueError, match='image_clear'):
        Sentinel2Normalize(['B2'])({'image_clear': torch.rand(2, 4, 4)})
