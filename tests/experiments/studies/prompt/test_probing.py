# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Rank correlation, AUC and linear probes against torchmetrics and least squares."""

import numpy as np
import pytest
import torch
from torchmetrics.functional import spearman_corrcoef
from torchmetrics.functional.classification import binary_auroc

from experiments.studies.prompt import probing
from experiments.studies.prompt.probing import Pixels

RNG = np.random.default_rng(0)


def sky(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Thickness that is 0 at half of the pixels, and the cloud mask."""
    thickness = RNG.gamma(2, 1, n) * (RNG.random(n) < 0.5)
    return thickness, thickness > 0.5


def test_rank_correlation_and_auc_against_torchmetrics() -> None:
    thickness, cloud = sky(500)
    values = RNG.normal(size=(500, 3)) + thickness[:, None] * [0.5, 0, -2]
    values[:, 1] = values[:, 1].round()  # ties
    ranked = probing.ranks(values)
    truth = torch.from_numpy(thickness)
    for i, column in enumerate(torch.from_numpy(values).T):
        rho = spearman_corrcoef(column, truth).item()
        assert probing.rank_correlations(ranked, thickness)[i] == pytest.approx(rho)
        # scores outside 0…1 would be squashed, which makes ties in float32
        scaled = (column - column.min()) / (column.max() - column.min())
        area = binary_auroc(scaled, torch.from_numpy(cloud).long()).item()
        assert probing.areas(ranked, cloud)[i] == pytest.approx(area, abs=1e-6)


def test_constant_channel_tells_nothing() -> None:
    thickness, cloud = sky(100)
    ranked = probing.ranks(np.ones((100, 1)))
    assert probing.rank_correlations(ranked, thickness).tolist() == [0]
    assert probing.areas(ranked, cloud).tolist() == [0.5]


def test_probe_against_least_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, '_ROWS', 70)
    x = RNG.normal(size=(300, 4)) * [1e-4, 1, 50, 1] + [3, 0, 1e3, 0]
    y = np.stack((x[:, 0] * 1e4 - x[:, 2], RNG.normal(size=300)), 1)
    weights, level = probing.fit_probe(x, y)
    design = np.column_stack((x, np.ones(300)))
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(x @ weights + level, design @ expected, atol=1e-8)
    np.testing.assert_allclose(weights, expected[:-1], rtol=1e-5, atol=1e-6)
    # a channel that is constant and one that repeats another change nothing
    more = np.column_stack((x, np.full(300, 2.0), x[:, 1]))
    weights, level = probing.fit_probe(more, y)
    np.testing.assert_allclose(more @ weights + level, design @ expected, atol=1e-8)


def test_prompt_that_is_thickness() -> None:
    fit, held = (
        Pixels(np.column_stack((RNG.normal(size=len(t)), 3 - 2 * t)), t, c)
        for t, c in (sky(), sky())
    )
    scores = probing.channel_scores(fit, held) | probing.probe_scores(fit, held)
    assert scores['channel'] == 1
    assert scores['rho'] == pytest.approx(1)
    assert scores['rho_mean'] == pytest.approx(0.5, abs=0.05)
    assert scores['r2'] == pytest.approx(1)
    assert 0.5 < scores['r2_log'] < 1
    assert scores['auc'] == 1
    assert scores['auc_probe'] == pytest.approx(1, abs=1e-3)
    # the weight of SAR keeps its sign: here it falls with thickness
    fallen = Pixels(held.features[:, 1:], held.thickness, held.cloud)
    assert probing.mean_scores(fallen)['rho'] == pytest.approx(-1)
    assert probing.mean_scores(fallen)['auc'] == pytest.approx(0)


def test_logarithm_has_a_probe_of_its_own() -> None:
    pixels = [Pixels(np.log1p(t)[:, None], t, c) for t, c in (sky(), sky())]
    scores = probing.probe_scores(*pixels)
    assert scores['r2_log'] == pytest.approx(1)
    assert scores['r2'] < 0.99


def test_noise_tells_nothing() -> None:
    fit, held = (Pixels(RNG.normal(size=(len(t), 8)), t, c) for t, c in (sky(), sky()))
    scores = probing.channel_scores(fit, held) | probing.probe_scores(fit, held)
    assert abs(scores['rho']) < 0.06
    assert abs(scores['r2']) < 0.02
    assert scores['auc'] == pytest.approx(0.5, abs=0.05)
    assert scores['auc_probe'] == pytest.approx(0.5, abs=0.05)


def test_choices_are_made_on_the_fitting_pixels() -> None:
    """A channel that turns round on the held-out pixels counts against the model."""
    (t, c), (u, d) = sky(), sky()
    noise = RNG.normal(size=(len(t), 1))
    fit = Pixels(np.column_stack((t, noise)), t, c)
    held = Pixels(np.column_stack((-u, noise)), u, d)
    scores = probing.channel_scores(fit, held) | probing.probe_scores(fit, held)
    assert scores['rho'] == pytest.approx(-1)
    assert scores['auc'] == pytest.approx(0, abs=1e-3)
    assert scores['r2'] < 0


def test_without_a_truth() -> None:
    t, c = sky(100)
    x = RNG.normal(size=(100, 2))
    masked, clear = Pixels(x, None, c), Pixels(x, t, np.zeros(100, bool))
    assert set(probing.channel_scores(masked, masked)) == {'auc'}
    assert set(probing.probe_scores(masked, masked)) == {'auc_probe'}
    assert set(probing.mean_scores(masked)) == {'auc'}
    assert set(probing.probe_scores(clear, clear)) == {'r2', 'r2_log'}
    assert 'auc' not in probing.channel_scores(clear, clear)
    assert 'auc' not in probing.mean_scores(clear)
