"""Naive2, the measure of the M4 competition: the last value, seasonally adjusted where the series is seasonal at all.

As the competition's published code has it: a series is seasonal where it is at least three seasons long and its
autocorrelation at the season lies outside the 90 % limits of Bartlett's formula; the season's indices are those of
classical multiplicative decomposition.
"""

from __future__ import annotations

import numpy as np

from forecasting.panel.history import History, Reals

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
