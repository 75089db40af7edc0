"""Errors of point forecasts and of intervals, a number for each series.

Arrays are (H, N), steps by series; a step where the actual is missing does not count, and a series without a countable
step has NaN. `levels` are quantile levels; quantiles are (H, N, Q). Definitions: sMAPE, MASE, OWA, MSIS as in the M4
competition (Makridakis, Spiliotis and Assimakopoulos, 2020); MASE from Hyndman and Koehler (2006); interval score from
Gneiting and Raftery (2007); WAPE, pinball loss and coverage as usual.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.panel.history import History, Reals

# Forecasts are kept in single precision, so a smaller difference is rounding.
REPEATS_ITSELF = 1e-6


def mean(values: Reals) -> Reals:
    """The mean over the steps that are not missing, (H, N) to (N); NaN where all are."""
    held = ~np.isnan(values)
    count = held.sum(axis=0)
    return np.where(count > 0, np.where(held, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def ratio(top: Reals, bottom: Reals) -> Reals:
    """top / bottom, NaN where the bottom is zero or missing."""
    defined = np.abs(bottom) > 0.0
    return np.where(defined, top / np.where(defined, bottom, 1.0), np.nan)


def seasonal_scale(history: Reals, season: int) -> Reals:
    """The mean absolute difference of the history (T, N) from itself one season before: what MASE and MSIS are measured
    in.

    NaN where it is unknown or nothing: a series that repeats itself to a millionth has no error to be measured in.
    """
    if len(history) <= season:
        return np.full(history.shape[1], np.nan)
    scale = mean(np.abs(history[season:] - history[:-season]))
    return np.where(scale > REPEATS_ITSELF * mean(np.abs(history)), scale, np.nan)


def mae(actual: Reals, forecast: Reals) -> Reals:
    """Mean absolute error."""
    return mean(np.abs(actual - forecast))


def mase(actual: Reals, forecast: Reals, scale: Reals) -> Reals:
    """Mean absolute scaled error: below 1 is better than the in-sample seasonal naive forecast was, one step of the
    season ahead.
    """
    return mae(actual, forecast) / scale


def wape(actual: Reals, forecast: Reals) -> Reals:
    """Sum of absolute errors over the sum of absolute actuals."""
    return ratio(mae(actual, forecast), mean(np.abs(actual)))


def smape(actual: Reals, forecast: Reals) -> Reals:
    """Symmetric mean absolute percentage error, 0 to 200; a step where both are zero is no error."""
    size = np.abs(actual) + np.abs(forecast)
    share = np.where(size == 0.0, 0.0, 200.0 * np.abs(actual - forecast) / np.where(size == 0.0, 1.0, size))
    return mean(share)


def owa(smapes: Reals, mases: Reals, naive_smapes: Reals, naive_mases: Reals) -> float:
    """Overall weighted average of a model over series: the mean of its mean sMAPE and its mean MASE, each as a share of
    Naive2's; NaN where undefined.
    """
    shares = [
        ratio(np.asarray(_over(mine, other)), np.asarray(_over(other, mine)))
        for mine, other in ((smapes, naive_smapes), (mases, naive_mases))
    ]
    return float(np.mean(shares))


def _over(values: Reals, others: Reals) -> float:
    """The mean over the series in which both are defined."""
    return float(mean(np.where(np.isnan(others), np.nan, values)))


def pinball(actual: Reals, quantiles: Reals, levels: Sequence[float]) -> Reals:
    """Mean quantile loss over steps and levels, in the unit of the series."""
    short = actual[:, :, None] - quantiles
    return mean(np.maximum(np.asarray(levels) * short, (np.asarray(levels) - 1.0) * short).mean(axis=2))


def coverage(actual: Reals, lower: Reals, upper: Reals) -> Reals:
    """The share of actuals within the bounds, both included; a step without bounds does not count."""
    within = ((actual >= lower) & (actual <= upper)).astype(float)
    return mean(np.where(np.isnan(actual) | np.isnan(lower) | np.isnan(upper), np.nan, within))


def interval_score(actual: Reals, lower: Reals, upper: Reals, level: float) -> Reals:
    """Mean width of the interval plus 2 / (1 - level) times what misses it; the true quantiles minimise it."""
    missed = np.maximum(lower - actual, 0.0) + np.maximum(actual - upper, 0.0)
    return mean(np.where(np.isnan(actual), np.nan, upper - lower + 2.0 / (1.0 - level) * missed))


def msis(actual: Reals, lower: Reals, upper: Reals, level: float, scale: Reals) -> Reals:
    """Mean scaled interval score."""
    return interval_score(actual, lower, upper, level) / scale


# The normal quantile of the competition's test, two-sided at 90 %.
CRITICAL = 1.645
SEASONS_AT_LEAST = 3


def naive2(history: History, steps: int) -> Reals:
    """The forecast (steps, N); NaN where it is not defined: a series with holes, or one that is seasonal but not above
    zero throughout.
    """
    found = np.full((steps, history.measured.shape[1]), np.nan)
    for column, values in enumerate(history.measured.T):
        started = values[np.argmax(~np.isnan(values)) :]
        if not np.isnan(started).any() and (not is_seasonal(started, history.short) or started.min() > 0.0):
            found[:, column] = _forecast(started, history.short, steps)
    return found


def _forecast(values: Reals, season: int, steps: int) -> Reals:
    if not is_seasonal(values, season):
        return np.full(steps, values[-1])
    indices = seasonal_indices(values, season)
    adjusted = values[-1] / indices[(len(values) - 1) % season]
    return np.asarray(adjusted * indices[(len(values) + np.arange(steps)) % season])


def is_seasonal(values: Reals, season: int) -> bool:
    """Whether the autocorrelation at the season is significant."""
    if season < 2 or len(values) < SEASONS_AT_LEAST * season or values.min() == values.max():
        return False
    centred = values - values.mean()
    correlation = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, season + 1)]) / (centred @ centred)
    limit = CRITICAL * np.sqrt((1.0 + 2.0 * np.sum(correlation[:-1] ** 2)) / len(values))
    return bool(abs(correlation[-1]) > limit)


def seasonal_indices(values: Reals, season: int) -> Reals:
    """Classical multiplicative decomposition: mean ratio of each phase to a centred moving average of one season,
    scaled to a mean of 1.
    """
    weights = np.full(season + 1, 1.0) if season % 2 == 0 else np.full(season, 1.0)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5
    half = season // 2
    ratios = np.full(len(values), np.nan)
    ratios[half : len(values) - half] = values[half : len(values) - half] / (
        np.convolve(values, weights, mode="valid") / season
    )
    padded = np.concatenate([ratios, np.full(-len(ratios) % season, np.nan)]).reshape(-1, season)
    indices = np.nanmean(padded, axis=0)
    return np.asarray(indices / indices.mean())
