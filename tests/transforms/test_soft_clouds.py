# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of soft clouds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from torchgeo_tdpcr.transforms import SimulateClouds
from torchgeo_tdpcr.transforms.clouds import CloudyImage, simulate_clouds
from torchgeo_tdpcr.transforms.noise import FloatArray
from torchgeo_tdpcr.transforms.sky import CloudLayer
from torchgeo_tdpcr.transforms.soft_clouds import (
    SoftLayer,
    SoftLight,
    draw_soft_layer,
    draw_soft_light,
)

B2, B8 = 1, 7
SIZE = 192


def ground(seed: int = 0) -> FloatArray:
    """A ground whose pixels tell whether it is seen through."""
    rng = np.random.default_rng(seed)
    return rng.uniform(500, 2500, (13, SIZE, SIZE)).astype(np.float32)


def skies(soft: bool, **options: float) -> list[tuple[FloatArray, CloudyImage]]:
    made = []
    for seed in range(8):
        clear = ground(seed)
        rng = np.random.default_rng(seed)
        kinds = ['cumulus' if seed % 2 else 'stratus']
        cover = options.get('cover', 0.7)
        sky = simulate_clouds(clear, rng, cover, kinds=kinds, soft=soft)
        made.append((clear, sky))
    return made


def seen(made: list[tuple[FloatArray, CloudyImage]], low: float) -> float:
    """How much of the ground is seen in B8 where clouds reflect `low` and more in B2."""
    over, under = [], []
    for clear, sky in made:
        cloudy = (sky.image[B2] > low) & sky.mask
        steps = (np.diff(plane[B8], axis=1) for plane in (sky.image, clear))
        for found, step in zip((over, under), steps, strict=True):
            found.append(step[cloudy[:, 1:] & cloudy[:, :-1]])
    x, y = np.concatenate(under), np.concatenate(over)
    return float((x * y).sum() / (x * x).sum())


def test_nothing_is_seen_through_what_is_bright() -> None:
    assert seen(skies(soft=True), 3500) < 0.03
    assert seen(skies(soft=False), 3500) > 0.05


def test_edges_and_tops_are_smooth() -> None:
    flat = np.full((13, SIZE, SIZE), 1000, np.float32)

    def step(soft: bool) -> float:
        found = []
        for seed in range(8):
            rng = np.random.default_rng(seed)
            image = simulate_clouds(flat, rng, 0.7, kinds=['cumulus'], soft=soft).image
            # How far a pixel is from what lies between its neighbours
            bend = np.abs(np.diff(image[B2], n=2)) / 2
            found.append(bend[image[B2, :, 1:-1] > 2500])
        return float(np.concatenate(found).mean())

    assert step(soft=True) < 0.65 * step(soft=False)


@pytest.mark.parametrize('cover', [0.0, 0.25, 0.6, 1.0])
def test_cover_is_met(cover: float) -> None:
    found = [sky.mask.mean() for _, sky in skies(soft=True, cover=cover)]
    assert found == pytest.approx([cover] * len(found), abs=0.02)


def test_light_is_that_of_two_streams() -> None:
    layer = draw_soft_layer(np.random.default_rng(0), 'cumulus', (48, 64), 0.5)
    light = draw_soft_light(np.random.default_rng(0), layer)
    assert isinstance(layer, SoftLayer)
    assert isinstance(light, SoftLight)
    thickness = np.array([0, 1, 10, 1e6], np.float32)
    # What is reflected by a layer that scatters without absorbing: b τ / (1 + b τ)
    known = [1.25 * light.reflected * t / (1 + light.reflected * t) for t in thickness]
    np.testing.assert_allclose(light.brightness(thickness), known, rtol=1e-5)
    assert not light.thin


def test_thickness_grows_slowly_from_the_edge() -> None:
    field = np.linspace(-1, 3, 201, dtype=np.float32)[None].repeat(3, 0)
    flat = np.ones_like(field)
    layer = SoftLayer(field, depth=4, width=1, height=1, ice=0, wisps=flat)
    tau = layer.thickness(0.0)[0]
    assert (tau[field[0] <= 0] == 0).all()
    assert (np.diff(tau[field[0] > 0]) > 0).all()
    # A fifth of the way from the edge, less than a tenth of the depth
    at = int(np.searchsorted(field[0], 0.2))
    assert tau[at] < 0.4
    # Wisps are those of the middle for a field without margin
    wide = SoftLayer(field, 4, 1, 1, 0, wisps=np.pad(flat * 2, 5))
    np.testing.assert_allclose(wide.thickness(0.0, field)[0], 2 * tau)


def test_light_comes_back_from_afar() -> None:
    layer = draw_soft_layer(np.random.default_rng(0), 'cumulus', (48, 64), 0.5)
    light = draw_soft_light(np.random.default_rng(0), replace(layer, height=1.2))
    assert light.distance == 120
    assert draw_soft_light(np.random.default_rng(0), layer).distance >= 80
    # A dark half under a cloud through which nothing is seen is as bright as the other
    ground = np.full((120, 120), 3000, np.float32)
    ground[:, 60:] = 300
    thick, even = np.full_like(ground, 20), np.ones_like(ground)
    seen = light.over(ground, B8, thick, even)
    assert np.ptp(seen) < 1


def test_ice_is_as_ever() -> None:
    layer = draw_soft_layer(np.random.default_rng(0), 'cirrus', (48, 48), 0.5)
    assert type(layer) is CloudLayer
    light = draw_soft_light(np.random.default_rng(0), layer)
    assert not isinstance(light, SoftLight)


def test_transform() -> None:
    sample = {'image_clear': torch.from_numpy(ground())}
    soft, hard = (
        SimulateClouds(cover=(0.6, 0.6), seed=0, soft=soft)(dict(sample))
        for soft in (True, False)
    )
    assert not torch.equal(soft['image'], hard['image'])
    again = SimulateClouds(cover=(0.6, 0.6), seed=0, soft=True)(dict(sample))
    assert torch.equal(soft['image'], again['image'])
