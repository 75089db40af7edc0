"""Calibration is what brute force says it is, sees nothing that has not come, and follows its own misses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.peaks.calibration import (
    DIRECT,
    LENT_AT_MOST,
    LEVELS,
    MIDDLE,
    OUTWARD,
    WeeklyBacktest,
    offsets,
    weighted_quantile,
    winsorised,
)
from forecasting.peaks.weekly_statistics import Reals

unhurried = settings(deadline=None, max_examples=60)
errors = arrays(
    float, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(-20, 20).map(float) | st.just(np.nan)
)
levels = st.sampled_from(list(LEVELS))


def by_hand(values: Reals, weights: Reals, level: float, own: float, series: int, lent: Reals | None = None) -> float:
    """The quantile of one series: every error in a list, its weight beside it, and the week to come at the end that the
    level looks to.
    """
    theirs = values if lent is None else lent
    pairs: list[tuple[float, float]] = []
    for row, of in np.ndindex(values.shape):
        error = float((values if of == series else theirs)[row, of])
        pairs += [(error, float(weights[row]) * (own if of == series else 1.0))] if np.isfinite(error) else []
    if not pairs:
        return 0.0
    count = np.isfinite(values).any(axis=0).sum()
    coming = 0.0 if level == 0.5 else float((count - 1 + own) / count)
    pairs = sorted([*pairs, (math.inf if level > 0.5 else -math.inf, coming)])
    wanted, reached = level * sum(weight for _, weight in pairs), 0.0
    largest = max(value for value, _ in pairs if math.isfinite(value))
    for value, weight in pairs:
        reached += weight
        if math.isfinite(value) and reached >= wanted - 1e-9:
            return value
    return largest


@unhurried
@given(errors, levels, st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([1.0, 0.5]))
def test_the_quantile_is_that_of_brute_force(values: Reals, level: float, own: float, ageing: float) -> None:
    weights = np.asarray(ageing ** np.arange(len(values))[::-1], dtype=float)
    expected = [by_hand(values, weights, level, own, series) for series in range(values.shape[1])]
    assert list(weighted_quantile(values, weights, level, own)) == pytest.approx(expected)


@unhurried
@given(errors, levels, st.sampled_from([1.0, 0.5]), st.sampled_from([0.0, 3.0, 8.0]))
def test_the_quantile_of_own_errors_and_of_lent_ones_is_that_of_brute_force(
    values: Reals, level: float, ageing: float, most: float
) -> None:
    """What is lent is cut, and nothing is lent of errors that are cut to where they began."""
    weights = np.asarray(ageing ** np.arange(len(values))[::-1], dtype=float)
    given = np.where(np.abs(values) > 15.0, np.nan, np.clip(values, -most, most))
    expected = [by_hand(values, weights, level, 2.0, series, given) for series in range(values.shape[1])]
    assert list(weighted_quantile(values, weights, level, 2.0, given)) == pytest.approx(expected)


def test_a_series_without_an_error_takes_the_largest_of_the_others_where_the_level_lies_beyond_them() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan]])
    weights = np.array([0.5, 1.0])
    expected = [by_hand(values, weights, 0.9, 2.0, series) for series in range(3)]
    assert list(weighted_quantile(values, weights, 0.9, 2.0)) == pytest.approx(expected)


@unhurried
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40), st.sampled_from([0.9, 0.95]))
def test_equal_weights_give_the_textbook_rank(values: list[int], level: float) -> None:
    rank = min(math.ceil((len(values) + 1) * level - 1e-9), len(values))
    found = weighted_quantile(np.array(values, dtype=float)[:, None], np.ones(len(values)), level, own=1.0)
    assert found[0] == sorted(values)[rank - 1]


def trial(actual: Reals, ahead: int = 2, spread: float = 0.02) -> WeeklyBacktest:
    """Forecasts that always say 1, of weekly values (weeks, series), from every week on."""
    weeks, series = actual.shape
    origins, steps = np.arange(weeks), np.arange(1, ahead + 1)
    predicted = np.broadcast_to(np.exp(spread * OUTWARD), (weeks, ahead, 2, len(LEVELS), series)).copy()
    came = np.full((weeks, ahead, 2, series), np.nan)
    for origin, step in np.ndindex(weeks, ahead):
        if origin + step < weeks:
            came[origin, step] = actual[origin + step]
    return WeeklyBacktest(origins, steps, predicted, came)


def test_nothing_is_seen_before_it_comes() -> None:
    actual = np.exp(0.1 * np.random.default_rng(1).standard_normal((20, 3)))
    changed = actual.copy()
    changed[12:] *= 5.0
    groups = np.zeros(3, dtype=np.int64)
    before, after = (offsets(trial(values), groups, 20) for values in (actual, changed))
    assert (before[:13] == after[:13]).all()
    assert (before[13] != after[13]).any()
    assert (before[0] == 0.0).all()


def test_other_groups_lend_nothing() -> None:
    actual = np.exp(0.1 * np.random.default_rng(1).standard_normal((20, 3)))
    changed = actual * np.array([1.0, 1.0, 9.0])
    groups = np.array([0, 0, 1])
    before, after = (offsets(trial(values), groups, 20) for values in (actual, changed))
    assert (before[..., :2] == after[..., :2]).all()


def moves_of_a_mate(mate: Reals, sites: int = 6) -> Reals:
    """By what the quantiles (2, L) of a usual site are moved a week ahead, where another site of its group errs by
    `mate` (24 weeks) on the log scale.
    """
    actual = np.exp(0.05 * np.random.default_rng(7).standard_normal((24, sites)))
    actual[:, 0] = np.exp(mate)
    return offsets(trial(actual, ahead=1), np.zeros(sites, dtype=np.int64), 24)[-1, 0, :, :, -1]


@pytest.mark.parametrize(
    "mate",
    [
        np.full(24, -np.inf),
        np.full(24, -20.0),
        np.where(np.arange(24) < 22, 0.0, 9.0),
        np.where(np.arange(24) < 22, 0.0, -9.0),
        9.0 * (-1.0) ** np.arange(24),
    ],
    ids=["idle", "next to idle", "launches", "closes", "wild"],
)
@pytest.mark.parametrize("sites", [3, 6, 24])
def test_one_strange_site_leaves_the_quantiles_of_the_others_in_place(mate: Reals, sites: int) -> None:
    usual = 0.05 * np.random.default_rng(8).standard_normal(24)
    assert moves_of_a_mate(mate, sites) == pytest.approx(moves_of_a_mate(usual, sites), abs=LENT_AT_MOST * 0.05)


def test_what_is_lent_is_cut_about_the_median_and_keeps_its_width() -> None:
    past = np.array([0.1, -0.2, 0.1, -0.1, 8.0])[:, None, None] - 0.3 * OUTWARD[None] + np.zeros((5, 1, 3))
    past[..., 1] *= 0.5
    given = winsorised(past, np.ones((5, 3)), np.ones(5))
    assert given[:, MIDDLE, 0] == pytest.approx([0.1, -0.2, 0.1, -0.1, LENT_AT_MOST * 0.1])
    assert given[:, :, 0] - given[:, [MIDDLE], 0] == pytest.approx(past[:, :, 0] - past[:, [MIDDLE], 0])
    assert np.isnan(winsorised(past, np.zeros((5, 3)), np.ones(5))).all(), "a week that carried nothing says nothing"


def test_own_errors_count_whole_however_large() -> None:
    """A site that is right beside one whose demand has fallen for good: its own lower quantile follows, the other's
    does not.
    """
    actual = np.exp(0.05 * np.random.default_rng(7).standard_normal((24, 2)))
    actual[4:, 0] = 0.2
    found = offsets(trial(actual, ahead=1), np.zeros(2, dtype=np.int64), 24)[-1, 0, 0, 1]
    assert found[0] == pytest.approx(np.log(0.2), abs=0.15)
    assert found[1] == pytest.approx(0.0, abs=0.15)


@pytest.mark.parametrize("factor", [0.1, 0.9, 3.0])
def test_quantiles_that_are_always_off_by_a_factor_are_set_right_and_the_median_is_left(factor: float) -> None:
    found = offsets(trial(np.full((8, 1), factor), spread=0.0), np.zeros(1, dtype=np.int64), 8)
    outer = np.delete(found[-1], MIDDLE, axis=2)
    assert outer == pytest.approx(np.log(factor), abs=0.35 * abs(np.log(factor)) + 1e-9)
    assert (found[:, :, :, MIDDLE] == 0.0).all(), "what the median misses is learned from the last weeks"


def test_a_lone_series_whose_level_rises_is_covered_again() -> None:
    """The forecast never learns of the rise; the calibration does within weeks, and so it does of a fall."""
    noise = np.exp(0.03 * np.random.default_rng(4).standard_normal((60, 1)))
    for factor in (1.6, 1 / 1.6):
        actual = noise * np.where(np.arange(60)[:, None] < 30, 1.0, factor)
        trials = trial(actual, ahead=1)
        quantiles = trials.predicted[:, 0, 0, :, 0] * np.exp(
            offsets(trials, np.zeros(1, dtype=np.int64), 60)[:-1, 0, 0, :, 0]
        )
        came = trials.actual[:, 0, 0, 0]
        settled = slice(40, 59)
        assert np.mean(came[settled] <= quantiles[settled, -1]) >= 0.8
        assert np.mean(came[settled] >= quantiles[settled, 0]) >= 0.8


def test_misses_widen_and_hits_never_narrow() -> None:
    """Neighbours share their errors, but for each one's own weight; what else parts them is their own feedback."""
    actual = np.exp(0.05 * (-1.0) ** np.arange(24))[:, None] * np.ones(2)
    alike = offsets(trial(actual, ahead=1), np.zeros(2, dtype=np.int64), 24)
    assert (alike[..., 0] == alike[..., 1]).all()
    actual[20:23, 0] = 1.4
    found = offsets(trial(actual, ahead=1), np.zeros(2, dtype=np.int64), 24)
    assert found[-1, 0, 0, -1, 0] > found[-1, 0, 0, -1, 1]
    quiet = offsets(trial(np.full((24, 2), 1.0), ahead=1), np.zeros(2, dtype=np.int64), 24)
    assert quiet[-1, 0, 0] == pytest.approx(-0.02 * np.broadcast_to(OUTWARD, (5, 2))), "the conformal offset alone"


def test_far_horizons_take_the_feedback_of_the_last_direct_one() -> None:
    actual = np.exp(0.1 * np.random.default_rng(2).standard_normal((30, 2)))
    found = offsets(trial(actual, ahead=DIRECT + 2), np.zeros(2, dtype=np.int64), 30)
    assert np.isfinite(found).all()
    assert (found[:-1, DIRECT:] == 0.0).all()
    assert (found[-1, DIRECT:] != 0.0).any()
