"""The peak and the P95 of each coming week, as calibrated quantiles and as the calibrated paths behind them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data.schema import MIN_PEAK_WEEKS
from forecasting.peaks.calibration import LEVELS, MIDDLE, OUTWARD, WeeklyBacktest, Whole, offsets
from forecasting.peaks.rank_reordering import persistence, reorder_ranks
from forecasting.peaks.simulation import (
    SLOPE_WEEKS,
    STATISTICS,
    WEEKS_AT_LEAST,
    JointPaths,
    Simulation,
    SimulationHistory,
    simulate,
)
from forecasting.peaks.weekly_statistics import Reals, Stamps

# The weeks ahead at which past forecasts are checked: the first four directly, further ones ever more thinly, up to
# half a year.
CHECKED = np.array([1, 2, 3, 4, 6, 9, 13, 18, 26])
# Every week of the last sixteen is forecast anew from each of the four weeks before it; older origins, which alone
# reach far ahead, are taken once in four weeks.
RECENT, EVERY = 16, 4
# Fewer paths tell a past quantile well enough.
TRIAL_PATHS = 100


class PeakForecast(NamedTuple):
    """Weeks to come: `weeks` (W,) are Mondays, `quantiles` (W, 2, L, M) at calibration.LEVELS of the peak and the P95
    of N sites and G groups.

    `paths` hold the same quantiles: they are the simulated ones, moved rank by rank. NaN for a series with too little
    history. `moves` are the offsets of calibration, at the origins of the trials and now.
    """

    weeks: Stamps
    quantiles: Reals
    paths: JointPaths
    moves: Reals


def forecast_peaks(
    history: SimulationHistory,
    groups: Whole,
    weeks: int = 26,
    draw: Simulation = Simulation(),  # noqa: B008
    past: WeeklyBacktest | None = None,
) -> PeakForecast:
    """Calibrated quantiles and paths of the first weeks ahead.

    groups: (N + G,), labels; series of one label lend each other their past weeks in calibration. `past` are trials of
    the same history, made here where absent.
    """
    past = weekly_backtest(history, Simulation(TRIAL_PATHS, draw.seed)) if past is None else past
    moves = offsets(past, groups, history.whole_weeks)
    came = np.isfinite(past.actual).any(axis=(0, 2, 3))
    paths = shift_ranks(
        simulate(history, weeks, draw), extend_offsets(moves[-1, came], past.ahead[came], np.arange(1, weeks + 1))
    )
    paths = reorder_ranks(paths, persistence(past), int(past.ahead[came][-1]) if came.any() else 1, draw.seed)
    short = np.isfinite(history.weekly.peak).sum(axis=0) < MIN_PEAK_WEEKS
    paths = paths._replace(
        peak=np.where(short[:, None], np.nan, paths.peak), p95=np.where(short[:, None], np.nan, paths.p95)
    )
    return PeakForecast(paths.weeks, quantiles(paths), paths, moves)


def weekly_backtest(
    history: SimulationHistory,
    draw: Simulation = Simulation(TRIAL_PATHS),  # noqa: B008
    recent: int = RECENT,
    every: int = EVERY,
    ahead: Whole = CHECKED,
) -> WeeklyBacktest:
    """Forecasts of weeks that have come, each from what was known at its origin: all of the `recent` last origins, and
    each `every`-th before them.

    Where history is long enough, origins that could not yet follow a slope are left out: they err otherwise than the
    forecast that is calibrated.
    """
    last = history.whole_weeks
    first = SLOPE_WEEKS if last >= SLOPE_WEEKS + recent else WEEKS_AT_LEAST
    origins = np.array(
        [week for week in range(first, last) if week >= last - recent or (last - week) % every == 0], dtype=np.int64
    )
    shape = (len(origins), len(ahead), len(STATISTICS))
    predicted, actual = (
        np.full((*shape, len(LEVELS), history.series), np.nan),
        np.full((*shape, history.series), np.nan),
    )
    measured = np.stack([history.weekly.peak, history.weekly.p95], axis=1)
    for position, origin in enumerate(origins):
        reach = int(np.searchsorted(ahead, last - origin, side="right"))
        if reach:
            paths = simulate(history.until(int(origin)), ahead[:reach], Simulation(draw.paths, draw.seed + int(origin)))
            predicted[position, :reach] = quantiles(paths)
            actual[position, :reach] = measured[origin + ahead[:reach] - 1]
    return WeeklyBacktest(origins, ahead, predicted, actual)


def quantiles(paths: JointPaths) -> Reals:
    """Quantiles at LEVELS, (W, 2, L, M), by Hazen's rule: of a sum they are those of its own paths."""
    both = np.stack([paths.peak, paths.p95], axis=1)
    return np.ascontiguousarray(np.moveaxis(np.quantile(both, LEVELS, axis=-1, method="hazen"), 0, 2))


def extend_offsets(moves: Reals, checked: Whole, ahead: Whole) -> Reals:
    """Offsets (W, 2, L, M) of any weeks ahead from those of the checked ones, (A, 2, L, M): linear in the logarithm of
    the horizon between two of them.

    Beyond the last that history could check, what widens the spread grows with the root of the horizon, as the error of
    a random walk does; what narrows it stays.
    """
    if not len(checked):
        return np.zeros((len(ahead), *moves.shape[1:]))
    at = np.interp(np.log(ahead), np.log(checked), np.arange(len(checked)))
    low = at.astype(np.int64)
    high = np.minimum(low + 1, len(checked) - 1)
    found = moves[low] + (at - low)[:, None, None, None] * (moves[high] - moves[low])
    growth = np.sqrt(np.maximum(ahead / checked[-1], 1.0))[:, None, None, None]
    middle = found[:, :, MIDDLE : MIDDLE + 1]
    away = found - middle
    return np.where(away * OUTWARD > 0.0, middle + away * growth, found)


def shift_ranks(paths: JointPaths, moves: Reals) -> JointPaths:
    """Paths whose logarithms are moved by what their rank asks for, (W, 2, L, M): between two levels in proportion,
    beyond the outer ones alike.

    The order of the paths of a series and week stays, so what sites share stays shared.
    """
    found = [_shift_statistic(values, moves[:, statistic]) for statistic, values in enumerate((paths.peak, paths.p95))]
    return JointPaths(paths.weeks, found[0], found[1])


def _shift_statistic(values: Reals, moves: Reals) -> Reals:
    """One statistic: values (W, M, paths), moves (W, L, M)."""
    order = np.argsort(values, axis=-1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=-1)
    share = (np.arange(values.shape[-1]) + 0.5) / values.shape[-1]
    at = np.interp(share, LEVELS, np.arange(len(LEVELS)))
    low = np.minimum(at.astype(np.int64), len(LEVELS) - 2)
    by = np.moveaxis(moves, 1, -1)
    ranked = ranked * np.exp(by[..., low] + (at - low) * (by[..., low + 1] - by[..., low]))
    found = np.empty_like(values)
    np.put_along_axis(found, order, np.maximum.accumulate(ranked, axis=-1), axis=-1)
    return found
