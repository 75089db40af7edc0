"""From a curve on the log scale to values with quantiles and bounds that are ordered, finite and never negative."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.panel.history import Reals, nan_median

# Zeros are finite on the log scale as a fiftieth of the usual value: low enough for any night, high enough that one
# zero does not bend a fit.
LOG_FLOOR_SHARE = 0.02
LOG_FLOOR = float(np.log(LOG_FLOOR_SHARE))
# Uncertainty that is carried 90 days ahead on a log scale knows no bound; beyond ten times the largest value ever
# measured it says nothing.
CEILING = 10.0
# Strata of the noise; Hazen's quantiles of their midpoints are those of the normal distribution, within 0.1 % at 2.5 %.
STRATA = 99
# A level is that of two weeks: their median leaves a surge of a few days alone.
LEVEL_DAYS = 14


class LogScale(NamedTuple):
    """Values as logarithms of their ratio to the usual value of their series, so that a fit does not depend on units.

    usual: the median of the values above zero, 1 for a series that has none; highest: the largest value. A number each
    for one series, (N,) for a panel.
    """

    usual: Reals
    highest: Reals

    @classmethod
    def of(cls, values: Reals) -> LogScale:
        """The scale of one series (T,) or of each series of a panel (T, N); NaN where missing."""
        usual = nan_median(np.where(values > 0.0, values, np.nan))
        return cls(np.where(np.isnan(usual), 1.0, usual), np.fmax.reduce(values, axis=0, initial=0.0))

    @property
    def ceiling(self) -> Reals:
        """The most that is believed, as a logarithm."""
        return np.log(CEILING * np.maximum(self.highest, self.usual) / self.usual)

    def log(self, values: Reals) -> Reals:
        """To the log scale; NaN stays NaN."""
        return np.log(np.maximum(values, LOG_FLOOR_SHARE * self.usual) / self.usual)

    def value(self, logs: Reals) -> Reals:
        """Back to the unit of the series: zero where the floor stands for zero, and at most ten times the highest value
        that was measured.
        """
        values = self.usual * np.exp(np.minimum(logs, self.ceiling))
        return np.where(values > LOG_FLOOR_SHARE * self.usual, values, 0.0)


def mixture_quantiles(paths: Reals, sigmas: Reals, levels: Sequence[float]) -> Reals:
    """Quantiles of path + noise at each step: paths (steps, paths) about their centre, noise normal with `sigmas`
    (steps); the result is (steps, levels).

    The noise is stratified and not drawn, so the quantiles are smooth along the steps and cannot cross.
    """
    normal = NormalDist()
    strata = np.array([normal.inv_cdf((i + 0.5) / STRATA) for i in range(STRATA)])
    mixed = (paths[:, :, None] + sigmas[:, None, None] * strata).reshape(len(paths), -1)
    return np.ascontiguousarray(np.quantile(mixed, levels, axis=1, method="hazen").T)


def level_variogram(days: Reals, ahead: int) -> Reals:
    """How far the level strays: standard deviations after 0 to `ahead` days, from daily means of residuals (NaN where a
    day is missing).

    Measured as in a variogram: the mean square of what separates a day from the typical day of the two weeks that ended
    so many days before, less that of the day after, which the noise accounts for already. It never falls as time goes
    on; beyond half of the history it grows as a random walk does.
    """
    longest = max(len(days) // 2, 1)
    typical = _typical(days)
    apart = np.array([_mean_square(days[lag:] - typical[:-lag]) for lag in range(1, longest + 1)])
    excess = np.maximum.accumulate(np.maximum(np.nan_to_num(apart - apart[0]), 0.0))
    lags = np.arange(ahead + 1)
    squares: Reals = np.where(
        lags <= longest, np.r_[0.0, excess][np.minimum(lags, longest)], excess[-1] * lags / longest
    )
    return np.sqrt(squares)


def _typical(days: Reals) -> Reals:
    """The median of the two weeks up to each day, of fewer where the history is short."""
    window = min(LEVEL_DAYS, max(len(days) // 3, 1))
    return np.asarray(pd.Series(days).rolling(window, min_periods=1).median(), dtype=float)


def _mean_square(values: Reals) -> float:
    measured = values[np.isfinite(values)]
    return float((measured**2).mean()) if len(measured) else np.nan


def interpolate(rows: Reals, at: Reals, wanted: Reals) -> Reals:
    """Rows given at some positions, linear in between and held beyond the ends: (positions, columns) to (wanted,
    columns).
    """
    return np.column_stack([np.interp(wanted, at, column) for column in rows.T])


def residual_quantile_offsets(residuals: Reals, levels: Sequence[float]) -> Reals:
    """Quantiles of measured residuals (NaN left out), pulled apart where both lie on one side, so that the curve itself
    is always inside.
    """
    offsets = np.nanquantile(residuals, levels)
    is_lower = np.asarray(levels) < 0.5
    return np.where(is_lower, np.minimum(offsets, 0.0), np.maximum(offsets, 0.0))


def relative_width(spread: Reals) -> Reals:
    """How much wider each quantile is than at the first step, at least 1: (steps, levels), offsets from the curve in,
    factors out.
    """
    first = np.where(spread[0] == 0.0, 1.0, spread[0])
    return np.maximum(spread / first, 1.0)
