"""The questions of the Data page: completeness, freshness, what was refused, which versions there are."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from data import queries
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Lake
from tests.lakes import Plan, full_lake, replace_dates

NOW = pd.Timestamp(Plan().end)


def test_completeness_by_site_and_day(full: Lake) -> None:
    found = queries.completeness(full.pin(), EVERYTHING, 5)
    assert list(found.columns) == ["site_id", "name", "region_name", "date", "completeness"]
    table = found.pivot_table(index="site_id", columns="date", values="completeness")
    assert table.shape == (12, 5)
    dates = pd.to_datetime(table.columns)
    assert (dates[0], dates[-1]) == (pd.Timestamp("2026-03-13"), pd.Timestamp("2026-03-17"))
    assert table.loc["mad-01"].tolist() == pytest.approx([1, 1, 1 - 3 / 24, 1, 1])
    assert (table.drop(index="mad-01") == 1.0).all(axis=None)


def test_days_before_a_site_began_are_not_missing_and_silent_days_are(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=2, days=3, flows=False, forecasts=False, gap=("par-01", 60, 5)))
    found = queries.completeness(lake.pin(), EVERYTHING, 6).set_index(["site_id", "date"])["completeness"]
    assert found.loc["fra-01"].isna().tolist() == [True, True, False, False, False, False]
    assert found.loc["par-01"].tolist()[3:5] == [0.0, 0.0]


def test_freshness_is_the_age_of_the_newest_sample(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=2, days=3, flows=False, forecasts=False, gap=("par-01", 40, 0)))
    found = queries.freshness(lake.pin(), EVERYTHING).set_index("site_id")
    assert found["age_seconds"].to_dict() == {"fra-01": 0.0, "par-01": 40 * 3600.0}
    assert found.loc["par-01", "last_ts"] == NOW - pd.Timedelta(hours=40, minutes=5)
    assert found.loc["par-01", "received_at"] == found.loc["par-01", "last_ts"] + pd.Timedelta(seconds=40)


def test_refusals_keep_their_reasons(full: Lake) -> None:
    row = queries.quarantined(full.pin(), EVERYTHING).iloc[0]
    assert row[["column", "value", "bound", "count"]].tolist() == ["egress_gbps", "-3", "at least 0 Gbps", 2]
    assert row["remedy"]
    assert queries.snapshots(full.pin(), EVERYTHING)["state"].tolist() == ["partial", "accepted"]
    assert queries.snapshots(full.pin(), EVERYTHING, 1)["state"].tolist() == ["partial"]


def test_snapshots_are_for_those_who_see_everything(full: Lake) -> None:
    narrow = Scope(frozenset({"fra-01"}))
    assert queries.snapshots(full.pin(), narrow).empty
    assert queries.quarantined(full.pin(), narrow).empty


def test_versions_of_all_tables(full: Lake) -> None:
    pin = full.pin()
    found = queries.table_versions(pin, EVERYTHING).set_index("table")
    assert set(found.index) == {name for name, _ in pin.versions}
    assert found.loc["telemetry", "rows"] == full.read("telemetry").num_rows == 12 * 16 * 288 - 36
    assert found.loc["telemetry", "files"] == 17
    assert found.loc["telemetry", "version"] == pin.version("telemetry")
    assert found.loc["sites", "bytes"] > 0
    assert str(found["committed"].dt.tz) == "UTC"


def test_versions_of_an_older_pin_are_its_own(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=1, days=1, flows=False, forecasts=False, gap=None))
    old = lake.pin()
    replace_dates(lake, "telemetry", lake.read("telemetry").slice(0, 0), [date(2026, 3, 16)])
    assert queries.table_versions(old, EVERYTHING).set_index("table").loc["telemetry", "rows"] == 288
    assert queries.table_versions(lake.pin(), EVERYTHING).set_index("table").loc["telemetry", "rows"] == 113


def test_an_empty_lake_has_nothing_to_show(empty: Lake) -> None:
    pin = empty.pin()
    for found in (
        queries.completeness(pin, EVERYTHING, 7),
        queries.freshness(pin, EVERYTHING),
        queries.quarantined(pin, EVERYTHING),
        queries.snapshots(pin, EVERYTHING),
        queries.table_versions(pin, EVERYTHING),
    ):
        assert found.empty
