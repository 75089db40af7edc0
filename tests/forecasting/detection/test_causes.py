"""Root-cause localisation finds the combination that was made bad, at the width at which it was."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.detection.causes import MIN_HISTORY_MINUTES, localise

ATTRIBUTES = ("partner", "bitrate", "device")
CELLS = pd.DataFrame(list(product("abc", (500, 2000, 4000), ("tv", "web"))), columns=list(ATTRIBUTES))
START = pd.Timestamp("2026-03-01 12:00")


def counted(*faults: dict[str, Any], minutes: int = 11, total: int = 1000, rate: float = 0.02) -> pd.DataFrame:
    """Rows of every cell and minute; in the last minute cells of the faults stall at 0.3."""
    rows = CELLS.merge(pd.DataFrame({"minute": pd.date_range(START, periods=minutes, freq="min")}), how="cross")
    faulty = np.zeros(len(rows), dtype=bool)
    for fault in faults:
        faulty |= np.all([rows[name] == value for name, value in fault.items()], axis=0)
    rates = np.where(faulty & (rows["minute"] == rows["minute"].max()), 0.3, rate)
    noise = np.random.default_rng(0).binomial(total, rates)
    return rows.assign(bad=noise, total=total)


def last(rows: pd.DataFrame) -> pd.Timestamp:
    return rows["minute"].max()


@pytest.mark.parametrize(
    "fault",
    [
        {"bitrate": 2000},
        {"partner": "b", "device": "tv"},
        {"partner": "c", "bitrate": 500, "device": "web"},
    ],
)
def test_the_combination_that_was_made_bad_comes_first_and_is_named(fault: dict[str, Any]) -> None:
    rows = counted(fault)
    causes = localise(rows, last(rows), ATTRIBUTES)
    assert causes[0].elements == (fault,)
    assert causes[0].named
    assert causes[0].share == pytest.approx(1, abs=0.1)
    assert causes[0].gain > 100


def test_two_values_of_one_attribute_share_an_incident() -> None:
    rows = counted({"bitrate": 2000}, {"bitrate": 500})
    elements = localise(rows, last(rows), ATTRIBUTES)[0].elements
    assert sorted(element["bitrate"] for element in elements) == [500, 2000]


def test_a_wider_combination_comes_before_its_parts_where_all_of_them_moved_unevenly() -> None:
    rows = counted({"bitrate": 2000})
    half = (rows["minute"] == last(rows)) & (rows["bitrate"] == 2000) & (rows["device"] == "web")
    rows.loc[half, "bad"] //= 2
    assert localise(rows, last(rows), ATTRIBUTES)[0].elements == ({"bitrate": 2000},)


def test_quiet_minutes_name_nothing() -> None:
    rows = counted()
    named = [any(cause.named for cause in localise(rows, minute, ATTRIBUTES)) for minute in rows["minute"].unique()]
    assert named == [False] * 11


def test_a_rate_that_an_earlier_minute_had_is_not_named() -> None:
    rows = counted({"bitrate": 2000})
    again = rows[rows["minute"] == last(rows)].assign(minute=START + pd.Timedelta(minutes=3))
    rows = pd.concat([rows[rows["minute"] != START + pd.Timedelta(minutes=3)], again.assign(bad=again["bad"] + 1)])
    causes = localise(rows, last(rows), ATTRIBUTES)
    assert causes[0].elements == ({"bitrate": 2000},)
    assert not any(cause.named for cause in causes)


def test_too_few_earlier_minutes_rank_but_name_nothing() -> None:
    rows = counted({"bitrate": 2000}, minutes=MIN_HISTORY_MINUTES)
    causes = localise(rows, last(rows), ATTRIBUTES)
    assert causes[0].elements == ({"bitrate": 2000},)
    assert not causes[0].named
    assert localise(rows[rows["minute"] == last(rows)], last(rows), ATTRIBUTES) == []


def test_a_missing_value_is_no_candidate() -> None:
    rows = counted({"bitrate": 2000})
    rows["device"] = rows["device"].where(rows["bitrate"] != 2000)
    for cause in localise(rows, last(rows), (*ATTRIBUTES,)):
        assert not any(pd.isna(value) for element in cause.elements for value in element.values())


def test_later_minutes_are_not_read() -> None:
    rows = counted({"bitrate": 2000})
    later = rows[rows["minute"] == last(rows)].assign(minute=last(rows) + pd.Timedelta(minutes=1), bad=1000)
    assert localise(pd.concat([rows, later]), last(rows), ATTRIBUTES) == localise(rows, last(rows), ATTRIBUTES)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from("ab"),
            st.sampled_from([1, 2, None]),
            st.integers(0, 5),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_counts_give_finite_ranked_causes(counts: list[tuple[int, str, int | None, int, int]]) -> None:
    rows = pd.DataFrame(
        [(START + pd.Timedelta(minutes=m), p, q, bad, bad + good) for m, p, q, bad, good in counts],
        columns=["minute", "p", "q", "bad", "total"],
    )
    causes = localise(rows, last(rows), ("p", "q"))
    scores = [cause.score for cause in causes]
    assert scores == sorted(scores, reverse=True)
    assert all(np.isfinite([cause.score, cause.gain, cause.expected]).all() for cause in causes)
    assert all(0 <= cause.share <= 1 and cause.bad <= cause.total for cause in causes)
