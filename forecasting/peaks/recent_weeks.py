"""How much of the last measured weeks the median of the coming ones takes over, learned from past forecasts.

A simulated median follows a curve that was fitted to a year, or to eight weeks. Where traffic moves for reasons that no
curve knows, last week's value repeated is nearer; where weeks scatter about a steady growth, it is further off. So past
weeks decide, by series, statistic and horizon: last week repeated is the baseline, and each other way to go on from
the last weeks (`CANDIDATES`) counts as far as it beat the baseline by more than its standard error on weeks that were
forecast before they came. A series whose own past says little is decided for by the series of its group; a lone one,
or one with few weeks, repeats last week.

Spread and ranks of the paths stay: all quantiles of a week move with its median, and calibration sets their distance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from forecasting.panel.history import nan_median
from forecasting.peaks.calibration import LEAST, MIDDLE, OCTAVE, WeeklyBacktest, Whole
from forecasting.peaks.weekly_statistics import Reals


class Candidate(NamedTuple):
    """A median of the coming weeks on the log scale, between the simulated one and the last weeks.

    kept: the share of how far the last weeks lay off the simulated level. usual: how much of "the last weeks" is the
    median of four, the rest is the last one alone. slope: the share of the simulated trend. drift: the share of the
    mean change of the last three weeks, which fades by DAMPED a week.
    """

    kept: float
    usual: float = 0.0
    slope: float = 0.0
    drift: float = 0.0


# Weight of the evidence of an origin against that of one a week younger.
AGEING = 0.95
# Last week repeated comes first: it is the baseline.
CANDIDATES = (
    Candidate(1.0),
    Candidate(0.0, slope=1.0),
    Candidate(0.5, slope=1.0),
    Candidate(1.0, slope=1.0),
    Candidate(0.5),
    Candidate(0.5, usual=1.0, slope=1.0),
    Candidate(1.0, usual=1.0),
    Candidate(1.0, usual=0.5),
    Candidate(1.0, drift=0.5),
    Candidate(1.0, drift=1.0),
)
KEPT, USUAL, SLOPE, DRIFT = np.array(CANDIDATES).T[:, :, None, None]
DAMPED = 0.8
# Weeks that are looked at for the last measured one and the usual one, and those that a drift spans.
LOOKED_AT, SPANNED = 4, 3
# A candidate counts where its own mean gain exceeds so many standard errors, or that of its group does so with its own
# gain beside it: the group's weighs as much as so many origins.
OWN_ERRORS, GROUP_ERRORS, GROUP_ORIGINS = 3.0, 1.0, 30.0
# A lone series has no other to say what is usual: with three, hourly series of years were off by 19.4 % at 8 to 13
# weeks, with four by 19.2 %, as last week repeated.
LONE_ERRORS = 4.0
# What is supposed of the spread of gains, as a share of the baseline's error, before any was seen; as heavy as two
# origins. Of one origin nobody knows a standard error.
SUPPOSED_OWN, SUPPOSED_GROUP, SUPPOSED_ORIGINS = 0.7, 1.0, 2.0
# Forecasts of weeks further ahead than this from neighbouring origins err together.
APART = 4.0
# The best candidate has nearly all the weight.
SHARPNESS = 8
# The gain of one series counts in its group for at most so many errors of the baseline, and that error for at least
# this share of what is usual in the group.
GAIN_AT_MOST, ERROR_AT_LEAST = 3.0, 0.25


class RecentWeeks(NamedTuple):
    """The last measured week, the median of the last four and the mean weekly change of the last three, (2, M) each, on
    the log scale; NaN where none of them was measured above zero, no change where one is missing.
    """

    last: Reals
    usual: Reals
    drift: Reals

    @classmethod
    def before(cls, origin: int, logs: Reals) -> RecentWeeks:
        """Of weekly values on the log scale (weeks, 2, M), those before the position `origin`."""
        weeks = np.full((max(LOOKED_AT, SPANNED + 1), *logs.shape[1:]), np.nan)
        seen = logs[max(origin - len(weeks), 0) : origin][::-1]
        weeks[: len(seen)] = seen
        place = np.isfinite(weeks[:LOOKED_AT]).argmax(axis=0)[None]
        last = np.take_along_axis(weeks, place, axis=0)[0]
        drift = (weeks[0] - weeks[SPANNED]) / SPANNED
        return cls(last, nan_median(weeks[:LOOKED_AT]), np.nan_to_num(drift))


class SimulatedLine(NamedTuple):
    """The level (2, M) of the simulated median in the first week ahead, and what it rises by from there (W, 2, M), on
    the log scale.
    """

    level: Reals
    rise: Reals

    @classmethod
    def through(cls, median: Reals, ahead: Whole, known_events: bool) -> SimulatedLine:
        """Of medians (W, 2, M) on the log scale of the weeks `ahead` (W,), increasing; those not reached are NaN.

        Where events are known, it is a straight line by the medians of slopes and levels (Theil and Sen), so that an
        event that bends a week is no part of level or trend.
        """
        if not known_events or len(ahead) == 1:
            return cls(median[0], median - median[0])
        first, second = np.triu_indices(len(ahead), 1)
        slope = np.nan_to_num(
            nan_median((median[second] - median[first]) / (ahead[second] - ahead[first])[:, None, None])
        )
        rise = slope * (ahead - ahead[0])[:, None, None]
        return cls(nan_median(median - rise), rise)


class Followed(NamedTuple):
    """past: the backtest with the medians that follow the recent weeks, each with what was known at its origin.

    weights: (A, C, 2, M), what each candidate counts for in the weeks to come, at the horizons of the backtest.
    """

    past: WeeklyBacktest
    weights: Reals


def follow(past: WeeklyBacktest, weekly: Reals, groups: Whole, now: int, known_events: bool) -> Followed:
    """Learn how medians follow recent weeks from forecasts of weeks that have come; weekly: (weeks, 2, M), measured.

    groups: (M,), labels; series of one label decide together. now: the position of the first week to come.
    known_events: whether the simulated weeks know of events, which are no part of a trend.
    """
    logs = log_measured(weekly)
    median = np.log(np.maximum(past.predicted[:, :, :, MIDDLE], LEAST))
    actual = np.log(np.maximum(past.actual, LEAST))
    moves = np.empty((*median.shape[:2], len(CANDIDATES), *median.shape[2:]))
    for position, origin in enumerate(past.origins):
        line = SimulatedLine.through(median[position], past.ahead, known_events)
        moves[position] = candidate_moves(line, RecentWeeks.before(int(origin), logs), past.ahead)
    errors = np.abs((actual - median)[:, :, None] - moves)
    moved = np.zeros_like(median)
    for position, origin in enumerate(past.origins):
        reached = int(np.isfinite(median[position]).any(axis=(1, 2)).sum())
        weights = weights_of_horizons(past, errors, groups, int(origin), reached)
        moved[position, :reached] = (weights * moves[position, :reached]).sum(axis=1)
    latest = weights_of_horizons(past, errors, groups, now, len(past.ahead))
    return Followed(past._replace(predicted=past.predicted * np.exp(moved)[:, :, :, None]), latest)


def log_measured(weekly: Reals) -> Reals:
    """The logarithm of weekly values; NaN where nothing was carried, which says nothing of the weeks to come."""
    is_carried = np.isfinite(weekly) & (weekly > 0.0)
    return np.where(is_carried, np.log(np.where(is_carried, weekly, 1.0)), np.nan)


def candidate_moves(line: SimulatedLine, recent: RecentWeeks, ahead: Whole) -> Reals:
    """What each candidate adds to the logarithm of the simulated median, (W, C, 2, M), in the weeks `ahead` (W,)."""
    departure = np.nan_to_num((1.0 - USUAL) * recent.last + USUAL * recent.usual - line.level)
    faded = (1.0 - DAMPED**ahead) / (1.0 - DAMPED)
    return np.asarray(
        KEPT * departure
        - (1.0 - SLOPE) * np.nan_to_num(line.rise)[:, None]
        + DRIFT * recent.drift * faded[:, None, None, None]
    )


def weights_of_horizons(past: WeeklyBacktest, errors: Reals, groups: Whole, now: int, reached: int) -> Reals:
    """What each candidate counts for at the first `reached` horizons, (A, C, 2, M).

    Where too few weeks so far ahead have come to prove any, those that count for nearer weeks do, but for those that
    lost on what has come.
    """
    found = np.zeros((reached, *errors.shape[2:]))
    for at in range(reached):
        score, gain = candidate_scores(past, errors, groups, now, at)
        weights = np.maximum(score, 0.0) ** SHARPNESS
        if at:
            weights = np.where(weights.sum(axis=0) > 0.0, weights, found[at - 1] * (gain > 0.0))
        total = weights.sum(axis=0)
        found[at] = weights / np.where(total > 0.0, total, 1.0)
        found[at, 0] += total == 0.0
    return found


def candidate_scores(past: WeeklyBacktest, errors: Reals, groups: Whole, now: int, at: int) -> tuple[Reals, Reals]:
    """By how much each candidate surely beat the baseline at the horizon `past.ahead[at]`, above zero where it is
    proven, and its own mean gain, (C, 2, M) each, as shares of the baseline's error, from errors (O, A, C, 2, M) of
    weeks that ended before the position `now`.
    """
    has_come = (past.origins[:, None] + past.ahead <= now)[:, :, None, None]
    near = OCTAVE ** np.abs(np.log2(past.ahead / past.ahead[at]))[:, None, None]
    share = near * (has_come & np.isfinite(errors[:, :, 0]))
    count = share.sum(axis=1)
    of_origin = np.einsum("oasm,oacsm->ocsm", share, np.nan_to_num(errors)) / np.where(count > 0.0, count, 1.0)[:, None]
    age = AGEING ** np.maximum(now - past.origins, 0)[:, None, None] * (count > 0.0)
    apart = max(float(past.ahead[at]) / APART, 1.0)
    baseline = _mean(age, of_origin[:, 0])
    score, gain = np.zeros(errors.shape[2:]), np.zeros(errors.shape[2:])
    for members in _groups(groups):
        mine, ages = baseline[:, members], age[:, :, members]
        usual = nan_median(np.where(mine > 0.0, mine, np.nan).T)[:, None]
        scale = np.fmax(np.fmax(mine, ERROR_AT_LEAST * usual), LEAST)
        gains = (of_origin[:, :1, :, members] - of_origin[:, :, :, members]) / scale
        mean, error, origins = _mean_and_error(ages[:, None], gains, apart, SUPPOSED_OWN)
        found = mean - (OWN_ERRORS if len(members) > 1 else LONE_ERRORS) * error
        if len(members) > 1:
            cut = np.clip(gains, -GAIN_AT_MOST, GAIN_AT_MOST)
            shared = _mean(np.moveaxis(ages, 2, 0)[:, :, None], np.moveaxis(cut, 3, 0))
            of_group, group_error, _ = _mean_and_error(ages.max(axis=2)[:, None], shared, apart, SUPPOSED_GROUP)
            together = of_group - GROUP_ERRORS * group_error
            found = np.maximum(
                found, (origins * mean + GROUP_ORIGINS * together[:, :, None]) / (origins + GROUP_ORIGINS)
            )
        score[:, :, members], gain[:, :, members] = found, mean
    return score, gain


def _groups(groups: Whole) -> Iterator[Whole]:
    """The positions of the series of each group."""
    return (np.flatnonzero(groups == label) for label in np.unique(groups))


def _mean(weights: Reals, values: Reals) -> Reals:
    """The weighted mean along the first axis; zero without weight."""
    total = weights.sum(axis=0)
    return np.asarray((weights * values).sum(axis=0) / np.where(total > 0.0, total, 1.0))


def _mean_and_error(weights: Reals, values: Reals, apart: float, supposed: float) -> tuple[Reals, Reals, Reals]:
    """The weighted mean along the first axis, its standard error, and how many origins apart from each other it rests
    on.
    """
    total, squares = weights.sum(axis=0), (weights**2).sum(axis=0)
    origins = total**2 / np.where(squares > 0.0, squares, 1.0) / apart
    mean = _mean(weights, values)
    variance = (origins * _mean(weights, (values - mean) ** 2) + SUPPOSED_ORIGINS * supposed**2) / (
        origins + SUPPOSED_ORIGINS
    )
    return mean, np.sqrt(variance / np.maximum(origins, 1.0 / SUPPOSED_ORIGINS)), origins


def moves_ahead(weights: Reals, checked: Whole, simulated: Reals, recent: RecentWeeks, known_events: bool) -> Reals:
    """What the recent weeks add to the logarithms of all paths, (W, 2, M), in the first weeks ahead, whose simulated
    medians are `simulated` (W, 2, M).

    weights: (A, C, 2, M) of the `checked` horizons (A,); between two of them in proportion to the logarithm of the
    horizon, beyond the last as there. Without any, last week is repeated.
    """
    ahead = np.arange(1, len(simulated) + 1)
    median = np.log(np.maximum(simulated, LEAST))
    moves = candidate_moves(SimulatedLine.through(median, ahead, known_events), recent, ahead)
    if not len(checked):
        return moves[:, 0]
    at = np.interp(np.log(ahead), np.log(checked), np.arange(len(checked)))
    low = at.astype(np.int64)
    high = np.minimum(low + 1, len(checked) - 1)
    between = (at - low)[:, None, None, None]
    return np.asarray((((1.0 - between) * weights[low] + between * weights[high]) * moves).sum(axis=1))
