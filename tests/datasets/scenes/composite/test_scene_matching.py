# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of making another date as bright as a scene."""

import numpy as np
import pytest

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.composite.matching import CELL, Matcher

SHAPE = (2, 200, 170)
WHOLE = PixelBox(0, 0, SHAPE[2], SHAPE[1])


def learn(scene, other, both, size=4 * CELL):
    """Learn from windows."""
    matcher = Matcher(*SHAPE)
    for top in range(0, SHAPE[1], size):
        for left in range(0, SHAPE[2], size):
            box = PixelBox(
                left, top, min(left + size, SHAPE[2]), min(top + size, SHAPE[1])
            )
            cut = np.s_[box.top : box.bottom, box.left : box.right]
            matcher.add(scene[:, *cut], other[:, *cut], both[cut], box)
    return matcher.result()


@pytest.fixture
def other():
    rng = np.random.default_rng(0)
    return rng.uniform(500, 3000, SHAPE).astype(np.float32)


def test_gain_and_shift_of_each_band(other):
    gain, shift = np.float32([1.3, 0.8]), np.float32([200, -100])
    scene = other * gain[:, None, None] + shift[:, None, None]
    both = np.random.default_rng(1).random(SHAPE[1:]) < 0.3
    matching = learn(scene, other, both)
    np.testing.assert_allclose(matching.gain, gain, rtol=2e-3)
    np.testing.assert_allclose(matching(other, WHOLE), scene, atol=6)
    # Where both are clear only: what clouds look like is of no account
    cloudy = np.where(both, scene, np.float32(9000))
    np.testing.assert_array_equal(learn(cloudy, other, both).gain, matching.gain)


def test_windows_do_not_matter(other):
    scene = other * np.float32(1.2) + np.linspace(0, 300, SHAPE[2], dtype=np.float32)
    both = np.ones(SHAPE[1:], bool)
    matching = learn(scene, other, both)
    np.testing.assert_allclose(learn(scene, other, both, 512).rest, matching.rest)
    whole = matching(other, WHOLE)
    box = PixelBox(37, 51, 140, 199)
    cut = np.s_[:, box.top : box.bottom, box.left : box.right]
    np.testing.assert_allclose(matching(other[cut], box), whole[cut], rtol=1e-6)


def test_what_differs_from_place_to_place(other):
    # Twice as much is lacking at the right as in the middle, nothing at the left
    ramp = np.linspace(0, 600, SHAPE[2], dtype=np.float32)
    scene = other + ramp
    both = np.ones(SHAPE[1:], bool)
    both[60:140, 60:110] = False
    matched = learn(scene, other, both)(other, WHOLE)
    hidden = np.s_[:, 60:140, 60:110]
    error = np.abs(matched - scene)[hidden].mean()
    matching = learn(scene, other, both)
    plain = other * matching.gain[:, None, None] + matching.shift[:, None, None]
    assert error < 0.75 * np.abs(plain - scene)[hidden].mean()


def test_gain_is_bounded(other):
    both = np.ones(SHAPE[1:], bool)
    assert (learn(5 * other, other, both).gain == 2).all()
    assert (learn(0.1 * other, other, both).gain == 0.5).all()
    # A level band has no spread to be matched
    level = np.full(SHAPE, 700, np.float32)
    np.testing.assert_allclose(learn(level + 50, level, both)(level, WHOLE), 750)


def test_too_few_pixels_change_nothing(other):
    both = np.zeros(SHAPE[1:], bool)
    np.testing.assert_array_equal(learn(other + 500, other, both)(other, WHOLE), other)
    both[:10, :10] = True
    np.testing.assert_array_equal(learn(other + 500, other, both)(other, WHOLE), other)


@pytest.mark.parametrize('side', [25, 33, 60])
def test_few_pixels_of_a_whole_tile(side):
    rng = np.random.default_rng(0)
    other = rng.uniform(500, 3000, (1, 512, 512)).astype(np.float32)
    both = np.zeros((512, 512), bool)
    both[7 : 7 + side, 9 : 9 + side] = True
    matcher = Matcher(1, 10_980, 10_980)
    matcher.add(1.2 * other + 100, other, both, PixelBox(0, 0, 512, 512))
    matching = matcher.result()
    np.testing.assert_allclose([matching.gain[0], matching.shift[0]], [1.2, 100], 0.02)
