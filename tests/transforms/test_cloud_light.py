# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Clouds are as bright as real ones are, for what they hide."""

import numpy as np
import pytest

from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS
from torchgeo_tdpcr.transforms.cloud_light import CloudLight, draw_light, spread
from torchgeo_tdpcr.transforms.sky import CloudLayer

BANDS = list(SENTINEL2_BANDS)
BLUE, INFRARED, SHORT_WAVE = (BANDS.index(name) for name in ('B2', 'B8A', 'B11'))


def layer(depth: float = 3, height: float = 1, ice: float = 0) -> CloudLayer:
    return CloudLayer(np.zeros((4, 4), np.float32), depth, 1, height, ice)


def light(**kwargs: object) -> CloudLight:
    values: dict = {
        'layer': layer(),
        'faint': 0.3,
        'reach': 3.0,
        'tilt': 0.0,
        'swir': ((1.0, 6000.0), (0.7, 4500.0)),
    }
    return CloudLight(**(values | kwargs))


def flat(value: float) -> np.ndarray:
    return np.full((4, 4), value, np.float32)


def test_hidden_ground_is_not_yet_a_bright_cloud() -> None:
    cloud = light()
    # One pixel of 2000 where the mean is 1000
    ground = flat(14_000 / 15)
    ground[0, 0] = 2000
    seen = cloud.over(ground, BLUE, flat(3), flat(1))[0, 0]
    full = 0.3 + 0.7 * (1 - np.exp(-1))
    top = 6885 * full
    back = 0.8 * (1 - top / 1e4) * 1000
    expected = 2000 * np.exp(-3) + (top + back) * (1 - np.exp(-3))
    np.testing.assert_allclose(seen, expected, rtol=1e-5)
    # 95 % is hidden, at less than two thirds of the brightness of a thick cloud
    assert top < 0.75 * cloud.top(BLUE, flat(30), flat(1)).mean()


def test_short_wave_infrared_comes_to_its_limit() -> None:
    cloud = light()
    dim, bright = (cloud.top(SHORT_WAVE, flat(30), flat(x)).mean() for x in (0.4, 2.0))
    assert dim == pytest.approx(0.4 * 6885, rel=0.02)
    assert 0.95 * 6000 < bright < 6000
    assert cloud.top(BLUE, flat(30), flat(2)).mean() == pytest.approx(13770, 1e-3)


def test_cirrus_only_adds_its_light() -> None:
    thin = draw_light(np.random.default_rng(0), layer(depth=0.3, height=9, ice=1))
    assert thin.faint == 1
    # What is around makes no difference
    ground = flat(9e3)
    ground[0, 0] = 500
    one, other = (thin.over(x, 1, flat(0.2), flat(1)) for x in (flat(500), ground))
    assert one[0, 0] == other[0, 0]


def test_no_cloud_changes_nothing() -> None:
    for seed in range(3):
        drawn = draw_light(np.random.default_rng(seed), layer())
        for band in range(13):
            seen = drawn.over(flat(1234), band, flat(0), flat(1))
            np.testing.assert_array_equal(seen, flat(1234))


def test_tilt_is_felt_in_the_near_infrared() -> None:
    plain, tilted = light(), light(tilt=0.1)
    for band, factor in ((BLUE, 1), (INFRARED, np.exp(0.1))):
        ratio = tilted.top(band, flat(9), flat(1)) / plain.top(band, flat(9), flat(1))
        np.testing.assert_allclose(ratio, factor, rtol=1e-5)


def test_drawn_droplets_that_absorb_less_are_whiter() -> None:
    drawn = [draw_light(np.random.default_rng(seed), layer()) for seed in range(200)]
    limits = np.array([cloud.swir[0][1] for cloud in drawn])
    ratio = np.array([cloud.swir[1][0] / cloud.swir[0][0] for cloud in drawn])
    assert 5000 < limits.min() < 5600
    assert 9000 < limits.max() < 1.1e4
    assert np.corrcoef(limits, ratio)[0, 1] > 0.8


def test_spread_is_smooth_and_keeps_means() -> None:
    rng = np.random.default_rng(0)
    for shape in ((64, 48), (5, 100), (2, 33, 17)):
        field = rng.uniform(0, 1, shape).astype(np.float32)
        wide = spread(field, 16)
        assert wide.shape == shape
        assert wide.dtype == np.float32
        assert wide.mean() == pytest.approx(field.mean(), abs=0.05)
        assert np.abs(np.diff(wide, axis=-1)).max(initial=0) < 0.1
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32), (64, 64))
    # Straight between the centres of the cells
    np.testing.assert_allclose(spread(ramp, 16)[:, 8:-8], ramp[:, 8:-8], atol=1e-4)
