"""Forecasts that need no fit: copies and medians of past cycles. What does not beat the best of them has no claim to be
drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.panel.history import History, LogScale, Model, Reals, nan_mean, nan_median, shared

# Four weeks: enough for a median to pass over one odd week, few enough to follow the season of the year.
CYCLES = 4
# A level that strays comes back: most of what the last day says is gone after two.
LEVEL_SPAN_CYCLES = 2.0
# A week of days: their median knows today's level and not the weekend.
SHORT_CYCLES = 7
# A cycle counts half as much as the next newer one; the sixth counts for a thirtieth.
FORGETTING, REMEMBERED_CYCLES = 0.5, 6
# One odd day may not triple a forecast, nor quench it.
RESCALED_AT_MOST = 3.0

# A year of whole weeks, so that weekdays meet weekdays, and the weeks that today's level is measured by.
YEAR_DAYS, LEVEL_DAYS = 364, 28

# From the last cycles (count, season, N), NaN where missing, to one cycle (season, N).
Summary = Callable[[Reals], Reals]


def naive(history: History, steps: int) -> Reals:
    """The last value that was measured, repeated."""
    return np.repeat(_latest(history.measured[:, None, :]), steps, axis=0)


def seasonal_naive(season: int) -> Model:
    """The model that copies the last cycle of `season` steps; a hole is filled from the cycle before."""
    return lambda history, steps: tile_ahead(_profile(history, season, _latest), steps)


def seasonal_median(season: int) -> Model:
    """The model that takes the median of the last four cycles, phase by phase."""
    return lambda history, steps: tile_ahead(_profile(history, season, nan_median), steps)


def daily_median(history: History, steps: int) -> Reals:
    """The median of the last seven short cycles, phase by phase."""
    profile = nan_median(cycles(history.measured, history.short, SHORT_CYCLES))
    return tile_ahead(np.where(np.isnan(profile), naive(history, history.short), profile), steps)


def exponentially_weighted_mean(season: int) -> Model:
    """The model that takes the mean of the last cycles, phase by phase, each with half the weight of the next newer
    one.
    """
    weights = FORGETTING ** np.arange(REMEMBERED_CYCLES)[::-1, None, None]

    def summary(blocks: Reals) -> Reals:
        is_measured = ~np.isnan(blocks)
        total = (weights * is_measured).sum(axis=0)
        return np.where(
            total > 0.0,
            (weights * np.where(is_measured, blocks, 0.0)).sum(axis=0) / np.where(total > 0.0, total, 1.0),
            np.nan,
        )

    return lambda history, steps: tile_ahead(_profile(history, season, summary, REMEMBERED_CYCLES), steps)


def rescaled_seasonal_median(season: int) -> Model:
    """The seasonal median times the share of it that the last short cycle carried."""

    def model(history: History, steps: int) -> Reals:
        profile = _profile(history, season, nan_median)
        recent = history.measured[-history.short :]
        usual = np.where(np.isnan(recent), np.nan, tile_back(profile, len(recent)))
        carried, expected = nan_mean(recent), nan_mean(usual)
        share = np.where(expected > 0.0, carried / np.where(expected > 0.0, expected, 1.0), 1.0)
        return np.asarray(tile_ahead(profile, steps) * np.clip(share, 1.0 / RESCALED_AT_MOST, RESCALED_AT_MOST))

    return model


def level_adjusted_median(season: int) -> Model:
    """The seasonal median, moved by how far the last short cycle lay from it; the move fades with the horizon."""

    def model(history: History, steps: int) -> Reals:
        profile = _profile(history, season, nan_median)
        move = nan_mean(
            history.measured[-history.short :] - tile_back(profile, min(history.short, len(history.measured)))
        )
        return tile_ahead(profile, steps) + exponential_decay(steps, LEVEL_SPAN_CYCLES * history.short)[:, None] * move

    return model


def last_year_at_level(history: History, steps: int) -> Reals:
    """The median of the last four weeks, moved as last year's level moved from the same four weeks on; NaN for a series
    that does not know a year.

    The level is a moving mean of four weeks, 364 days ago, so that weekdays meet weekdays. A plain copy of those days errs
    more (docs/methods.md).
    """
    year, weeks = history.days(YEAR_DAYS), history.days(LEVEL_DAYS)
    is_known = knows_a_year(history)
    if not is_known.any():
        return np.full((steps, history.measured.shape[1]), np.nan)
    season = max((season for season in history.seasons if season <= weeks), default=1)
    first = len(history.measured) - year
    then = nan_mean(history.measured[first - weeks : first])
    later = _moving_mean(history.measured, weeks)[first + np.arange(steps) % year]
    moved = np.where(then > 0.0, later / np.where(then > 0.0, then, 1.0), 1.0)
    moved = np.clip(moved, 1.0 / RESCALED_AT_MOST, RESCALED_AT_MOST)
    return np.where(is_known, tile_ahead(_profile(history, season, nan_median), steps) * moved, np.nan)


def knows_a_year(history: History) -> npt.NDArray[np.bool_]:
    """Which series (N) were measured for a year and the weeks that a level is tied to; none where steps are longer than
    a week, for the year is among their seasons.
    """
    is_measured = np.isfinite(history.measured)
    lived = len(is_measured) - is_measured.argmax(axis=0)
    is_fine = history.step <= pd.Timedelta(days=7)
    return np.asarray(is_measured.any(axis=0) & (lived >= history.days(YEAR_DAYS + LEVEL_DAYS)) & is_fine)


def _moving_mean(values: Reals, count: int) -> Reals:
    """Means of `count` values about each row, (T, N), of what is measured; zero where nothing is."""
    is_measured = np.isfinite(values)
    sums, counts = (
        np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(part, axis=0)])
        for part in (np.where(is_measured, values, 0.0), is_measured)
    )
    rows = np.arange(len(values))
    first, last = np.maximum(rows - count // 2, 0), np.minimum(rows + count - count // 2, len(values))
    return np.asarray((sums[last] - sums[first]) / np.maximum(counts[last] - counts[first], 1))


def exponential_decay(steps: int, span: float) -> Reals:
    """exp(-h / span) for h = 1 to `steps`."""
    return np.exp(-np.arange(1, steps + 1) / span)


def tile_ahead(profile: Reals, steps: int) -> Reals:
    """The cycle (season, N), whose first row is the first step ahead, over that many steps ahead."""
    return profile[np.arange(steps) % len(profile)]


def tile_back(profile: Reals, steps: int) -> Reals:
    """The cycle (season, N), whose first row is the first step ahead, over that many last steps of the past."""
    return profile[np.arange(-steps, 0) % len(profile)]


def cycles(values: Reals, season: int, count: int) -> Reals:
    """The last `count` cycles, (count, season, N); the first row of a cycle has the phase of the first step ahead. NaN
    before the history's start.
    """
    rows = values[-count * season :]
    padded = np.full((count * season, values.shape[1]), np.nan)
    padded[len(padded) - len(rows) :] = rows
    return padded.reshape(count, season, -1)


def _profile(history: History, season: int, summary: Summary, count: int = CYCLES) -> Reals:
    """One cycle of `season` steps; what none of the last cycles holds is taken from the next shorter season, and at
    last from the newest value.
    """
    profile = summary(cycles(history.measured, season, count))
    if not np.isnan(profile).any():
        return profile
    shorter = max((other for other in history.seasons if other < season), default=None)
    rest = naive(history, season) if shorter is None else tile_ahead(_profile(history, shorter, summary, count), season)
    return np.where(np.isnan(profile), rest, profile)


def _latest(blocks: Reals) -> Reals:
    """The newest value of each phase that is not missing, (count, season, N) to (season, N)."""
    is_measured = ~np.isnan(blocks)
    newest = len(blocks) - 1 - is_measured[::-1].argmax(axis=0)
    return np.asarray(np.take_along_axis(blocks, newest[None], axis=0)[0])


# Shares of an error that move the level at each step and the day's shape once a day: the best of 16 on the parts kept
# for choosing (docs/methods.md).
LEVEL_GAIN, SHORT_GAIN = 0.1, 0.3
# The week's shape, once a week: slowly, or as quickly as the day's.
SLOW, QUICK = 0.1, 0.3
# What lies further back than this has a fifth of its first weight in the slow shape, and none in the others.
LONG_CYCLES = 16


def double_seasonal_smoothing(gain: float, *, log: bool) -> Model:
    """The model whose long shape takes the share `gain` of each error, on the raw or the log scale."""

    def model(history: History, steps: int) -> Reals:
        values = history.measured[-LONG_CYCLES * history.long :]
        scale = shared(history, "log scales", lambda: LogScale.of(history.measured)) if log else None
        level, short, long = _filter(values if scale is None else scale.log(values), history.short, history.long, gain)
        rows = len(values) + np.arange(steps)
        forecasts = level + short[rows % len(short)] + long[rows % len(long)]
        return forecasts if scale is None else scale.value(forecasts)

    return model


def _filter(values: Reals, cycle: int, longer: int, gain: float) -> tuple[Reals, Reals, Reals]:
    """Level (N) and the shapes of the short and the long cycle, (cycle, N) and (longer, N), after all values (T, N); a
    missing value moves nothing.
    """
    first = longer if len(values) >= longer else cycle
    level, short, long = _initial_states(values[:first], cycle, longer)
    memory = _error_matrix(cycle)
    for start in range(first, len(values), cycle):
        block = values[start : start + cycle]
        rows = start + np.arange(len(block))
        at, along = rows % cycle, rows % longer
        missed = _one_step_errors(block - short[at] - long[along], level, memory)
        level = level + LEVEL_GAIN * missed.sum(axis=0)
        short[at] += SHORT_GAIN * missed
        if longer > cycle:
            long[along] += gain * missed
    return level, short, long


def _initial_states(values: Reals, cycle: int, longer: int) -> tuple[Reals, Reals, Reals]:
    """Level and shapes of the first values alone: their mean, the mean by phase of the short cycle, and what is left
    where a whole long one is there.
    """
    level = nan_mean(values)
    rest = np.concatenate([values, np.full((-len(values) % cycle, values.shape[1]), np.nan)]) - level
    short = nan_mean(rest.reshape(-1, cycle, values.shape[1]))
    long = np.zeros((longer, values.shape[1]))
    if len(values) >= longer > cycle:
        long = np.nan_to_num(values - level - short[np.arange(longer) % cycle])
    return level, short, long


def _one_step_errors(left: Reals, level: Reals, memory: Reals) -> Reals:
    """One-step errors (n, N) of a level that follows `left` (n, N), step by step; zero where nothing was measured.

    Without a gap they are linear in what is left and in the level that it starts from, so that a whole cycle is one
    product.
    """
    if not np.isnan(left).any():
        return np.asarray(memory[: len(left), : len(left)] @ (left - level))
    errors = np.zeros_like(left)
    for row, values in enumerate(left):
        errors[row] = np.where(np.isnan(values), 0.0, values - level)
        level = level + LEVEL_GAIN * errors[row]
    return errors


def _error_matrix(count: int) -> Reals:
    """The matrix (count, count) that takes departures from the first level to errors: each less what the level has
    learned of those before it.
    """
    back = np.subtract.outer(np.arange(count), np.arange(count))
    return np.where(back == 0, 1.0, np.where(back > 0, -LEVEL_GAIN * (1.0 - LEVEL_GAIN) ** (back - 1.0), 0.0))
