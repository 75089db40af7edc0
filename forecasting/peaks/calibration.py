"""Calibration of weekly quantiles on past weeks that were forecast before they came.

Split conformal on the log error of each quantile (Romano, Patterson and Candes, 2019), weighted (Tibshirani and others,
2019): a series' own weeks count twice, those of the other series of its group once, recent weeks more than old ones,
and weeks at another horizon less the further it lies. What a series lends the others is cut to a few times the usual
error of its group (winsorised), so that one that launches or closes does not set the spread of all. What is left is fed
back from the series' own misses, step by step (the quantile tracker of Angelopoulos, Candes and Tibshirani, 2023, in
the line of Gibbs and Candes, 2021), so that a lone series whose level shifts recovers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import PEAK_QUANTILES
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
    errors = _errors(trials)
    moments = np.r_[trials.origins, origin]
    near = int(np.searchsorted(trials.ahead, DIRECT, side="right"))
    found = np.zeros((len(moments), *errors.shape[1:]))
    fed = np.zeros((near, *errors.shape[2:]))
    for position, now in enumerate(moments):
        seen = int(moments[position - 1]) if position else 0
        fed = fed + _feedback(trials, errors, found, seen, int(now))
        fed = np.where(fed * OUTWARD > 0.0, fed, 0.0)
        asked = near if position < len(trials.origins) else len(trials.ahead)
        for at in range(asked):
            found[position, at] = pooled(trials, errors, groups, int(now), at) + (
                fed[min(at, near - 1)] if near else 0.0
            )
    return found


def _errors(trials: WeeklyBacktest) -> Reals:
    """Log of what came over each quantile, (O, A, 2, L, M)."""
    actual = np.log(np.maximum(trials.actual, LEAST))
    return np.asarray(actual[:, :, :, None] - np.log(np.maximum(trials.predicted, LEAST)))


def _feedback(trials: WeeklyBacktest, errors: Reals, found: Reals, seen: int, now: int) -> Reals:
    """The steps of weeks that came between two origins, (near, 2, L, M): up after a miss, down by the odds after a hit,
    none for the median.
    """
    near = int(np.searchsorted(trials.ahead, DIRECT, side="right"))
    steps = np.zeros((near, *errors.shape[2:]))
    tails = (LEVELS != 0.5)[:, None]
    for at in range(near):
        came = trials.origins + trials.ahead[at]
        for position in np.flatnonzero((came > seen) & (came <= now)):
            error = errors[position, at]
            missed = (error > found[position, at]) - (1.0 - LEVELS)[:, None]
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
    """The conformal offset (2, L, M) of the horizon `trials.ahead[at]`, from the weeks that came before the position
    `now`.
    """
    known = trials.origins[:, None] + trials.ahead <= now
    age = (now - trials.origins[:, None] - trials.ahead)[known]
    octaves = np.abs(np.log2(trials.ahead / trials.ahead[at]))
    weights = AGEING**age * (OCTAVE ** np.broadcast_to(octaves, known.shape)[known])
    past, came = errors[known], trials.actual[known]
    found = np.zeros(errors.shape[2:])
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        for statistic in range(len(found)):
            own = past[:, statistic][:, :, members]
            given = winsorised(own, came[:, statistic, members], weights)
            for number, level in enumerate(LEVELS):
                found[statistic, number, members] = weighted_quantile(
                    own[:, number], weights, float(level), lent=given[:, number]
                )
    return found


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
    errors: Reals, weights: Reals, level: float, own: float = OWN, lent: Reals | None = None
) -> Reals:
    """The conformal quantile for each series (M,) of a group's errors (n, M), NaN left out, with weights (n,): its own,
    which count `own` times, and what the others lend it (n, M), their errors as they are by default; 0 where there is
    none.

    The week to come counts as one more error, as heavy as a fresh one of the usual series, above all others for a level
    above one half and below all others for
    one below it: with equal weights and `own` 1 the quantile is the ceil((n + 1) level)-th smallest error, or the
    largest.
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
    usual = 1.0 + (own - 1.0) / held.any(axis=0).sum()
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
