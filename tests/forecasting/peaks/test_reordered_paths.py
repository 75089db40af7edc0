"""Errors that last: found in past trials, and given to paths without touching any week's values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.peaks.calibration import LEVELS, WeeklyBacktest, persistence, reorder_ranks
from forecasting.peaks.simulation import JointPaths
from forecasting.peaks.weekly_statistics import WEEK, Reals
from forecasting.planning.runout import first_crossings

WEEKS, SERIES, PATHS = 20, 3, 400


def trials(share: float, origins: int = 40, seed: int = 0) -> WeeklyBacktest:
    """Errors of a tenth about a level of 100, `share` of whose variance is the same at all weeks ahead of an origin."""
    rng = np.random.default_rng(seed)
    ahead, shape = np.array([1, 2, 3, 4, 6]), (origins, 5, 2, SERIES)
    lasts, own = rng.normal(size=(origins, 1, 1, SERIES)), rng.normal(size=shape)
    predicted = np.full((origins, 5, 2, len(LEVELS), SERIES), 100.0)
    return WeeklyBacktest(
        np.arange(origins),
        ahead,
        predicted,
        100.0 * np.exp(0.1 * (np.sqrt(share) * lasts + np.sqrt(1.0 - share) * own)),
    )


def drawn(shared: float = 0.5, seed: int = 1) -> JointPaths:
    """Weeks that know nothing of each other, in which series share half of their variance; their P95 is a little
    lower.
    """
    rng = np.random.default_rng(seed)
    common, own = rng.normal(size=(WEEKS, 1, PATHS)), rng.normal(size=(WEEKS, SERIES, PATHS))
    peak = 100.0 * np.exp(0.1 * (np.sqrt(shared) * common + np.sqrt(1.0 - shared) * own))
    return JointPaths(np.datetime64("2026-11-02", "us") + np.arange(WEEKS) * WEEK, peak, 0.9 * peak)


def between_weeks(values: Reals) -> float:
    """The mean correlation of two weeks of a series, over pairs, by NumPy's own."""
    each = [
        np.corrcoef(np.log(values[:, one]))[np.triu_indices(len(values), 1)].mean() for one in range(values.shape[1])
    ]
    return float(np.mean(each))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6])
def test_what_lasts_is_found_in_past_errors(share: float) -> None:
    assert persistence(trials(share, origins=400)) == pytest.approx(share, abs=0.05)


def test_few_origins_tell_little_and_none_nothing() -> None:
    assert persistence(trials(0.6, origins=2)) < 0.3
    assert persistence(trials(0.6, origins=0)) == 0.0
    alone = trials(0.6)
    assert persistence(alone._replace(actual=np.full_like(alone.actual, np.nan))) == 0.0


def test_zeros_and_exact_forecasts_are_no_errors() -> None:
    exact = trials(0.0)
    assert persistence(exact._replace(actual=exact.predicted[:, :, :, 0])) == 0.0
    assert 0.0 <= persistence(exact._replace(actual=np.where(exact.actual > 100.0, 0.0, exact.actual))) <= 1.0


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_ranks_last_as_asked_and_every_week_keeps_its_values(share: float) -> None:
    before = drawn()
    after = reorder_ranks(before, share, WEEKS, seed=3)
    assert between_weeks(after.peak) == pytest.approx(share, abs=0.05)
    for old, new in ((before.peak, after.peak), (before.p95, after.p95)):
        np.testing.assert_array_equal(np.sort(new, axis=-1), np.sort(old, axis=-1))


def test_what_sites_share_in_a_week_they_share_as_much_as_before() -> None:
    before = drawn(shared=0.5)
    after = reorder_ranks(before, 0.4, WEEKS, seed=3)
    shared = [np.mean([np.corrcoef(np.log(week))[0, 1] for week in paths.peak]) for paths in (before, after)]
    assert shared[1] == pytest.approx(shared[0], abs=0.07)


def test_paths_that_last_already_stay_as_they_are() -> None:
    before = reorder_ranks(drawn(), 0.5, WEEKS, seed=3)
    np.testing.assert_array_equal(reorder_ranks(before, 0.3, WEEKS, seed=4).peak, before.peak)


def test_a_series_without_paths_stays_without() -> None:
    before = drawn()
    before.peak[:, 1] = np.nan
    after = reorder_ranks(before, 0.5, WEEKS, seed=3)
    assert np.isnan(after.peak[:, 1]).all()
    assert np.isfinite(after.peak[:, [0, 2]]).all()


@settings(max_examples=20)
@given(st.floats(0.1, 0.8), st.integers(0, 1000))
def test_more_that_lasts_spreads_the_dates(share: float, seed: int) -> None:
    before, limit = drawn(seed=seed), 125.0
    dates = [
        np.mean(np.isfinite(first_crossings(paths.peak[:, 0][None] / limit)))
        for paths in (before, reorder_ranks(before, share, WEEKS, seed=seed))
    ]
    assert dates[1] <= dates[0] + 0.02
