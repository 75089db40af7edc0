"""Gradient-boosted trees on lags, learned from all series of a panel at once: how far the next value departs from a
copy of the past (`boosted_trees`); and, where the panel is too small or too short for that, the next value itself,
step by step (`recursive_trees`).

What the series have in common, a copy or a median of one of them cannot know: how far a level comes back, which hours
are idle, what a loud day says of the next. The trees see lags of whole days and weeks, their spread and the levels of
late, each less the reference that the forecast departs from, in units of the series' usual change from day to day; they
answer to the absolute error, by which forecasts are judged. After Friedman (2001), in the histogram form of Ke et al.
(2017) as scikit-learn has it; the best of the M5 competition built on the same idea (Makridakis, Spiliotis and
Assimakopoulos, 2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import ThreadpoolController

from forecasting.panel.history import History, LogScale, Model, Reals, nan_mean, nan_median, shared

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
# How far the last hours lie from the same hours a day and a week before: over these shares of a short cycle. With the
# steps ahead they took 8 % off the error of trees on M4's part kept for choosing and moved p2p_live by 0.3 %.
LATEST = (1 / 24, 1 / 8, 1 / 4)
SETTINGS = {
    "loss": "absolute_error",
    "max_iter": 30,
    "learning_rate": 0.2,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 50,
    "early_stopping": False,
}
SEED = 0
# Recursive trees: from so many days and series on, with so many days looked at. On Abilene's ingress after 5 to 13 days
# they err by 0.90 where what is drawn without them errs by 0.96. On a lone series they do harm: on worldcup98's part kept
# for choosing they err by 2.7, a copy of yesterday by 1.1.
RECURSIVE_DAYS_AT_LEAST, RECURSIVE_SERIES_AT_LEAST, RECURSIVE_DAYS = 3, 3, 56
RECURSIVE_SETTINGS = {
    "loss": "absolute_error",
    "max_iter": 50,
    "learning_rate": 0.1,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 20,
    "early_stopping": False,
}
A_MONDAY = pd.Timestamp("2000-01-03")


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


def recursive_trees(history: History, steps: int) -> Reals:
    """Forecasts of trees that take each step from the steps before it, those forecast included, on the log scale; NaN
    where a panel is large and long enough for `boosted_trees`, or too small or short for any.

    They see the last three values, those of a day and of a week before, the mean of the last day and that of this hour
    over the last week, the hour, and the weekday, which is what a history of days tells of a weekend.
    """
    length, series = history.measured.shape
    is_for_others = series >= SERIES_AT_LEAST and length >= _least_history(history)
    if is_for_others or series < RECURSIVE_SERIES_AT_LEAST or length < RECURSIVE_DAYS_AT_LEAST * history.short:
        return np.full((steps, series), np.nan)
    # Where every day counts trees are fresh at each origin; later on they serve until a quarter has come.
    known = length if length <= 2 * history.long else grown_by_quarters(2 * history.long, history)
    learned = history if known == length else history.beginning(known)
    fit = shared(learned, "recursive trees", lambda: _fit_recursive(learned))
    if fit is None:
        return np.full((steps, series), np.nan)
    scale = LogScale.of(history.measured)
    ahead = min(steps, history.long)
    past = min(length, RECURSIVE_DAYS * history.short)
    values = np.concatenate([scale.log(history.measured[-past:]), np.full((ahead, series), np.nan)])
    first = _phase(history) + length - past
    with one_tree_thread():
        for step in range(past, past + ahead):
            features = _recursive_features(values, np.array([step]), first, history)
            values[step] = fit.trees.predict(features[:, fit.columns])
    week = scale.value(values[past:])
    return week[np.arange(steps) % ahead]


def _fit_recursive(history: History) -> BoostedFit | None:
    """Trees from every step of the last weeks, on the log scale; None where hardly any is known."""
    past = min(len(history.stamps), RECURSIVE_DAYS * history.short)
    values = LogScale.of(history.measured).log(history.measured[-past:])
    steps = np.arange(min(history.short, past), past)
    features = _recursive_features(values, steps, _phase(history) + len(history.stamps) - past, history)
    targets = values[steps].ravel()
    is_known = np.isfinite(targets)
    if np.count_nonzero(is_known) < history.short:
        return None
    columns = np.flatnonzero(np.isfinite(features[is_known]).any(axis=0))
    from sklearn.ensemble import HistGradientBoostingRegressor

    with one_tree_thread():
        trees = HistGradientBoostingRegressor(**RECURSIVE_SETTINGS, random_state=SEED).fit(
            features[is_known][:, columns], targets[is_known]
        )
    return BoostedFit(trees, columns, np.ones(history.measured.shape[1]))


def _recursive_features(values: Reals, steps: Places, first: int, history: History) -> Reals:
    """Features (steps x N, p) of these steps of values (T, N), by what is known before each; `first` is the phase of the
    long cycle that the values begin at.
    """
    cycle, long, series = history.short, history.long, values.shape[1]

    def before(lags: Sequence[int]) -> Reals:
        places = steps[None, :] - np.array(lags)[:, None]
        return np.where(places[:, :, None] >= 0, values[np.maximum(places, 0)], np.nan)

    lags = before([1, 2, 3, cycle, long])
    means = [_mean_of_known(before(range(1, cycle + 1))), _mean_of_known(before(range(cycle, 8 * cycle, cycle)))]
    phase = first + steps
    clock = [np.repeat(part[:, None], series, axis=1) for part in (phase % cycle, phase % long // cycle)]
    return np.stack([*lags, *means, *clock], axis=-1).reshape(len(steps) * series, -1)


def _phase(history: History) -> int:
    """Where in a long cycle that begins on a Monday a history begins, in steps."""
    return (
        int(
            (history.clock(history.stamps[:1])[0] - A_MONDAY.tz_localize(None if history.zone else history.stamps.tz))
            // history.step
        )
        % history.long
    )


def _shared_fit(history: History, *, daily: bool) -> BoostedFit | None:
    return shared(history, ("boosted", daily), lambda: _fit_trees(history, daily=daily))


def checkpoint(history: History) -> int:
    """How many steps of a history its trees have learned from: the latest of a row of lengths that grow by a quarter; 0
    where it is shorter than the first.
    """
    first = _least_history(history)
    return grown_by_quarters(first, history) if len(history.stamps) >= first else 0


def grown_by_quarters(first: int, history: History) -> int:
    """The latest of a row of lengths, whole short cycles, that grow by a quarter from `first` on and are within the
    history.
    """
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
    clock = [targets.step % cycle, targets.step // cycle % max(long // cycle, 1), days, targets.step - targets.origin]
    relative = np.stack([middle, *short, *wide, *spread, *levels, *near]) - reference
    return np.column_stack([reference, relative.T, *_latest_departures(values, targets, history), *clock]), reference


def _values_at(values: Reals, targets: TargetRows, step: Places) -> Reals:
    """The values of the rows' series at other steps; NaN before the first and from the origin on."""
    is_known = (step >= 0) & (step < targets.origin)
    return np.where(is_known, values[np.where(is_known, step, 0), targets.series], np.nan)


def _latest_departures(values: Reals, targets: TargetRows, history: History) -> list[Reals]:
    """How far the values just before the rows' origins lie, in the mean, from those a short and a long cycle before;
    NaN where none can be compared.
    """
    departures = []
    for share in LATEST:
        back = np.arange(1, max(round(share * history.short), 1) + 1)[:, None]
        for season in (history.short, history.long):
            change = [_values_at(values, targets, targets.origin - back - lag) for lag in (0, season)]
            departures.append(_mean_of_known(change[0] - change[1]))
    return departures


def _mean_of_known(blocks: Reals) -> Reals:
    """The mean along the first axis of what is not missing; NaN where all is."""
    return np.where(np.isfinite(blocks).any(axis=0), nan_mean(blocks), np.nan)


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
