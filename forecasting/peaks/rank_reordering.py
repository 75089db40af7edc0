"""How errors last: a site that is above its forecast this week is likely to be above it next week. Paths that do not
say so cross a limit too early.

Each week of a path draws its residuals anew, so that the errors of a path hardly hang together from week to week; those
of past forecasts do. Paths are
therefore reordered, week by week and series by series, until their ranks last as past errors did: every week keeps its
own values, hence its quantiles, and only which path holds which of them changes (the idea of the Schaake shuffle, Clark
and others, 2004, with a Gaussian copula for the order).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from forecasting.panel.history import nan_median
from forecasting.peaks.calibration import MIDDLE, WeeklyBacktest, Whole
from forecasting.peaks.simulation import JointPaths
from forecasting.peaks.weekly_statistics import Reals

# An estimate over so many origins counts for half.
SHRUNK_ORIGINS = 4.0
# Two weeks of a site are never told to be the same.
MOST = 0.9


def persistence(trials: WeeklyBacktest) -> float:
    """The correlation, 0 to 1, of the errors of the medians at different weeks ahead of one origin, over all series and
    both statistics.

    An error that all series share at a week ahead is left out: calibration takes it away.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.log(trials.actual) - np.log(trials.predicted[:, :, :, MIDDLE])
    errors = np.where(np.isfinite(errors), errors, np.nan)
    held = ~np.isnan(errors)
    if not held.any():
        return 0.0
    errors = errors - nan_median(np.moveaxis(errors, 3, 1).reshape(-1, *errors.shape[1:3]))[None, :, :, None]
    size = np.sqrt(np.where(held, errors**2, 0.0).sum(axis=(0, 1)) / np.maximum(held.sum(axis=(0, 1)), 1))
    scaled = np.where(held & (size > 0.0), errors / np.where(size > 0.0, size, 1.0), 0.0)
    alike, count = scaled.sum(axis=1) ** 2 - (scaled**2).sum(axis=1), held.sum(axis=1)
    usual = ((count - 1) * (scaled**2).sum(axis=1)).sum()
    origins = int((count > 1).any(axis=(1, 2)).sum())
    found = alike.sum() / usual * origins / (origins + SHRUNK_ORIGINS) if usual > 0.0 else 0.0
    return float(np.clip(found, 0.0, MOST))


def reorder_ranks(paths: JointPaths, share: float, reach: int, seed: int) -> JointPaths:
    """Paths whose ranks correlate by `share` between two of the first `reach` weeks, where they did by less; the values
    of each week and series stay.

    What lasts is drawn from a week itself, the same way for all series: so what sites share in a week they share in
    what lasts.
    """
    other = np.random.default_rng(seed).permutation(paths.peak.shape[-1])
    return JointPaths(
        paths.weeks,
        _reorder_statistic(paths.peak, share, reach, other),
        _reorder_statistic(paths.p95, share, reach, other),
    )


def _reorder_statistic(values: Reals, share: float, reach: int, other: Whole) -> Reals:
    """One statistic, (W, M, paths); `other`: the path that each takes what lasts from."""
    scores = ndtri((_ranks(values) + 0.5) / values.shape[-1])
    already = _correlation(scores[:reach, np.isfinite(values).all(axis=(0, 2))])
    part = min((share - already) / max(1.0 - already, 1.0 - MOST), MOST)
    if part <= 0.0:
        return values
    order = _ranks(np.sqrt(1.0 - part) * scores + np.sqrt(part) * scores[0][:, other])
    return np.take_along_axis(np.sort(values, axis=-1), order, axis=-1)


def _correlation(scores: Reals) -> float:
    """The mean correlation between two weeks of a series, of scores (W, M, paths) with mean zero; one where there are
    no two.
    """
    squares = (scores**2).sum(axis=(0, 2))
    pairs = (scores.sum(axis=0) ** 2).sum(axis=1) - squares
    return float((pairs / (squares * (len(scores) - 1))).mean()) if len(scores) > 1 and scores.shape[1] else 1.0


def _ranks(values: Reals) -> Whole:
    """The place of each value among those of its week and series."""
    return np.argsort(np.argsort(values, axis=-1, kind="stable"), axis=-1, kind="stable")
