# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Clouds cover what was asked for, look right per band, and cast shadows."""

import numpy as np
import pytest
import torch

from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS
from torchgeo_tdpcr.transforms.clouds import SimulateClouds, simulate_clouds
from torchgeo_tdpcr.transforms.noise import block_mean, fractal_noise, smooth
from torchgeo_tdpcr.transforms.sky import THICKNESS_LIMIT, Kind

BANDS = list(SENTINEL2_BANDS)


def ground(size: int = 128) -> np.ndarray:
    return np.full((13, size, size), 1500, np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize('kind', ['cumulus', 'stratus', 'cirrus', 'veil'])
@pytest.mark.parametrize('cover', [0.1, 0.5, 0.9])
def test_cover_is_met(kind: Kind, cover: float) -> None:
    sky = simulate_clouds(ground(), rng(), cover, kinds=[kind])
    assert sky.mask.mean() == pytest.approx(cover, abs=0.02)


def test_no_cover_means_no_cloud_and_full_cover_means_all() -> None:
    sky = simulate_clouds(ground(), rng(), 0.0)
    assert not sky.mask.any()
    assert not sky.thickness.any()
    assert simulate_clouds(ground(), rng(), 1.0).mask.mean() > 0.98


@pytest.mark.parametrize('seed', range(5))
def test_thickness_is_zero_where_the_sky_is_clear(seed: int) -> None:
    sky = simulate_clouds(ground(), rng(seed), 0.4)
    assert not sky.thickness[~sky.mask].any()
    cloud = sky.thickness > 0
    assert cloud.any()
    assert sky.thickness[cloud].min() >= THICKNESS_LIMIT
    assert sky.mask[cloud].all()


def test_thicker_is_brighter() -> None:
    sky = simulate_clouds(ground(), rng(), 0.6, kinds=['cumulus'], height=0.5)
    green = sky.image[BANDS.index('B3')]
    assert np.corrcoef(green.ravel(), sky.thickness.ravel())[0, 1] > 0.6


@pytest.mark.parametrize(
    ('azimuth', 'down', 'right'), [(180, -1, 0), (0, 1, 0), (90, 0, -1), (270, 0, 1)]
)
def test_shadow_lies_away_from_the_sun(azimuth: int, down: int, right: int) -> None:
    """The dark pixels are the clouds, moved by height times tan(zenith)."""
    clear = ground(256)
    sky = simulate_clouds(
        clear, rng(3), 0.3, kinds=['cumulus'], sun=(azimuth, 45), height=0.4
    )
    near_infrared = sky.image[BANDS.index('B8')]
    dark = np.maximum(1400 - near_infrared, 0) * (sky.thickness == 0)
    shift = 40  # 400 m at 45 degrees, in pixels
    moved = np.roll(sky.thickness, (shift * down, shift * right), (0, 1))
    wrong = np.roll(sky.thickness, (-shift * down, -shift * right), (0, 1))
    inner = np.s_[48:-48, 48:-48]
    right_way = np.corrcoef(dark[inner].ravel(), moved[inner].ravel())[0, 1]
    wrong_way = np.corrcoef(dark[inner].ravel(), wrong[inner].ravel())[0, 1]
    assert right_way > 0.4
    assert right_way > wrong_way + 0.3


def test_b10_sees_high_clouds_only() -> None:
    clear = ground()
    clear[BANDS.index('B10')] = 15
    low = simulate_clouds(clear, rng(), 0.8, kinds=['cumulus'], height=1.0)
    high = simulate_clouds(clear, rng(), 0.8, kinds=['cirrus'], height=10.0)
    assert low.image[BANDS.index('B10')].max() < 60
    assert high.image[BANDS.index('B10')].max() > 150


def test_coarse_bands_stay_coarse() -> None:
    """Cloud over level ground is constant within the blocks of a 60 m band."""
    sky = simulate_clouds(ground(), rng(), 0.5, height=0.1, origin=(2, 4))
    haze_free = sky.image[BANDS.index('B10')]
    block = haze_free[4:10, 2:8]  # 4 + 2 and 2 + 4 are multiples of 6
    inside = np.ptp(block) / max(np.ptp(haze_free), 1e-6)
    assert inside < 0.2


def test_a_subset_of_bands_gets_the_same_sky() -> None:
    names = ['B4', 'B12', 'B2']
    every = simulate_clouds(ground(), rng(5), 0.5)
    some = simulate_clouds(ground()[:3], rng(5), 0.5, bands=names)
    index = [BANDS.index(name) for name in names]
    np.testing.assert_array_equal(some.image, every.image[index])
    np.testing.assert_array_equal(some.mask, every.mask)


@pytest.mark.parametrize('shape', [(33, 70), (200, 64)])
def test_any_size(shape: tuple[int, int]) -> None:
    sky = simulate_clouds(np.full((13, *shape), 900, np.float32), rng(), 0.5)
    assert sky.image.shape == (13, *shape)
    assert sky.mask.shape == sky.thickness.shape == shape
    assert np.isfinite(sky.image).all()
    assert sky.image.dtype == sky.thickness.dtype == np.float32


def test_input_is_left_alone() -> None:
    clear = ground()
    simulate_clouds(clear, rng(), 0.5)
    assert (clear == 1500).all()


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r'cover=1\.5'):
        simulate_clouds(ground(), rng(), 1.5)
    with pytest.raises(ValueError, match=r'`clear` has shape \(4, 8, 8\)'):
        simulate_clouds(np.zeros((4, 8, 8), np.float32), rng(), 0.5)
    with pytest.raises(ValueError, match='kinds'):
        simulate_clouds(ground(), rng(), 0.5, kinds=['fog'])  # type: ignore[list-item]
    with pytest.raises(ValueError, match='kinds'):
        simulate_clouds(ground(), rng(), 0.5, kinds=[])
    with pytest.raises(ValueError, match='B99'):
        SimulateClouds(bands=['B99'])
    with pytest.raises(ValueError, match='cover'):
        SimulateClouds(cover=(0.8, 0.2))


