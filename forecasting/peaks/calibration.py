"""Calibration of weekly quantiles on past weeks that were forecast before they came.

Split conformal on the log error of each quantile (Romano, Patterson and Candes, 2019), weighted (Tibshirani and others,
2019): a series' own weeks count twice, those of the other series of its group once, recent weeks more than old ones,
and weeks at another horizon less the further it lies. What a series lends the others is cut to a few times the usual
error of its group (winsorised), so that one that launches or closes does not set the spread of all. What is left is fed
back from the series' own misses, step by step (the quantile tracker of Angelopoulos, Candes and Tibshirani, 2023, in
the line of Gibbs and Candes, 2021), so that a lone series whose level shifts recovers.

Paths are moved by the same offsets, rank by rank, and then reordered. Each week of a path draws its residuals anew, so
that its errors hardly hang together from week to week; those of past forecasts do: a site above its forecast this week
is likely to be above it next week, and paths that do not say so cross a limit too early. Week by week and series by
series their ranks are made to last as past errors did: every week keeps its own values, hence its quantiles, and only
which path holds which of them changes (the idea of the Schaake shuffle, Clark and others, 2004, with a Gaussian copula
for the order).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from data.schema import PEAK_QUANTILES
from forecasting.panel.history import nan_median
from forecasting.peaks.simulation import JointPaths
from forecasting.peaks.weekly_statistics import Reals

Whole = npt.NDArray[np.int64]

LEVELS = np.array(list(PEAK_QUANTILES.values()))
MIDDLE = int(np.flatnonzero(LEVELS == 0.5)[0])
# Which way a quantile moves to widen the spread.
OUTWARD = np.sign(LEVELS - 0.5)[:, None]
# A series' own weeks count twice.
OWN = 2.0
# What is lent misses its median by at most so many times what is usual among the series of the group. What all sites
# may meet, such as the weeks of events, lies within; three times would cut it off: 0.934 of the peaks of network 201
# (benchmarks/peaks.py) came under the 0.95 quantile, with six times 0.956.
LENT_AT_MOST = 6.0
# Weight of a week against one that is a week younger, and of a horizon against one twice as long. How they were chosen
# is told in benchmarks/peaks.py.
AGEING, OCTAVE = 0.85, 0.5
# A miss moves the bound outward by this share of the series' usual error; a hit moves it back by the odds, never
# further in than where it was.
FEEDBACK = 0.1
# The usual error is that of the last weeks.
USUAL_WEEKS = 8
# Up to this many weeks ahead the own misses are fed back; they come too late for further ones, which take those of the
# last.
DIRECT = 4
# Logarithms of what was not measured, or forecast, as above zero.
LEAST = 1e-12
# An estimate over so many origins counts for half.
SHRUNK_ORIGINS = 4.0
# Two weeks of a site are never told to be the same.
MOST = 0.9
# Sums of weights agree to about this share.
ROUNDING = 1e-12


class WeeklyBacktest(NamedTuple):
    """Past weeks that were forecast before they came.

    origins: (O,), positions of the weeks before which all was known, increasing. ahead: (A,), how many weeks ahead,
    counted from 1, increasing.
    predicted: (O, A, 2, L, M), quantiles at LEVELS of both statistics. actual: (O, A, 2, M). NaN where nothing is
    known.
    """

    origins: Whole
    ahead: Whole
    predicted: Reals
    actual: Reals


def offsets(trials: WeeklyBacktest, groups: Whole, origin: int) -> Reals:
    """What to add to the logarithm of each quantile, (O + 1, A, 2, L, M): at each origin from what was known when its
    week began, then at `origin`, which is later.

    groups: (M,), labels; series of one label lend each other their weeks, but for those that carried nothing. Zero
    where there is no past week yet, and beyond DIRECT weeks ahead at all origins but the last.
    """
    errors = log_errors(trials)
    moments = np.r_[trials.origins, origin]
    near = int(np.searchsorted(trials.ahead, DIRECT, side="right"))
    moves = np.zeros((len(moments), *errors.shape[1:]))
    feedback = np.zeros((near, *errors.shape[2:]))
    for position, now in enumerate(moments):
        seen = int(moments[position - 1]) if position else 0
        feedback = feedback + _feedback(trials, errors, moves, seen, int(now))
        feedback = np.where(feedback * OUTWARD > 0.0, feedback, 0.0)
        horizons = near if position < len(trials.origins) else len(trials.ahead)
        for at in range(horizons):
            moves[position, at] = pooled(trials, errors, groups, int(now), at) + (
                feedback[min(at, near - 1)] if near else 0.0
            )
    return moves


def log_errors(trials: WeeklyBacktest) -> Reals:
    """Log of the actual over each quantile, (O, A, 2, L, M)."""
    actual = np.log(np.maximum(trials.actual, LEAST))
    return np.asarray(actual[:, :, :, None] - np.log(np.maximum(trials.predicted, LEAST)))


def _feedback(trials: WeeklyBacktest, errors: Reals, moves: Reals, seen: int, now: int) -> Reals:
    """The steps of weeks that ended between two origins, (near, 2, L, M): up after a miss, down by the odds after a hit,
    none for the median.
    """
    near = int(np.searchsorted(trials.ahead, DIRECT, side="right"))
    steps = np.zeros((near, *errors.shape[2:]))
    tails = (LEVELS != 0.5)[:, None]
    for at in range(near):
        ended = trials.origins + trials.ahead[at]
        for position in np.flatnonzero((ended > seen) & (ended <= now)):
            error = errors[position, at]
            missed = (error > moves[position, at]) - (1.0 - LEVELS)[:, None]
            steps[at] += np.where(
                np.isfinite(error) & tails, FEEDBACK * _usual_error(errors, int(position), at) * missed, 0.0
            )
    return steps


def _usual_error(errors: Reals, position: int, at: int) -> Reals:
    """The median absolute error of the median forecast in the last weeks, (2, 1, M); zero where there is none."""
    recent = np.abs(errors[max(position - USUAL_WEEKS + 1, 0) : position + 1, at, :, MIDDLE])
    frame = pd.DataFrame(recent.reshape(len(recent), -1))
    return np.asarray(frame.median().fillna(0.0).to_numpy().reshape(recent.shape[1], 1, recent.shape[2]))


def pooled(trials: WeeklyBacktest, errors: Reals, groups: Whole, now: int, at: int) -> Reals:
    """The conformal offset (2, L, M) of the horizon `trials.ahead[at]`, from the weeks that ended before the position
    `now`; none for the median, which learns from past weeks by itself (`recent_weeks.py`).

    Weeks far ahead of neighbouring origins err together: there the week to come counts for as many of them.
    """
    is_past = trials.origins[:, None] + trials.ahead <= now
    age = (now - trials.origins[:, None] - trials.ahead)[is_past]
    octaves = np.abs(np.log2(trials.ahead / trials.ahead[at]))
    weights = AGEING**age * (OCTAVE ** np.broadcast_to(octaves, is_past.shape)[is_past])
    past_errors, actual = errors[is_past], trials.actual[is_past]
    fresh = max(float(trials.ahead[at]) / DIRECT, 1.0)
    quantiles = np.zeros(errors.shape[2:])
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        for statistic in range(len(quantiles)):
            own = past_errors[:, statistic][:, :, members]
            given = winsorised(own, actual[:, statistic, members], weights)
            for number, level in enumerate(LEVELS):
                if number != MIDDLE:
                    quantiles[statistic, number, members] = weighted_quantile(
                        own[:, number], weights, float(level), lent=given[:, number], fresh=fresh
                    )
    return quantiles


def winsorised(past: Reals, actual: Reals, weights: Reals) -> Reals:
    """What series lend of their errors (n, L, M): those of the median within LENT_AT_MOST usual ones, the other
    quantiles as far from it as they were.

    Usual is the median over the series of what each one's median forecast usually misses by. A week that carried
    nothing, actual (n, M), is not lent.
    """
    middle = np.where(actual > 0.0, past[:, MIDDLE], np.nan)
    sizes = _weighted_median(np.abs(middle), weights)
    sizes = np.sort(sizes[np.isfinite(sizes)])
    # Of two series the steadier one says what is usual.
    most = LENT_AT_MOST * sizes[(len(sizes) - 1) // 2] if len(sizes) else 0.0
    return np.asarray(past + (np.clip(middle, -most, most) - middle)[:, None])


def _weighted_median(values: Reals, weights: Reals) -> Reals:
    """The median of each column (M,) of values (n, M) with weights (n,), NaN left out; NaN where there is none."""
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    sums = np.cumsum(np.where(np.isfinite(ordered), weights[order], 0.0), axis=0)
    return (
        np.take_along_axis(ordered, (sums >= sums[-1] / 2.0).argmax(axis=0)[None], axis=0)[0]
        if len(values)
        else np.full(values.shape[1], np.nan)
    )


def weighted_quantile(
    errors: Reals, weights: Reals, level: float, own: float = OWN, lent: Reals | None = None, fresh: float = 1.0
) -> Reals:
    """The conformal quantile for each series (M,) of a group's errors (n, M), NaN left out, with weights (n,): its own,
    which count `own` times, and what the others lend it (n, M), their errors as they are by default; 0 where there is
    none.

    The week to come counts as `fresh` more errors, each as heavy as a fresh one of the usual series, above all others
    for a level above one half and below all others for one below it: with equal weights and `own` and `fresh` 1 the
    quantile is the ceil((n + 1) level)-th smallest error, or the largest.
    """
    held = np.isfinite(errors)
    if not held.any():
        return np.zeros(errors.shape[1])
    each = np.where(held, weights[:, None], 0.0)
    lent = errors if lent is None else lent
    # Few errors are lent as other ones than they are: each counts once more, or less, where it lies between the two.
    row, of = np.nonzero(held & (lent != errors))
    cut, raw, weight = lent[row, of], errors[row, of], weights[row]
    values, sums = _cumulated(np.r_[lent[np.isfinite(lent)], raw], np.r_[each[np.isfinite(lent)], np.zeros(len(raw))])
    total = sums[-1] + (own - 1.0) * each.sum(axis=0) + np.bincount(of, weight * np.isnan(cut), len(each[0]))
    usual = fresh * (1.0 + (own - 1.0) / held.any(axis=0).sum())
    # No quantile lies below the first, or above the last, of what counts for its series.
    wanted = np.clip(
        level * total + usual * (0.0 if level == 0.5 else level - (level < 0.5)), 2.0 * ROUNDING * total, total
    )
    compared = np.where(held, errors, np.inf)
    low, high = np.zeros(errors.shape[1], dtype=np.int64), np.full(errors.shape[1], len(values) - 1)
    while (low < high).any():
        middle = (low + high) // 2
        at = values[middle]
        moved = np.bincount(of, weight * ((raw <= at[of]).astype(float) - (cut <= at[of])), len(at))
        reached = (
            sums[middle] + (own - 1.0) * (each * (compared <= at)).sum(axis=0) + moved >= wanted - ROUNDING * total
        )
        low, high = np.where(reached, low, np.minimum(middle + 1, high)), np.where(reached, middle, high)
    return np.where(total > 0.0, values[low], 0.0)


def _cumulated(values: Reals, weights: Reals) -> tuple[Reals, Reals]:
    """The values in order, each once, and the weight up to and with each."""
    order = np.argsort(values, kind="stable")
    values, sums = values[order], np.cumsum(weights[order])
    last = np.r_[values[1:] > values[:-1], True]
    return values[last], sums[last]


def calibrated(predicted: Reals, moves: Reals) -> Reals:
    """Predicted quantiles (..., L, M) moved by offsets of the logarithm of the same shape, in order; none crosses the
    median.
    """
    moved = predicted * np.exp(moves)
    middle = moved[..., MIDDLE : MIDDLE + 1, :]
    outward = np.where(OUTWARD < 0.0, np.minimum(moved, middle), np.maximum(moved, middle))
    return np.sort(np.where(OUTWARD == 0.0, moved, outward), axis=-2)


# Paths moved and reordered
# ---------------------------------------------------------------------------------------------------------


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
    middle = np.quantile(ranked, 0.5, axis=-1, method="hazen", keepdims=True) * np.exp(by[..., MIDDLE : MIDDLE + 1])
    ranked = ranked * np.exp(by[..., low] + (at - low) * (by[..., low + 1] - by[..., low]))
    # What narrows the spread ends at the median.
    ranked = np.where(share < 0.5, np.minimum(ranked, middle), np.maximum(ranked, middle))
    found = np.empty_like(values)
    np.put_along_axis(found, order, np.maximum.accumulate(ranked, axis=-1), axis=-1)
    return found


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
