"""Causal anomaly scores of a series, 0 to 1 at every step, from innovations: what came less what was expected.

Nothing after a step is read for its score, and one setting serves all series.

1. **Expected**: the median of the same time of the last seven days, plus a ridge regression of what is left on its own
   recent averages, fitted anew each day on the last fourteen. Spikes weigh little in it.
2. **Innovations** over robust scales, two kinds. *Sudden*: on the value's own scale, of one 5-minute mean. *Lasting*: on
   the log scale, the least of three steps in one direction, so that a glitch of one step counts for nothing; only at
   steps of 2 to 15 minutes, and where no value is negative. Coarser steps last long enough by themselves.
3. **Calibration**: where a series' own 99th percentile of a score is above what is usual, the score is divided by the excess.
4. **Debounce**: a step alerts where its score beats every score of the last 5 % of the history, at least half a day.
   Alerts score above 0.5. Between them the score falls from the last lasting deviation, by a factor e in a day.

A missing value has no score: a gap is no drop. What each part is worth: docs/measurements.md.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Reals = npt.NDArray[np.float64]

DAY, WEEK = pd.Timedelta(days=1), pd.Timedelta(days=7)
# A sudden change is that of a mean over this time, a lasting one keeps on for so long.
SUDDEN, LASTING = pd.Timedelta(minutes=5), pd.Timedelta(minutes=15)
# Steps at which lasting deviations count beside sudden ones.
LASTING_STEPS = (pd.Timedelta(minutes=2), pd.Timedelta(minutes=15))
# Fewer steps than this are no cycle, and a fit has at least so many rows.
MIN_CYCLE, MIN_BLOCK = 4, 50
# From this many steps a day on, averages over hours tell more than single lags.
FINE_CYCLE = 90
SEASONAL_DAYS, NEAR_STEPS = 7, 4
TRAINING_BLOCKS = 14
RIDGE, WINSOR, HUBER = 0.1, 8.0, 2.0
# Log scale: floor in medians of the first two cycles, which keeps zeros finite.
LOG_FLOOR = 0.05
# Days that scales are taken from: what lasts is held against the last two and their time of day, what is sudden against
# four weeks, in which earlier spikes remain remembered.
LASTING_SCALE_DAYS, SUDDEN_SCALE_DAYS = 2, 28
# No scale is below this share of the mean value: rounding in a series without noise is no anomaly.
MIN_SCALE = 4e-3
# The time of day counts for this power of its own mean deviation.
HOURLY_POWER = 0.7
# Calibration: percentile, days, and for each kind its usual value and the power of the excess that is divided by.
TAIL, TAIL_DAYS, COARSE_TAIL_DAYS = 0.99, 21, 60
USUAL_LASTING, USUAL_SUDDEN = 2.2, 4.0
SUDDEN_WEIGHT = 0.5
COARSE_POWER = 0.5
DEBOUNCE_SHARE, MIN_DEBOUNCE = 0.05, 12
# An alert scores at least this much before it is mapped to 0.5 and above; half of the way to 1 is at SCORE_HALF.
MIN_ALERT, SCORE_HALF = 2.0, 5.0


@dataclass(frozen=True, slots=True)
class AnomalyScores:
    """Of one series, by step: `score` 0 to 1, above 0.5 where it alerts, NaN where the value is missing; `direction` 1
    above what was expected, -1 below, 0 where nothing deviates; `expected` in the value's own unit, NaN at first.
    """

    score: Reals
    direction: npt.NDArray[np.int64]
    expected: Reals


def anomaly_scores(values: Reals, step: pd.Timedelta) -> AnomalyScores:
    """Scores of a series (T), evenly spaced by `step`, NaN where missing. The first two cycles score 0."""
    cycle = cycle_steps(step)
    unit = max(1, round(SUDDEN / step))
    raw = _residuals(values, cycle, unit)
    sudden, sudden_mean, predicted = _innovations(raw, cycle, unit, 1)
    lasting_raw, lasting_mean, _ = _innovations(raw, cycle, unit, max(1, round(LASTING / step / unit)))
    least = MIN_SCALE * np.nan_to_num(pd.Series(np.abs(values)).expanding().mean().shift(1).to_numpy())
    kinds = [
        SUDDEN_WEIGHT
        * _calibrated(sudden / _scale(sudden_mean, SUDDEN_SCALE_DAYS * cycle, least), cycle, USUAL_SUDDEN, step)
    ]
    if LASTING_STEPS[0] <= step <= LASTING_STEPS[1]:
        kinds.append(_lasting(values, cycle, step))
    strongest = np.argmax(np.abs(kinds), axis=0)
    signed = np.take_along_axis(np.array(kinds), strongest[None], axis=0)[0]
    signed[: 2 * cycle] = 0.0
    signed[np.isnan(values)] = 0.0
    window = max(cycle // 2, MIN_DEBOUNCE)
    alert = debounce(np.abs(signed), window)
    deviation = np.abs(lasting_raw / _scale(lasting_mean, SUDDEN_SCALE_DAYS * cycle, least))
    deviation[: 2 * cycle] = 0.0
    fading = _fading(debounce(deviation, window), cycle)
    score = np.where(alert > MIN_ALERT, 0.5 + 0.5 * _bounded(alert), 0.5 * _bounded(fading))
    expected = values - (raw - predicted)
    return AnomalyScores(
        np.where(np.isnan(values), np.nan, score),
        np.sign(signed).astype(np.int64),
        np.where(np.isnan(values), np.nan, expected),
    )


def cycle_steps(step: pd.Timedelta) -> int:
    """Steps of a day, of a week where a day has too few, 1 where both have."""
    for length in (DAY, WEEK):
        if round(length / step) >= MIN_CYCLE:
            return int(round(length / step))  # noqa: RUF046 - a Timedelta's quotient has no type
    return 1


def debounce(scores: Reals, window: int) -> Reals:
    """Scores where they beat every one of the last 5 % of the history, at least `window` steps; 0 elsewhere."""
    beats = np.zeros(len(scores))
    highest: deque[int] = deque()
    for now, score in enumerate(scores):
        first = now - max(int(DEBOUNCE_SHARE * now), window)
        while highest and highest[0] < first:
            highest.popleft()
        if not highest or score > scores[highest[0]]:
            beats[now] = score
        while highest and scores[highest[-1]] <= score:
            highest.pop()
        highest.append(now)
    return beats


def _bounded(score: Reals) -> Reals:
    return np.asarray(score / (score + SCORE_HALF))


def _fading(scores: Reals, cycle: int) -> Reals:
    """The highest score so far, where each falls by a factor e in a cycle."""
    keep, current = float(np.exp(-1.0 / max(cycle, MIN_DEBOUNCE))), 0.0
    faded = np.empty(len(scores))
    for place, score in enumerate(scores):
        current = max(current * keep, score)
        faded[place] = current
    return faded


def _lasting(values: Reals, cycle: int, step: pd.Timedelta) -> Reals:
    """Calibrated lasting innovations on the log scale; zeros where a value or the usual level forbids it."""
    first = values[: 2 * cycle]
    level = float(np.nanmedian(first)) if np.isfinite(first).any() else 0.0
    if level <= 0 or np.nanmin(first) < 0:
        return np.zeros(len(values))
    logs = np.log(np.maximum(values, 0.0) + LOG_FLOOR * level)
    lasting, mean, _ = _innovations(_residuals(logs, cycle, 1), cycle, 1, max(1, round(LASTING / step)))
    scale = _scale(mean, LASTING_SCALE_DAYS * cycle, 0.0) * _hourly_spread(mean, cycle)
    scaled = lasting / np.maximum(scale, MIN_SCALE)
    return _calibrated(scaled, cycle, USUAL_LASTING, step)


def _residuals(values: Reals, cycle: int, unit: int) -> Reals:
    """Values less the median of the same time of past cycles; less the mean of the last cycle where none is known."""
    near = NEAR_STEPS * unit if cycle >= FINE_CYCLE else 1
    usual = np.full(len(values), np.nan)
    if cycle > near:
        shifts = [day * cycle + by for day in range(1, SEASONAL_DAYS + 1) for by in range(-near, near + 1)]
        same_time = np.array([_shifted(values, by) for by in shifts])
        known = np.isfinite(same_time).any(axis=0)
        usual[known] = np.nanmedian(same_time[:, known], axis=0)
    return values - np.where(np.isfinite(usual), usual, _shifted(_mean(values, max(cycle, MIN_BLOCK)), 1))


def _innovations(residuals: Reals, cycle: int, unit: int, count: int) -> tuple[Reals, Reals, Reals]:
    """Of the last `count` means over `unit` steps, less what was expected before them: the least where all have one
    sign, else 0; their mean; and what was expected.
    """
    means = residuals if unit == 1 else _mean(residuals, unit)
    predicted = _predicted(means, cycle, unit, unit * count)
    parts = np.array([_shifted(means, unit * back) for back in range(count)]) - predicted
    least = np.where(
        (parts > 0).all(axis=0), parts.min(axis=0), np.where((parts < 0).all(axis=0), parts.max(axis=0), 0.0)
    )
    return np.nan_to_num(least), parts.mean(axis=0), predicted


def _predicted(means: Reals, cycle: int, unit: int, ahead: int) -> Reals:
    """The mean of the next `ahead` steps, expected before them: ridge regression on recent averages, robust, fitted once
    a cycle; an exponential average before there are two cycles.
    """
    features = _shifted_rows(_features(means, cycle, unit), ahead)
    target = _mean(means, ahead)
    early = _shifted(pd.Series(means).ewm(halflife=12, ignore_na=True).mean().to_numpy(), ahead)
    predicted = np.nan_to_num(early)
    block = max(cycle, MIN_BLOCK)
    for start in range(2 * block, len(means), block):
        rows = np.arange(max(0, start - TRAINING_BLOCKS * block) + ahead, start)
        rows = rows[np.isfinite(target[rows])]
        ahead_rows = slice(start, min(start + block, len(means)))
        predicted[ahead_rows] = features[ahead_rows] @ _robust_ridge(features[rows], target[rows])
    return predicted


def _features(means: Reals, cycle: int, unit: int) -> Reals:
    """What a prediction knows at each step: averages over ever longer spans, the last one a whole cycle."""
    known = np.nan_to_num(means)
    if cycle >= FINE_CYCLE:
        spans = [(1, 2), (3, 3), (6, 6), (12, 12), (24, 48)]
        lagged = [_mean(_shifted(known, unit * lag), unit * span) for lag, span in spans]
    else:
        lagged = [
            _shifted(known, 1),
            _shifted(known, 2),
            _mean(_shifted(known, 3), 3),
            _shifted(known, max(cycle - 1, 1)),
        ]
    return np.nan_to_num(np.column_stack([known, *lagged, _mean(known, max(cycle, MIN_CYCLE))]))


def _robust_ridge(features: Reals, target: Reals) -> Reals:
    """Coefficients; features and target are winsorised, and one step of reweighting lets large errors count less."""
    if len(target) < MIN_BLOCK:
        return np.zeros(features.shape[1])
    spread = 1.4826 * float(np.median(np.abs(target))) + 1e-12
    x, y = np.clip(features, -WINSOR * spread, WINSOR * spread), np.clip(target, -WINSOR * spread, WINSOR * spread)
    penalty = RIDGE * len(y) * spread**2 * np.eye(x.shape[1])
    errors = y - x @ np.linalg.solve(x.T @ x + penalty, x.T @ y)
    usual = 1.4826 * float(np.median(np.abs(errors))) + 1e-12
    weighted = x * np.minimum(1.0, HUBER * usual / np.maximum(np.abs(errors), 1e-12))[:, None]
    return np.asarray(np.linalg.solve(weighted.T @ x + penalty, weighted.T @ y))


def _scale(innovations: Reals, window: int, least: Reals | float) -> Reals:
    """Robust standard deviation of the steps before each: the median deviation with a little of the mean; at least
    `least`.
    """
    before = pd.Series(np.abs(innovations)).shift(1).rolling(window, min_periods=20)
    scale = 0.8 * 1.4826 * before.median().to_numpy() + 0.2 * 1.2533 * before.mean().to_numpy()
    return np.asarray(np.maximum(np.nan_to_num(scale, nan=np.inf), np.maximum(least, 1e-9)))


def _hourly_spread(innovations: Reals, cycle: int) -> Reals:
    """How much larger deviations are at this time of day, an hour to either side, than on the whole last week."""
    size = np.abs(innovations)
    nearby = _mean(size, 25, 8)
    days = np.array([_shifted(nearby, day * cycle - 12) for day in range(1, 8)])
    known = np.isfinite(days).any(axis=0)
    here = np.full(len(size), np.nan)
    here[known] = np.nanmean(days[:, known], axis=0)
    overall = pd.Series(size).shift(1).rolling(7 * cycle, min_periods=20).mean().to_numpy()
    ratio = np.divide(here, overall, out=np.ones(len(size)), where=np.isfinite(here) & (overall > 0))
    return np.asarray(np.clip(ratio, 0.3, 4.0) ** HOURLY_POWER)


def _calibrated(scores: Reals, cycle: int, usual: float, step: pd.Timedelta) -> Reals:
    """Scores, divided by the excess of the series' own 99th percentile over the usual one."""
    fine = cycle >= FINE_CYCLE
    days = TAIL_DAYS if fine else COARSE_TAIL_DAYS
    before = pd.Series(np.abs(scores)).shift(1).rolling(days * cycle, min_periods=max(cycle, MIN_BLOCK))
    tail = np.nan_to_num(before.quantile(TAIL).to_numpy(), nan=usual)
    power = 1.0 if LASTING_STEPS[0] <= step <= LASTING_STEPS[1] else COARSE_POWER
    return np.asarray(np.nan_to_num(scores) * np.minimum(1.0, usual / np.maximum(tail, 1e-9)) ** power)


def _mean(values: Reals, window: int, least: int | None = None) -> Reals:
    """Means of the last `window` values of which at least a third are known."""
    rolling = pd.Series(values).rolling(window, min_periods=least or max(1, window // 3))
    return np.asarray(rolling.mean().to_numpy(), dtype=float)


def _shifted(values: Reals, by: int) -> Reals:
    """Values `by` steps ago; NaN before there are any."""
    return np.concatenate([np.full(min(by, len(values)), np.nan), values[: max(len(values) - by, 0)]])


def _shifted_rows(rows: Reals, by: int) -> Reals:
    """Rows `by` steps ago; zeros before there are any."""
    return np.vstack([np.zeros((min(by, len(rows)), rows.shape[1])), rows[: max(len(rows) - by, 0)]])
