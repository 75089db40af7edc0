"""Double seasonal exponential smoothing (Taylor, 2003): a level, a shape of the day and a shape of the week, each moved
by its share of every error.

It learns a new shape within days, where medians of four weeks take two of them and a curve averages over all it saw.
The autocorrelated error of the original
is left out: it fades within hours, and the pool's residual corrections carry it.
"""

from __future__ import annotations

import numpy as np

from forecasting.panel.history import History, Model, Reals, nan_mean, shared
from forecasting.panel.spread import LogScale

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
