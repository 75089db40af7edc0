"""The window: every range, custom dates, and a grain that follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.state import State
from app.ui import time_range

NOW = pd.Timestamp("2026-11-01T09:25Z")
FIRST = NOW - timedelta(days=180)


@pytest.mark.parametrize(
    ("name", "back", "ahead"), [("24h", 1, 1), ("7d", 7, 7), ("28d", 28, 14), ("90d", 90, 45), ("all", 180, 90)]
)
def test_range_reaches_back_from_the_end_of_the_telemetry_and_on_into_the_forecast(
    name: str, back: float, ahead: float
) -> None:
    assert time_range.span(State(range=name), FIRST, NOW) == (NOW - timedelta(days=back), NOW + timedelta(days=ahead))


def test_range_begins_no_earlier_than_the_telemetry() -> None:
    young = NOW - timedelta(days=3)
    assert time_range.span(State(range="28d"), young, NOW)[0] == young


def test_custom_range_is_taken_as_it_is() -> None:
    start, end = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 8, tzinfo=UTC)
    assert time_range.span(State(range="custom", start=start, end=end), FIRST, NOW) == (
        pd.Timestamp(start),
        pd.Timestamp(end),
    )


def test_custom_range_without_an_end_ends_now() -> None:
    assert time_range.span(State(range="custom", start=datetime(2026, 10, 1, tzinfo=UTC)), FIRST, NOW)[1] == NOW


def test_custom_range_in_the_forecast_shows_the_day_before_it() -> None:
    start, end = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 8, tzinfo=UTC)
    assert time_range.span(State(range="custom", start=start, end=end), FIRST, NOW) == (
        NOW - timedelta(days=1),
        pd.Timestamp(end),
    )


def test_custom_range_is_cut_to_the_telemetry_and_the_forecast() -> None:
    chosen = State(range="custom", start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(2200, 1, 1, tzinfo=UTC))
    assert time_range.span(chosen, FIRST, NOW) == (FIRST, NOW + time_range.FURTHEST)
    note = time_range.cut_note(chosen, FIRST, NOW, "UTC")
    assert note == "Telemetry begins 5 May 2026 09:25: the range starts there."
    late = State(range="custom", start=FIRST.to_pydatetime(), end=datetime(2200, 1, 1, tzinfo=UTC))
    assert time_range.cut_note(late, FIRST, NOW, "UTC") == "Forecasts end 30 Jan 2027 09:25: the range ends there."


def test_custom_range_before_the_telemetry_shows_its_first_day() -> None:
    chosen = State(range="custom", start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(1980, 1, 1, tzinfo=UTC))
    assert time_range.span(chosen, FIRST, NOW) == (FIRST, FIRST + timedelta(days=1))


@pytest.mark.parametrize("name", ["24h", "7d", "28d", "90d", "all"])
def test_other_ranges_and_custom_ones_within_the_telemetry_have_no_note(name: str) -> None:
    assert time_range.cut_note(State(range=name), FIRST, NOW, "UTC") is None
    within = State(range="custom", start=datetime(2026, 6, 1, tzinfo=UTC))
    assert time_range.cut_note(within, FIRST, NOW, "UTC") is None


@pytest.mark.parametrize(
    ("days", "grain"), [(1, "5min"), (7, "5min"), (28, "1h"), (90, "1h"), (365, "1h"), (800, "1d")]
)
def test_grain_follows_the_range(days: int, grain: str) -> None:
    assert time_range.grain_of("auto", timedelta(days=days)) == grain


@pytest.mark.parametrize(
    ("asked", "days", "grain"), [("1d", 1, "1d"), ("1h", 1, "1h"), ("5min", 28, "5min"), ("5min", 90, "1h")]
)
def test_grain_that_is_asked_for_is_given_where_it_can_be_shown(asked: str, days: int, grain: str) -> None:
    assert time_range.grain_of(asked, timedelta(days=days)) == grain


@given(st.sampled_from(["auto", "5min", "1h", "1d"]), st.floats(0.1, 4000))
def test_five_minute_samples_never_exceed_what_a_month_holds(asked: str, days: float) -> None:
    if time_range.grain_of(asked, timedelta(days=days)) == "5min":
        assert days <= 32


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("4d", "2026-10-28T09:25", "2026-11-05T09:25"),
        ("36 hours", "2026-10-30T21:25", "2026-11-02T21:25"),
        ("2026-10-01", "2026-10-01", "2026-10-02"),
        ("2026-10-01 to 2026-10-08", "2026-10-01", "2026-10-09"),
        ("2026-10-01 18:00 - 2026-10-02T06:00", "2026-10-01T18:00", "2026-10-02T06:00"),
    ],
)
def test_range_is_read_from_text(text: str, start: str, end: str) -> None:
    assert time_range.read_range(text, NOW, "UTC") == (pd.Timestamp(start, tz="UTC"), pd.Timestamp(end, tz="UTC"))


def test_dates_as_text_are_days_of_the_zone() -> None:
    start, end = pd.Timestamp("2026-10-25", tz="Europe/Berlin"), pd.Timestamp("2026-10-26", tz="Europe/Berlin")
    assert time_range.read_range("2026-10-25", NOW, "Europe/Berlin") == (start, end)
    assert end - start == timedelta(hours=25)


@pytest.mark.parametrize(
    "text", ["", "0d", "soon", "2026-13-01", "2026-10-08 to 2026-10-01", "9999-01-01", "0001-01-01 to 2026-10-01"]
)
def test_text_that_is_no_range_is_not_read(text: str) -> None:
    assert time_range.read_range(text, NOW, "UTC") is None


def test_span_beyond_every_history_is_cut() -> None:
    start, end = time_range.read_range("99999w", NOW, "UTC") or (NOW, NOW)
    assert (start, end) == (time_range.EARLIEST, NOW + time_range.FURTHEST)
