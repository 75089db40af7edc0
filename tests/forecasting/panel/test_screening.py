"""What is set aside of a series: impossible values, and nothing that is possible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.panel.screening import Screened, screen_series

FIVE_MINUTES, HOURS = "5min", "h"
NO_CAPACITY, CAPACITY = float("nan"), 100.0


def series(grain: str, days: int = 42, seed: int = 0) -> pd.Series:
    """Five weeks of a daily cycle that peaks at about 60, with noise."""
    ts = pd.date_range(
        "2026-09-07", periods=days * (288 if grain == FIVE_MINUTES else 24), freq=grain, tz="UTC", unit="us"
    )
    hour = (ts.hour + ts.minute / 60).to_numpy()
    noise = np.random.default_rng(seed).lognormal(0.0, 0.05, len(ts))
    return pd.Series((35.0 + 20.0 * np.sin(2.0 * np.pi * (hour - 14.0) / 24.0)) * noise, ts)


def stamps(result: Screened) -> list[pd.Timestamp]:
    return result.set_aside["ts"].tolist()


@pytest.mark.parametrize("grain", [FIVE_MINUTES, HOURS])
@pytest.mark.parametrize("capacity", [NO_CAPACITY, CAPACITY])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("factor", [50.0, 1000.0])
def test_a_spike_is_set_aside_wherever_it_lies(
    grain: str, capacity: float, count: int, place: float, factor: float
) -> None:
    values = series(grain)
    first = int(place * (len(values) - count))
    values.iloc[first : first + count] *= factor
    result = screen_series(values, capacity)
    assert stamps(result) == list(values.index[first : first + count])
    assert result.level_changes.empty


def test_the_row_says_value_usual_value_capacity_and_reason() -> None:
    values = series(HOURS)
    values.iloc[500] = 5000.0
    (row,) = screen_series(values, CAPACITY).set_aside.to_dict("records")
    assert row["value"] == 5000.0
    assert row["usual"] == pytest.approx(values.iloc[500 - 168], rel=0.2)
    assert (row["capacity_gbps"], row["cause"], row["reason"]) == (
        100.0,
        "above capacity",
        "50 times the capacity in force",
    )


def test_repeated_spikes_do_not_vouch_for_one_another() -> None:
    values = series(FIVE_MINUTES)
    at = [700, 3000, 3010, 8000, 8500, 9000]
    values.iloc[at] = [1e6, 4e5, 1e6, 5e3, 7e4, 1e6]
    assert stamps(screen_series(values)) == list(values.index[at])


def test_a_spike_at_the_same_hour_of_every_week_is_not_usual() -> None:
    values = series(HOURS)
    values.iloc[100::168] *= 1000.0
    assert stamps(screen_series(values)) == list(values.index[100::168])


@pytest.mark.parametrize("grain", [FIVE_MINUTES, HOURS])
@pytest.mark.parametrize("capacity", [NO_CAPACITY, 400.0])
def test_a_flash_crowd_of_eight_times_the_usual_stays(grain: str, capacity: float) -> None:
    values = series(grain)
    hour = (values.index - values.index[0]) / pd.Timedelta(hours=1)
    values *= 1.0 + 7.0 * np.clip(np.minimum((hour - 500.0) / 1.0, (504.0 - hour) / 1.0), 0.0, 1.0)
    assert screen_series(values, capacity).set_aside.empty


@pytest.mark.parametrize("factor", [1000.0, 1024.0, 8.0])
def test_a_lasting_change_by_the_factor_of_a_unit_that_capacity_rules_out_is_set_aside(factor: float) -> None:
    values = series(HOURS)
    values.iloc[-96:] *= factor
    result = screen_series(values, CAPACITY)
    (change,) = result.level_changes.to_dict("records")
    assert change["cause"] == "unit error"
    assert change["ts"] == values.index[-96]
    assert pd.isna(change["until"])
    assert len(result.set_aside) == 96
    assert screen_series(values).set_aside.empty  # nothing rules it out
    assert screen_series(values).level_changes["cause"].tolist() == ["unit error"]


def test_another_lasting_change_is_a_new_level_and_stays() -> None:
    values = series(HOURS)
    values.iloc[-96:] *= 20.0
    result = screen_series(values, CAPACITY)
    assert result.set_aside.empty
    (change,) = result.level_changes.to_dict("records")
    assert change["cause"] == "new level"
    assert change["factor"] == pytest.approx(20.0, rel=0.1)


def test_a_spike_that_lasts_comes_back_as_a_level() -> None:
    values = series(HOURS)
    values.iloc[-72:] *= 20.0
    early = values.iloc[: len(values) - 70]
    assert stamps(screen_series(early)) == list(early.index[-2:])
    assert screen_series(values).set_aside.empty


def test_growth_past_a_stale_capacity_stays() -> None:
    values = series(HOURS, days=112) * np.linspace(1.0, 20.0, 112 * 24)
    result = screen_series(values, 60.0)
    assert result.set_aside.empty
    assert result.level_changes.empty


def test_a_site_that_was_sent_in_megabits_at_first_is_set_aside_until_then() -> None:
    values = series(HOURS, days=84)
    values.iloc[: 60 * 24] *= 1000.0
    result = screen_series(values, CAPACITY)
    assert stamps(result) == list(values.index[: 60 * 24])


@settings(max_examples=20)
@given(st.integers(0, 13), st.integers(0, 287), st.floats(1e-6, 1e6), st.sampled_from([NO_CAPACITY, CAPACITY]))
def test_decisions_scale_with_the_values(day: int, step: int, scale: float, capacity: float) -> None:
    values = series(FIVE_MINUTES, days=14)
    values.iloc[day * 288 + step] = 4000.0
    scaled = screen_series(values * scale, capacity * scale)
    assert stamps(scaled) == stamps(screen_series(values, capacity)) == [values.index[day * 288 + step]]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([FIVE_MINUTES, HOURS]), st.sampled_from([NO_CAPACITY, CAPACITY]))
def test_a_clean_series_loses_nothing(seed: int, grain: str, capacity: float) -> None:
    result = screen_series(series(grain, days=28, seed=seed), capacity)
    assert result.set_aside.empty
    assert result.level_changes.empty


def test_series_without_a_week_of_positive_values_are_left_alone() -> None:
    values = series(HOURS, days=2)
    assert screen_series(values * 0.0).set_aside.empty
    assert screen_series(values.iloc[:1]).set_aside.empty
