# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import torch

from torchgeo_tdpcr.models.baselines.sampling import seeded_noise


def test_seeded_noise_is_standard_normal() -> None:
    noise = seeded_noise((13, 128, 128), seed=3)
    assert noise.shape == (1, 13, 128, 128)
    assert noise.mean().abs() < 0.01
    assert (noise.std() - 1).abs() < 0.01
    assert (noise.abs() < 1.96).float().mean().sub(0.95).abs() < 0.003
    assert noise.pow(4).mean().sub(3).abs() < 0.1
    others = (
        noise.roll(1, 1),
        noise.roll(1, 2),
        noise.roll(1, 3),
        seeded_noise((13, 128, 128), seed=4),
        seeded_noise((13, 128, 128), seed=3, step=1),
    )
    for other in others:
        assert (noise * other).mean().abs() < 0.01
        assert (noise**2 * other**2).mean().sub(1).abs() < 0.05
    seeds = [seeded_noise((1, 1, 1), seed) for seed in range(-50, 50)]
    assert torch.cat(seeds).std() < 1.3
