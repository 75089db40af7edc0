"""Axes: times, units and round ticks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.charts.axes import drawable, instant, lengths, round_step, ticks, times, with_breaks, written
from app.theme import Unit


def frame(*minutes: float) -> pd.DataFrame:
    ts = pd.Timestamp("2026-11-20", tz="UTC") + pd.to_timedelta(list(minutes), unit="min")
    return pd.DataFrame({"ts": ts.as_unit("us"), "value": np.arange(len(minutes), dtype=float)})


def test_even_stamps_are_sent_as_start_and_step() -> None:
    assert times(frame(0, 5, 10, 15), "UTC") == {"x0": "2026-11-20T00", "dx": 300_000.0}


def test_uneven_stamps_are_sent_one_by_one() -> None:
    assert len(times(frame(0, 5, 15), "UTC")["x"]) == 3


def test_a_clock_change_is_not_even() -> None:
    autumn = pd.DataFrame({"ts": pd.date_range("2026-10-24", periods=72, freq="h", tz="UTC")})
    assert "x" in times(autumn, "Europe/Berlin")
    assert "dx" in times(autumn, "UTC")


def test_stamps_are_written_in_the_zone_as_finely_as_they_need() -> None:
    stamps = pd.Series([pd.Timestamp("2026-11-20", tz="UTC"), pd.NaT])
    assert written(stamps, "UTC").tolist() == ["2026-11-20T00", None]
    assert written(stamps, "Asia/Kolkata").tolist() == ["2026-11-20T05:30", None]
    assert instant(pd.Timestamp("2026-11-20T00:00:01.5Z"), "UTC") == "2026-11-20T00:00:01.500"


def test_lengths_are_those_of_the_zones_clock() -> None:
    night = pd.Series(pd.to_datetime(["2026-10-24T22:00Z"])), pd.Series(pd.to_datetime(["2026-10-25T23:00Z"]))
    assert lengths(*night, "UTC").tolist() == [25 * 3_600_000]
    assert lengths(*night, "Europe/Berlin").tolist() == [24 * 3_600_000]


def test_even_stamps_stay_where_they_cost_no_more_than_thinned_ones() -> None:
    assert len(drawable(frame(*range(400)), ["value"], 100)) == 400
    assert len(drawable(frame(*range(401)), ["value"], 100)) <= 100
    assert len(drawable(frame(*range(300), 900), ["value"], 100)) <= 100
    assert len(drawable(frame(*range(2001)), ["value"], 1000)) <= 1000


def test_absent_stamps_break_the_line_once() -> None:
    broken = with_breaks(frame(0, 5, 10, 15, 40, 45))
    assert broken["value"].isna().tolist() == [False, False, False, False, True, False, False]
    assert broken["ts"].is_monotonic_increasing


def test_a_whole_frame_is_left_alone() -> None:
    whole = frame(0, 5, 10)
    assert with_breaks(whole) is whole


@pytest.mark.parametrize(
    ("top", "texts"),
    [
        (440.0, ["0", "200", "400 Gbps"]),
        (31.0, ["0", "10", "20", "30 Gbps"]),
        (1.15, ["0", "0.5", "1.0 Gbps"]),
        (0.9, ["0", "0.25", "0.50", "0.75 Gbps"]),
    ],
)
def test_ticks_are_round_and_the_highest_names_the_unit(top: float, texts: list[str]) -> None:
    assert ticks(0.0, top, Unit(1.0, "Gbps"))[1] == texts


@given(st.floats(1e-3, 1e7), st.integers(2, 6))
def test_ticks_are_few_and_on_the_axis(top: float, wanted: int) -> None:
    at, texts = ticks(0.0, top, Unit(1.0, "Gbps"), wanted)
    assert 1 <= len(at) <= wanted + 1
    assert len(set(texts)) == len(texts) == len(at)
    assert at[0] == 0
    assert at[-1] <= top * (1 + 1e-9)


@given(st.floats(1e-6, 1e9))
def test_a_step_is_round_and_not_too_large(least: float) -> None:
    step = round_step(least)
    assert least * (1 - 1e-9) <= step <= least * 2.5
