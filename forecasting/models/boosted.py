"""Gradient-boosted trees on lags, learned from all series of a panel at once: how far the next value departs from a
copy of the past.

What the series have in common, a copy or a median of one of them cannot know: how far a level comes back, which hours
are idle, what a loud day says of the next. The trees see lags of whole days and weeks, their spread and the levels of
late, each less the reference that the forecast departs from, in units of the series' usual change from day to day; they
answer to the absolute error, by which forecasts are judged. After Friedman (2001), in the histogram form of Ke et al.
(2017) as scikit-learn has it; the best of the M5 competition built on the same idea (Makridakis, Spiliotis and
Assimakopoulos, 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from forecasting.panel.history import History, Model, Reals, nan_mean, nan_median, shared

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

Places = npt.NDArray[np.intp]
# Fewer series, or fewer days to learn from, say little of what is common: on 12 nodes over 14 days, trees lost to what
# is there without them.
SERIES_AT_LEAST, DAYS_AT_LEAST = 8, 7
# Rows that are learned from: twice as many took less than 1 % off the error of M4 and p2p_live, in half as much time
# again.
ROWS = 20_000
# Origins that rows are drawn from, in short cycles back: eight weeks.
ORIGINS = 56
# Trees of a panel serve until its history has grown by a quarter: fresh ones at each origin took 1 % off M4's error, at
# six times the cost.
GROWTH = 1.25
# The long cycles that are looked at, and the neighbours of a step one long cycle ago.
LONG_LAGS, NEIGHBOURS = 4, (-2, -1, 1, 2)
# The levels of late, from and to so many short cycles before the origin.
LEVELS = ((1, 0), (3, 0), (7, 0), (14, 7), (28, 0))
SETTINGS = {
    "loss": "absolute_error",
    "max_iter": 30,
    "learning_rate": 0.2,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 50,
    "early_stopping": False,
}
SEED = 0


class TargetRows(NamedTuple):
    """Which values are to be foretold, a row for each: the step, the origin that it is seen from, and the series."""

    step: Places
    origin: Places
    series: Places


class BoostedFit(NamedTuple):
    """Trees, the columns of features that they know, and what a unit of each series is, (N)."""

    trees: HistGradientBoostingRegressor
    columns: Places
    unit: Reals


def boosted_trees(*, daily: bool) -> Model:
    """The model that departs from yesterday, or from the median of the last four weeks; NaN where the panel is too
    small to learn from.
    """

    def model(history: History, steps: int) -> Reals:
        known = checkpoint(history)
        learned = _shared_fit(history.beginning(known), daily=daily) if known else None
        if learned is None:
            return np.full((steps, history.measured.shape[1]), np.nan)
        week = shared(history, ("boosted week", daily), lambda: _forecast_cycle(history, learned, daily=daily))
        return week[np.arange(steps) % len(week)]

    return model


def _shared_fit(history: History, *, daily: bool) -> BoostedFit | None:
    return shared(history, ("boosted", daily), lambda: _fit_trees(history, daily=daily))


def checkpoint(history: History) -> int:
    """How many steps of a history its trees have learned from: the latest of a row of lengths that grow by a quarter; 0
    where it is shorter than the first.
    """
    first = _least_history(history)
    if len(history.stamps) < first:
        return 0
    times = int(np.log(len(history.stamps) / first) / np.log(GROWTH) + 1e-9)
    return int(first * GROWTH**times) // history.short * history.short


def _least_history(history: History) -> int:
    """The shortest history that is learned from: a long cycle of lags, and the days that follow it."""
    return history.long + (1 + DAYS_AT_LEAST) * history.short


def _fit_trees(history: History, *, daily: bool) -> BoostedFit | None:
    """Trees from random steps, up to a long cycle ahead of random past origins; None where there are too few series or
    values.
    """
    if history.measured.shape[1] < SERIES_AT_LEAST:
        return None
    unit = _unit(history)
    values = history.measured / unit
    targets = _sample_rows(history)
    features, reference = _features(values, targets, history, daily=daily)
    departure = values[targets.step, targets.series] - reference
    is_known = np.isfinite(departure)
    columns = np.flatnonzero(np.isfinite(features[is_known]).any(axis=0))
    if np.count_nonzero(is_known) < ROWS // 4:
        return None
    from sklearn.ensemble import HistGradientBoostingRegressor  # takes a second to import, which few commands need

    with one_tree_thread():
        trees = HistGradientBoostingRegressor(**SETTINGS, random_state=SEED).fit(
            features[is_known][:, columns], departure[is_known]
        )
    return BoostedFit(trees, columns, unit)


def _unit(history: History) -> Reals:
    """The mean change from one short cycle to the next, (N); the mean value where nothing changes, and one where there
    is none.
    """
    values, cycle = history.measured, history.short
    change, usual = nan_mean(np.abs(values[cycle:] - values[:-cycle])), nan_mean(np.abs(values))
    unit = np.where(change > 0.0, change, usual)
    return np.where(unit > 0.0, unit, 1.0)


def _sample_rows(history: History) -> TargetRows:
    """Random rows: an origin whole short cycles before the end, and a step after it that is known."""
    draw, cycle, length = np.random.default_rng(SEED), history.short, len(history.stamps)
    back = draw.integers(1, min(ORIGINS, (length - history.long - cycle) // cycle) + 1, ROWS)
    ahead = draw.integers(0, np.minimum(back * cycle, history.long))
    origin = length - back * cycle
    return TargetRows(origin + ahead, origin, draw.integers(0, history.measured.shape[1], ROWS))


def _forecast_cycle(history: History, learned: BoostedFit, *, daily: bool) -> Reals:
    """The forecast of a long cycle, (long, N)."""
    length, series = len(history.stamps), history.measured.shape[1]
    step, column = np.divmod(np.arange(history.long * series), series)
    targets = TargetRows(length + step, np.full(len(step), length), column)
    features, reference = _features(history.measured / learned.unit, targets, history, daily=daily)
    with one_tree_thread():
        departure = learned.trees.predict(features[:, learned.columns])
    forecasts = (reference + departure).reshape(history.long, series)
    return np.asarray(forecasts * learned.unit)


def _features(values: Reals, targets: TargetRows, history: History, *, daily: bool) -> tuple[Reals, Reals]:
    """Features (rows, p) and the reference (rows) in units, from what is known at each row's origin alone; NaN where it
    is missing.
    """
    cycle, long = history.short, history.long
    days = (targets.step - targets.origin) // cycle
    weeks = (targets.step - targets.origin) // long + 1
    short = np.stack(
        [_values_at(values, targets, targets.step - (days + 1 + lag) * cycle) for lag in range(max(long // cycle, 1))]
    )
    wide = np.stack([_values_at(values, targets, targets.step - (weeks + lag) * long) for lag in range(LONG_LAGS)])
    middle, usual = nan_median(wide), nan_median(short)
    middle = np.where(np.isnan(middle), usual, middle)
    reference = np.where(np.isnan(short[0]), middle, short[0]) if daily else middle
    near = [_values_at(values, targets, targets.step - weeks * long + lag) for lag in NEIGHBOURS]
    spread = [nan_mean(short), usual, nan_mean(wide), np.fmax.reduce(wide), np.fmin.reduce(wide), np.fmax.reduce(short)]
    levels = _levels(values, targets, cycle)
    clock = [targets.step % cycle, targets.step // cycle % max(long // cycle, 1), days]
    relative = np.stack([middle, *short, *wide, *spread, *levels, *near]) - reference
    return np.column_stack([reference, relative.T, *clock]), reference


def _values_at(values: Reals, targets: TargetRows, step: Places) -> Reals:
    """The values of the rows' series at other steps; NaN before the first and from the origin on."""
    is_known = (step >= 0) & (step < targets.origin)
    return np.where(is_known, values[np.where(is_known, step, 0), targets.series], np.nan)


def _levels(values: Reals, targets: TargetRows, cycle: int) -> list[Reals]:
    """Mean values of the rows' series over spans before their origins."""
    is_measured = np.isfinite(values)
    sums, counts = (
        np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(part, axis=0)])
        for part in (np.where(is_measured, values, 0.0), is_measured)
    )
    levels = []
    for first, last in LEVELS:
        start, stop = (np.maximum(targets.origin - back * cycle, 0) for back in (first, last))
        total, count = (part[stop, targets.series] - part[start, targets.series] for part in (sums, counts))
        levels.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    return levels


@lru_cache(maxsize=1)
def _tree_controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_tree_thread() -> Iterator[None]:
    """Within it, trees grow on one thread, so that the same rows give the same trees on every machine; scikit-learn
    must be imported by then.
    """
    with _tree_controller().limit(limits=1, user_api="openmp"):
        yield
