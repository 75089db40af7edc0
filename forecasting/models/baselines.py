"""Forecasts that need no fit: copies and medians of past cycles. What does not beat the best of them has no claim to be drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from forecasting.models.history import History, Model, Reals

# Four weeks: enough for a median to pass over one odd week, few enough to follow the season of the year.
CYCLES = 4
# A level that strays comes back: most of what the last day says is gone after two.
LEVEL_SPAN_CYCLES = 2.0

# From the last cycles (count, season, N), NaN where missing, to one cycle (season, N).
Summary = Callable[[Reals], Reals]


def naive(history: History, steps: int) -> Reals:
    """The last value that was measured, repeated."""
    return np.repeat(_latest(history.values[:, None, :]), steps, axis=0)


def seasonal_naive(season: int) -> Model:
    """The model that copies the last cycle of `season` steps; a hole is filled from the cycle before."""
    return lambda history, steps: laid_ahead(_profile(history, season, _latest), steps)


def seasonal_median(season: int) -> Model:
    """The model that takes the median of the last four cycles, phase by phase."""
    return lambda history, steps: laid_ahead(_profile(history, season, nan_median), steps)


def levelled_median(season: int) -> Model:
    """The seasonal median, moved by how far the last short cycle lay from it; the move fades with the horizon."""

    def model(history: History, steps: int) -> Reals:
        profile = _profile(history, season, nan_median)
        move = nan_mean(history.values[-history.short :] - laid_back(profile, min(history.short, len(history.values))))
        return laid_ahead(profile, steps) + fading(steps, LEVEL_SPAN_CYCLES * history.short)[:, None] * move

    return model


def fading(steps: int, span: float) -> Reals:
    """exp(-h / span) for h = 1 to `steps`."""
    return np.exp(-np.arange(1, steps + 1) / span)


def laid_ahead(profile: Reals, steps: int) -> Reals:
    """The cycle (season, N), whose first row is the first step ahead, over that many steps ahead."""
    return profile[np.arange(steps) % len(profile)]


def laid_back(profile: Reals, steps: int) -> Reals:
    """The cycle (season, N), whose first row is the first step ahead, over that many last steps of the past."""
    return profile[np.arange(-steps, 0) % len(profile)]


def cycles(values: Reals, season: int, count: int = CYCLES) -> Reals:
    """The last `count` cycles, (count, season, N); the first row of a cycle has the phase of the first step ahead. NaN before the history's start."""
    rows = values[-count * season :]
    padded = np.full((count * season, values.shape[1]), np.nan)
    padded[len(padded) - len(rows) :] = rows
    return padded.reshape(count, season, -1)


def _profile(history: History, season: int, summary: Summary) -> Reals:
    """One cycle of `season` steps; what none of the last cycles holds is taken from the next shorter season, and at last from the newest value."""
    found = summary(cycles(history.values, season))
    if not np.isnan(found).any():
        return found
    shorter = max((other for other in history.seasons if other < season), default=None)
    rest = naive(history, season) if shorter is None else laid_ahead(_profile(history, shorter, summary), season)
    return np.where(np.isnan(found), rest, found)


def _latest(blocks: Reals) -> Reals:
    """The newest value of each phase that is not missing, (count, season, N) to (season, N)."""
    held = ~np.isnan(blocks)
    newest = len(blocks) - 1 - held[::-1].argmax(axis=0)
    return np.take_along_axis(blocks, newest[None], axis=0)[0]


def nan_median(blocks: Reals) -> Reals:
    """The median along the first axis of what is not missing; NaN where all is. NumPy's own is slow along short axes, and warns."""
    ordered = np.sort(blocks, axis=0)  # NaN last
    count = (~np.isnan(blocks)).sum(axis=0)
    middle = [np.take_along_axis(ordered, np.maximum(index, 0)[None], axis=0)[0] for index in ((count - 1) // 2, count // 2 - (count == 0))]
    return 0.5 * (middle[0] + middle[1])


def nan_mean(blocks: Reals) -> Reals:
    """The mean along the first axis of what is not missing; zero where all is."""
    held = ~np.isnan(blocks)
    return np.where(held, blocks, 0.0).sum(axis=0) / np.maximum(held.sum(axis=0), 1)
