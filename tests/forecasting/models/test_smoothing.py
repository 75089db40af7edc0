"""Double seasonal smoothing, against the recursion written out step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.models.baselines import LEVEL_GAIN, LONG_CYCLES, QUICK, SHORT_GAIN, SLOW, double_seasonal_smoothing
from forecasting.panel.history import Reals
from tests.forecasting.panels import SEASONS, demand, history

SHORT, LONG = SEASONS


def step_by_step(values: Reals, steps: int, gain: float) -> Reals:
    """One series: the level moves at every step, the shapes when their phase comes round."""
    first = LONG if len(values) >= LONG else SHORT
    level = np.nanmean(values[:first])
    short = np.array([np.nanmean(values[:first][phase::SHORT]) for phase in range(SHORT)]) - level
    long = np.zeros(LONG)
    if first == LONG:
        long = np.nan_to_num(values[:LONG] - level - np.tile(short, LONG // SHORT))
    for step in range(first, len(values)):
        missed = values[step] - level - short[step % SHORT] - long[step % LONG]
        if np.isfinite(missed):
            level += LEVEL_GAIN * missed
            short[step % SHORT] += SHORT_GAIN * missed
            long[step % LONG] += gain * missed
    ahead = len(values) + np.arange(steps)
    return level + short[ahead % SHORT] + long[ahead % LONG]


@pytest.mark.parametrize("count", [3 * LONG, 2 * LONG + 5, LONG + 1, 3 * SHORT])
@pytest.mark.parametrize("gain", [SLOW, QUICK])
def test_whole_cycles_at_once_are_the_recursion(count: int, gain: float) -> None:
    values = demand(count, 3)
    values[-SHORT - 3 : -SHORT, 0] = np.nan
    found = double_seasonal_smoothing(gain, log=False)(history(values), LONG + 3)
    expected = np.stack([step_by_step(column, LONG + 3, gain) for column in values.T], axis=1)
    np.testing.assert_allclose(found, expected)


@given(st.integers(0, 2 * LONG - 1), st.booleans())
def test_what_repeats_is_continued_wherever_it_ends(end: int, log: bool) -> None:
    shape = 2.0 + np.sin(np.arange(LONG) * 2.0 * np.pi / SHORT) + 0.2 * (np.arange(LONG) > 5 * SHORT)
    values = np.tile(shape, 5)[: 3 * LONG + end, None]
    found = double_seasonal_smoothing(SLOW, log=log)(history(values), LONG)
    np.testing.assert_allclose(found[:, 0], np.roll(shape, -len(values) % LONG), rtol=1e-9)


def test_a_new_level_is_learned_within_days_and_a_new_week_by_the_quick_sooner() -> None:
    shape = np.ones(LONG)
    shape[: SHORT // 2] = 3.0
    values = np.concatenate([np.ones(4 * LONG), np.tile(shape, 2)])[:, None]
    slow, quick = (double_seasonal_smoothing(gain, log=False)(history(values), LONG)[:, 0] for gain in (SLOW, QUICK))
    assert np.abs(quick - shape).mean() < np.abs(slow - shape).mean()
    risen = np.concatenate([np.ones((4 * LONG, 1)), np.full((2 * SHORT, 1), 2.0)])
    np.testing.assert_allclose(double_seasonal_smoothing(SLOW, log=False)(history(risen), SHORT), 2.0, rtol=0.1)


def test_the_log_scale_never_falls_below_zero_and_gaps_are_no_zeros() -> None:
    values = demand(4 * LONG, 2)
    values[2 * LONG : 2 * LONG + 4 * SHORT] = np.nan
    found = double_seasonal_smoothing(QUICK, log=True)(history(values), 3 * LONG)
    assert (found >= 0.0).all()
    np.testing.assert_allclose(found.mean(axis=0), np.nanmean(values, axis=0), rtol=0.3)


def test_what_lies_further_back_than_its_memory_is_not_read() -> None:
    values = demand((LONG_CYCLES + 2) * LONG, 1)
    other = np.concatenate([np.full((2 * LONG, 1), 1e6), values[2 * LONG :]])
    np.testing.assert_array_equal(
        double_seasonal_smoothing(SLOW, log=False)(history(other), 5),
        double_seasonal_smoothing(SLOW, log=False)(history(values), 5),
    )
