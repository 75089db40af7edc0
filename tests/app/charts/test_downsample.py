"""Thinned rows draw the same picture: extremes are exact, gaps stay gaps, the limit holds."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.charts.bands import BANDS
from app.charts.downsample import coarser, thin

VALUES = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))


def frame_of(**columns: np.ndarray) -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    return pd.DataFrame({"ts": pd.date_range("2026-01-01", periods=length, freq="5min", tz="UTC"), **columns})


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Two columns with the same gaps."""
    length = draw(st.integers(1, 400))
    a, b = (draw(arrays.arrays(float, length, elements=VALUES)) for _ in range(2))
    missing = np.isnan(a) | np.isnan(b)
    return frame_of(a=np.where(missing, np.nan, a), b=np.where(missing, np.nan, b))


def joins(frame: pd.DataFrame, column: str) -> set[tuple[pd.Timestamp, pd.Timestamp]]:
    """Pairs of stamps that a line would join: values with no null between them."""
    rows = frame[["ts", column]].to_numpy()
    pairs = itertools.pairwise(rows)
    return {(one[0], other[0]) for one, other in pairs if not (pd.isna(one[1]) or pd.isna(other[1]))}


def check(frame: pd.DataFrame, columns: list[str], limit: int) -> None:
    thinned = thin(frame, columns, limit)
    assert len(thinned) <= limit
    assert thinned["ts"].is_monotonic_increasing
    assert thinned["ts"].is_unique
    for column in columns:
        assert (frame[column].max(), frame[column].min()) == (thinned[column].max(), thinned[column].min()) or frame[
            column
        ].isna().all()
        for before, after in joins(thinned, column):
            assert frame[(frame["ts"] >= before) & (frame["ts"] <= after)][column].notna().all()


@settings(max_examples=25, deadline=None)
@given(frames(), st.integers(40, 120))
def test_one_column(frame: pd.DataFrame, limit: int) -> None:
    check(frame, ["a"], limit)


@settings(max_examples=25, deadline=None)
@given(frames(), st.integers(40, 120))
def test_two_columns(frame: pd.DataFrame, limit: int) -> None:
    check(frame, ["a", "b"], limit)


def test_every_second_value_missing_joins_nothing() -> None:
    values = np.where(np.arange(9000) % 2, np.nan, np.arange(9000.0))
    check(frame_of(a=values), ["a"], 2000)
    assert joins(thin(frame_of(a=values), "a", 2000), "a") == set()


def test_a_row_that_lacks_one_column_is_a_gap() -> None:
    whole = np.arange(5000.0)
    thinned = thin(frame_of(a=whole, b=np.where(whole == 2500, np.nan, whole)), ["a", "b"], 100)
    assert (thinned["a"].iloc[[0, -1]] == [0, 4999]).all()
    assert thinned["b"].isna().sum() == 1


def test_a_spike_of_one_sample_among_a_hundred_thousand_is_drawn() -> None:
    values = np.sin(np.arange(100_000.0))
    values[77_777], values[22_222] = 9.0, -9.0
    thinned = thin(frame_of(a=values), "a")
    assert len(thinned) <= 2000
    assert (thinned["a"].max(), thinned["a"].min()) == (9.0, -9.0)


def test_a_short_frame_is_left_alone() -> None:
    frame = frame_of(a=np.arange(10.0))
    assert thin(frame, "a", 10) is frame


def test_nothing_measured_is_nothing_drawn() -> None:
    assert thin(frame_of(a=np.full(5000, np.nan)), "a", 100)["a"].notna().sum() == 0


def test_both_sides_of_a_gap_are_kept() -> None:
    values = np.sin(np.arange(5000.0) / 50)
    values[2000:2300] = np.nan
    thinned = thin(frame_of(a=values), "a", 200)
    assert {1999, 2300} <= set(thinned.index)


def test_columns_that_turn_together_use_the_room_there_is() -> None:
    base = np.sin(np.arange(5000.0) / 40) + 2
    thinned = thin(frame_of(a=base, b=1.1 * base, c=0.9 * base), ["a", "b", "c"], 600)
    assert 500 < len(thinned) <= 600


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(5, 60), st.randoms(use_true_random=False))
def test_coarser_bands_are_even_never_narrower_and_as_high_as_they_are(
    length: int, limit: int, chance: random.Random
) -> None:
    line = np.array(chance.sample(range(1, 1000), length), dtype=float)
    widths = {"lower_95": 0.5, "lower_80": 0.8, "expected": 1.0, "upper_80": 1.2, "upper_95": 1.5}
    whole = frame_of(**{name: line * width for name, width in widths.items()})
    drawn = coarser(whole, BANDS, limit)
    assert len(drawn) <= limit
    assert len(set(drawn["ts"].diff().iloc[1:])) <= 1
    assert drawn["ts"].iloc[0] == whole["ts"].iloc[0]
    many = -(-length // limit)
    if line.argmax() // many != line.argmin() // many:  # of two in one row, one is kept
        assert (drawn["expected"].max(), drawn["expected"].min()) == (line.max(), line.min())
    held = drawn.set_index("ts").reindex(whole["ts"], method="ffill").reset_index(drop=True)
    assert (held["upper_95"] >= whole["upper_95"]).all()
    assert (held["lower_80"] <= whole["lower_80"]).all()


def test_a_hole_in_a_band_stays_a_hole() -> None:
    line = np.where(np.arange(1000) == 500, np.nan, 10.0)
    drawn = coarser(frame_of(expected=line, lower_80=line, upper_80=line, lower_95=line, upper_95=line), BANDS, 100)
    assert drawn.isna().sum().tolist() == [1, 1, 1, 1, 1, 0]
