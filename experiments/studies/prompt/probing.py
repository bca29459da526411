# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How much of a truth is in some features: rank correlation, AUC and a linear probe.

Whatever is chosen or fitted, is chosen or fitted on other chips than those that the
figures are of.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[Any]

#: Rows that are turned to double precision at a time.
_ROWS = 1 << 18


class Pixels(NamedTuple):
    """Features and truth of some pixels.

    Args:
        features: N×C.
        thickness: Optical thickness of cloud, N, where it is known.
        cloud: Whether there is cloud or shadow, N, where it is known.
    """

    features: Array
    thickness: Array | None
    cloud: Array | None


def ranks(values: Array) -> Array:
    """Ranks from 1 within each column, equal values sharing their mean rank.

    Args:
        values: N×C.

    Returns:
        N×C, float64.
    """
    found: Array = pd.DataFrame(values).rank().to_numpy()
    return found


def rank_correlations(ranked: Array, target: Array) -> Array:
    """Spearman's rank correlation of each column with a target.

    Args:
        ranked: Ranks of the features, N×C.
        target: N.

    Returns:
        C values between -1 and 1; 0 for a column, or a target, that is constant.
    """
    columns = ranked - ranked.mean(0)
    truth = ranks(target[:, None])[:, 0]
    truth = truth - truth.mean()
    scale = np.sqrt(np.square(columns).sum(0) * np.square(truth).sum())
    return truth @ columns / np.where(scale > 0, scale, 1)


def areas(ranked: Array, positive: Array) -> Array:
    """Area under the receiver operating characteristic of each column.

    Args:
        ranked: Ranks of the features, N×C.
        positive: Which are to rank high, N booleans, some but not all of them true.

    Returns:
        C values: the share of pairs of a positive and a negative pixel in which the
        positive one has the larger value, a tie counting as half.
    """
    number = np.count_nonzero(positive)
    mean = ranked[positive].mean(0)
    return (mean - (number + 1) / 2) / (len(positive) - number)


def fit_probe(features: Array, targets: Array) -> tuple[Array, Array]:
    """Fit linear probes by least squares, with an intercept.

    Args:
        features: N×C.
        targets: N×T.

    Returns:
        Weights, C×T, and intercepts, T. Of weights that fit equally well, such as those
        of a constant column, the smallest in units of the columns' deviations.
    """
    mean, level = features.mean(0, dtype=np.float64), targets.mean(0, dtype=np.float64)
    scale = features.std(0, dtype=np.float64)
    scale = np.where(scale > 1e-9 * np.abs(mean), scale, 1)
    gram = np.zeros((features.shape[1],) * 2)
    moments = np.zeros((features.shape[1], targets.shape[1]))
    for start in range(0, len(features), _ROWS):
        rows = slice(start, start + _ROWS)
        x = (features[rows].astype(np.float64) - mean) / scale
        gram += x.T @ x
        moments += x.T @ (targets[rows] - level)
    solved = np.linalg.lstsq(gram, moments, rcond=1e-12)[0]
    weights = solved / scale[:, None]
    return weights, level - mean @ weights


def r_squared(found: Array, target: Array) -> float:
    """Share of the variance of a target that is explained; below 0 if worse than none.

    Args:
        found: N.
        target: N, not constant.

    Returns:
        1 less the squared error over the variance about the target's own mean.
    """
    error = np.square(found - target).mean()
    return float(1 - error / target.astype(np.float64).var())


def probe_scores(fit: Pixels, held: Pixels) -> dict[str, float]:
    """Score linear probes from all channels.

    Args:
        fit: Pixels to fit to.
        held: Pixels to score on.

    Returns:
        ``r2`` for thickness and ``r2_log`` for log(1 + thickness), and ``auc_probe`` for
        the cloud mask, each of a probe of its own; what lacks its truth is left out.
    """
    scores: dict[str, float] = {}
    for name, kind in (
        ('r2', 'thickness'), ('r2_log', 'thickness'), ('auc_probe', 'cloud'),
    ):  # fmt: skip
        truths = [getattr(pixels, kind) for pixels in (fit, held)]
        if any(truth is None or truth.min() == truth.max() for truth in truths):
            continue
        if name == 'r2_log':
            truths = [np.log1p(truth) for truth in truths]
        weights, level = fit_probe(fit.features, truths[0][:, None].astype(np.float64))
        found = (held.features @ weights + level)[:, 0]
        scores[name] = (
            float(areas(ranks(found[:, None]), truths[1].astype(bool))[0])
            if kind == 'cloud'
            else r_squared(found, truths[1])
        )
    return scores


def channel_scores(fit: Pixels, held: Pixels) -> dict[str, float]:
    """Score single channels.

    Args:
        fit: Pixels that say which channel is the strongest, and its sign.
        held: Pixels to score on.

    Returns:
        ``rho``, the rank correlation with thickness of the channel that is strongest in
        *fit*, positive where it has the sign that it has there; ``channel``, its number;
        ``rho_mean``, the mean of all channels' absolute rank correlations; ``auc``, that
        of the channel that tells cloud best in *fit*, in the direction that it has
        there. What lacks its truth is left out.
    """
    scores: dict[str, float] = {}
    before, after = ranks(fit.features), ranks(held.features)
    if fit.thickness is not None and held.thickness is not None:
        known = rank_correlations(before, fit.thickness)
        found = rank_correlations(after, held.thickness)
        best = int(np.abs(known).argmax())
        scores['rho'] = float(np.sign(known[best]) * found[best])
        scores['rho_mean'] = float(np.abs(found).mean())
        scores['channel'] = best
    if _mixed(fit) and _mixed(held):
        known, found = areas(before, fit.cloud), areas(after, held.cloud)  # type: ignore[arg-type]
        best = int(np.abs(known - 0.5).argmax())
        scores['auc'] = float(found[best] if known[best] >= 0.5 else 1 - found[best])
    return scores


def mean_scores(held: Pixels) -> dict[str, float]:
    """Score the mean over the channels, with its sign.

    Args:
        held: Pixels to score on; nothing is fitted or chosen.

    Returns:
        ``rho`` with thickness and ``auc`` for the cloud mask; what lacks its truth is
        left out.
    """
    ranked = ranks(held.features.mean(1, keepdims=True))
    scores: dict[str, float] = {}
    if held.thickness is not None:
        scores['rho'] = float(rank_correlations(ranked, held.thickness)[0])
    if _mixed(held):
        scores['auc'] = float(areas(ranked, held.cloud)[0])  # type: ignore[arg-type]
    return scores


def _mixed(pixels: Pixels) -> bool:
    """Whether some pixels are cloudy, and some are not."""
    cloud = pixels.cloud
    return cloud is not None and bool(cloud.any()) and not cloud.all()
