"""Places and times side by side: one axis, hours of the week, totals and change over the hours that both have."""

from __future__ import annotations

import pandas as pd
import pytest

from data import queries
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.queries import Subject
from data.queries.compare import TB_OF_GBPS_HOUR, compare_hours, hours_of
from tests.lakes import Plan

NOW = pd.Timestamp(Plan().end).floor("h")
START = pd.Timestamp("2026-11-02T00:00Z")  # a Monday


def rows(values: list[float | None], start: pd.Timestamp = START) -> pd.DataFrame:
    stamps = pd.date_range(start, periods=len(values), freq="h", unit="us")
    series = pd.Series(values, dtype=float)
    return pd.DataFrame({"ts": stamps, "egress_gbps_mean": series, "egress_gbps_max": series * 1.5})


def steps(*gbps: tuple[str, float, str]) -> pd.DataFrame:
    frame = pd.DataFrame(gbps, columns=["effective_from", "capacity_gbps", "status"])
    return frame.assign(
        effective_from=pd.to_datetime(frame["effective_from"], utc=True, format="ISO8601").dt.as_unit("us")
    )


def test_share_is_of_the_capacity_then_installed_and_index_of_the_own_mean() -> None:
    declared = steps(
        ("2026-01-01", 100, "installed"), ("2026-11-02T02:00", 200, "installed"), ("2026-11-02T03:00", 400, "planned")
    )
    hours = hours_of(rows([50, 50, 100, 200]), "egress_gbps", declared)
    assert hours["share"].tolist() == [0.5, 0.5, 0.5, 1.0]
    assert hours["index"].tolist() == [0.5, 0.5, 1.0, 2.0]
    assert hours_of(rows([50]), "egress_gbps", None)["share"].isna().all()


def test_times_are_moved_onto_the_first_and_the_change_is_against_the_last_over_hours_that_both_have() -> None:
    week = pd.Timedelta(days=7)
    now, then = ([10.0, 20.0, None, 99.0], [5.0, 10.0, 70.0, None])
    parts = [hours_of(part, "egress_gbps", None) for part in (rows(list(now)), rows(list(then), START - week))]
    found = compare_hours(parts, 1, is_traffic=True, zone="UTC")
    assert found.hours["ts"].tolist() == 2 * parts[0]["ts"].tolist()
    assert found.table["change"].tolist() == pytest.approx([1.0, float("nan")], nan_ok=True)
    assert found.table["total"].tolist() == pytest.approx([129 * TB_OF_GBPS_HOUR, 85 * TB_OF_GBPS_HOUR])
    assert found.table["peak"].tolist() == [148.5, 105.0]
    assert found.table["peak_at"].tolist() == [START + pd.Timedelta(hours=3), START - week + pd.Timedelta(hours=2)]
    assert found.week.loc[found.week["subject"] == 0, "hour"].tolist() == [0, 1, 2, 3]


def test_hours_of_the_week_are_those_of_the_zone() -> None:
    part = hours_of(rows([1.0] * 168), "egress_gbps", None)
    found = compare_hours([part], 0, is_traffic=True, zone="Asia/Tokyo").week
    assert found["hour"].tolist() == list(range(168))
    first = compare_hours([part.head(1)], 0, is_traffic=True, zone="Asia/Tokyo").week
    assert first["hour"].tolist() == [9]


def test_places_of_a_lake_are_compared_with_the_first(full: Lake) -> None:
    start, end = (NOW - pd.Timedelta(days=2)).to_pydatetime(), NOW.to_pydatetime()
    subjects = tuple(Subject("site", key, start, end) for key in ("fra-01", "mad-01", "fra-01"))
    found = queries.compare(full.pin(), EVERYTHING, subjects, "egress_gbps", "UTC")
    assert found.base == 0
    assert found.table["change"].iloc[2] == pytest.approx(0.0)
    assert found.table["mean"].notna().all()
    assert len(found.hours) == 3 * 48