def test_transform_sets_its_keys() -> None:
    sample = {'image_clear': torch.full((13, 64, 64), 1500.0)}
    sample = SimulateClouds(cover=(0.5, 0.5), seed=1)(sample)
    assert sample['image'].shape == (13, 64, 64)
    assert sample['image'].dtype == torch.float32
    assert sample['mask_cloud'].dtype == torch.int64
    assert sample['mask_cloud'].float().mean() == pytest.approx(0.5, abs=0.05)
    assert sample['image_thickness'].shape == (1, 64, 64)
    assert (sample['image_clear'] == 1500).all()


def test_seed_fixes_the_sky_of_a_chip() -> None:
    transform = SimulateClouds(cover=(0.3, 0.7), seed=1)
    first = {'image_clear': torch.full((13, 64, 64), 1500.0)}
    second = {'image_clear': torch.full((13, 64, 64), 1501.0)}
    one = transform(dict(first))['image']
    assert torch.equal(one, transform(dict(first))['image'])
    other = transform(dict(second))['image_thickness']
    assert not torch.equal(transform(dict(first))['image_thickness'], other)


def test_without_seed_skies_differ_and_follow_torch() -> None:
    transform = SimulateClouds(cover=(0.5, 0.5))
    sample = {'image_clear': torch.full((13, 64, 64), 1500.0)}
    torch.manual_seed(0)
    one, two = transform(dict(sample))['image'], transform(dict(sample))['image']
    torch.manual_seed(0)
    again = transform(dict(sample))['image']
    assert not torch.equal(one, two)
    assert torch.equal(one, again)


def test_transform_names_what_is_missing() -> None:
    with pytest.raises(KeyError, match='image_clear'):
        SimulateClouds()({'image': torch.zeros(13, 8, 8)})
    with pytest.raises(ValueError, match='2, 13, 64, 64'):
        SimulateClouds()({'image_clear': torch.zeros(2, 13, 64, 64)})


def test_noise_has_the_slope_asked_for() -> None:
    def fine(slope: float) -> float:
        field = fractal_noise(rng(), (256, 256), slope)
        assert field.mean() == pytest.approx(0, abs=1e-4)
        assert field.std() == pytest.approx(1, abs=1e-3)
        return float(np.abs(np.diff(field)).mean())

    assert fine(3.5) < fine(2.5) < fine(1.0)


def test_stretched_noise_runs_along_its_angle() -> None:
    field = fractal_noise(rng(), (128, 128), 3, stretch=6, angle=0.0)
    down, right = np.abs(np.diff(field, axis=0)).mean(), np.abs(np.diff(field)).mean()
    assert down > 1.5 * right


def test_block_mean_keeps_means_and_starts_at_the_origin() -> None:
    field = rng().normal(size=(2, 24, 24)).astype(np.float32)
    blocks = block_mean(field, 6)
    np.testing.assert_allclose(blocks[:, 6:12, :6].std((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(
        blocks[:, 6, 0], field[:, 6:12, :6].mean((1, 2)), atol=1e-5
    )
    # the window of a scene's blocks is the blocks of the window, away from its edges
    window = block_mean(field[:, 2:, 3:], 6, (2, 3))
    np.testing.assert_allclose(window[:, 4:, 3:], blocks[:, 6:, 6:], atol=1e-6)


def test_smooth_keeps_level_fields() -> None:
    np.testing.assert_allclose(smooth(np.full((5, 7), 3, np.float32), 3), 3)
