"""The peak and the P95 of a week are those of its samples, and a week full of holes has none."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.schema import week_start
from data.schema.errors import SettingError
from forecasting.peaks.weekly_statistics import WEEK, Reals, monday, p95, weekly

MONDAY = np.datetime64("2026-03-02", "us")
HOUR = np.timedelta64(1, "h")
unhurried = settings(deadline=None, max_examples=40)
values = st.floats(0.0, 1e6) | st.just(np.nan)


@unhurried
@given(arrays(float, (3 * 28, 2), elements=values), st.integers(0, 27))
def test_statistics_are_those_of_the_samples_of_each_week(samples: Reals, late: int) -> None:
    step = np.timedelta64(6, "h")
    stamps = MONDAY + np.arange(late, len(samples)) * step
    found = weekly(stamps, samples[late:], complete_at_least=0.0)
    assert list(found.weeks) == [MONDAY + week * WEEK for week in range(3)]
    for week, site in np.ndindex(3, 2):
        held = samples[max(late, 28 * week) : 28 * (week + 1), site]
        held = held[np.isfinite(held)]
        assert found.completeness[week, site] == pytest.approx(len(held) / 28)
        expected = (held.max(), np.quantile(held, 0.95)) if len(held) else (np.nan, np.nan)
        assert (found.peak[week, site], found.p95[week, site]) == pytest.approx(expected, nan_ok=True)


def test_a_week_that_is_not_complete_enough_has_no_peak() -> None:
    samples = np.ones((2 * 168, 2))
    samples[:20, 0] = np.nan
    found = weekly(MONDAY + np.arange(len(samples)) * HOUR, samples)
    assert np.isnan(found.peak[0, 0])
    assert np.isnan(found.p95[0, 0])
    assert np.isfinite([found.peak[0, 1], found.peak[1, 0]]).all()


def test_missing_stamps_are_missing_samples() -> None:
    keep = np.r_[0:10, 40:168]
    found = weekly(MONDAY + keep * HOUR, np.ones((len(keep), 1)))
    assert found.completeness[0, 0] == pytest.approx(len(keep) / 168)
    assert np.isnan(found.peak[0, 0])


def test_many_series_are_taken_in_parts_that_change_nothing() -> None:
    samples = np.random.default_rng(3).random((168, 130))
    found = weekly(MONDAY + np.arange(168) * HOUR, samples)
    assert found.peak[0] == pytest.approx(samples.max(axis=0))
    assert found.p95[0] == pytest.approx(np.quantile(samples, 0.95, axis=0))


@pytest.mark.parametrize("minutes", [[0, 11, 22], [0, 60, 60], [0, 60, 30], [0], [7, 67, 127]])
def test_stamps_on_no_grid_are_refused(minutes: list[int]) -> None:
    stamps = MONDAY + np.array(minutes) * np.timedelta64(1, "m")
    with pytest.raises(SettingError, match=r"no grid that divides the week.*Remedy: sort them"):
        weekly(stamps, np.ones((len(stamps), 1)))


def test_a_week_begins_on_monday() -> None:
    assert monday(np.datetime64("2026-03-08T23:55", "us")) == MONDAY
    assert monday(MONDAY) == MONDAY


@unhurried
@given(st.datetimes())
def test_a_week_begins_where_plans_and_queries_begin_it(moment: datetime) -> None:
    assert monday(np.datetime64(moment, "us")) == np.datetime64(week_start(moment), "us")


@unhurried
@given(arrays(float, st.tuples(st.integers(1, 200), st.integers(1, 3)), elements=st.floats(0.0, 1e6)))
def test_p95_is_numpys(samples: Reals) -> None:
    assert p95(samples) == pytest.approx(np.quantile(samples, 0.95, axis=0))
