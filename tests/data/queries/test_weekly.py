"""Weekly peaks and P95 against pandas on the samples themselves."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data import queries
from data.lake.query import EVERYTHING, Scope
from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from data.schema.errors import SettingError
from tests.lakes import Plan

NOW = pd.Timestamp(Plan().end)
START = NOW - pd.Timedelta(days=16)
METRICS = ("egress_gbps", "viewers")
KEYS = ["level", "key", "metric", "week"]
WEEKLY_COLUMNS = ("level", "key", "metric", "week", "peak", "p95", "samples", "completeness")


def naive(lake: Lake, start: pd.Timestamp, end: pd.Timestamp, sites: set[str] | None = None) -> pd.DataFrame:
    """The same by pandas: a stamp of a region counts where nine in ten of its sites report. For lakes of one grain
    without closed sites.
    """
    rows = (
        lake.read("telemetry").to_pandas().merge(lake.read("sites").to_pandas()[["site_id", "region_id"]], on="site_id")
    )
    rows = rows[(rows["ts"] >= start) & (rows["ts"] < end) & (rows["site_id"].isin(sites) if sites else True)]
    parts = []
    for metric in METRICS:
        for level, name in (("site", "site_id"), ("region", "region_id"), ("global", None)):
            groups = rows.assign(key=rows[name] if name else "all").dropna(subset=metric)
            expected = groups.groupby("key")["site_id"].nunique()
            stamps = groups.groupby(["key", "ts"])[metric].agg(["sum", "count"]).reset_index()
            stamps = stamps[stamps["count"] >= 0.9 * stamps["key"].map(expected)]
            week = stamps["ts"].dt.floor("D") - pd.to_timedelta(stamps["ts"].dt.day_of_week, unit="D")
            found = (
                stamps.assign(week=week)
                .groupby(["key", "week"])["sum"]
                .agg(peak="max", p95=lambda v: v.quantile(0.95), samples="count")
                .reset_index()
            )
            parts.append(found.assign(level=level, metric=metric, completeness=found["samples"] * 300 / 604_800))
    return pd.concat(parts).sort_values(KEYS, ignore_index=True)[list(WEEKLY_COLUMNS)]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (START, NOW),
        (START - pd.Timedelta(days=40), NOW + pd.Timedelta(days=40)),
        (pd.Timestamp("2026-03-04 05:55", tz="UTC"), pd.Timestamp("2026-03-15 09:00", tz="UTC")),
        (pd.Timestamp("2026-03-09", tz="UTC"), pd.Timestamp("2026-03-16", tz="UTC")),
    ],
)
def test_weeks_are_those_of_the_samples(full: Lake, start: pd.Timestamp, end: pd.Timestamp) -> None:
    found = queries.weekly(full.pin(), EVERYTHING, METRICS, start, end)
    wanted = naive(full, start, end)
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, rtol=1e-9)
    assert str(found["week"].dtype) == "datetime64[us, UTC]"
    assert set(found["week"].dt.day_of_week) == {0}
    assert found["samples"].min() > 0


def test_weeks_read_in_pieces_are_the_same(full: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = queries.weekly(full.pin(), EVERYTHING, METRICS, START, NOW)
    monkeypatch.setattr(sys.modules["data.queries.model_inputs"], "PIECE_SITE_DAYS", 1)
    pd.testing.assert_frame_equal(queries.weekly(full.pin(), EVERYTHING, METRICS, START, NOW), whole)


def test_a_silence_is_missing_and_not_less_traffic(full: Lake) -> None:
    week = pd.Timestamp("2026-03-09", tz="UTC")
    found = queries.weekly(full.pin(), EVERYTHING, METRICS, week, week + pd.Timedelta(weeks=1)).set_index(
        ["key", "metric"]
    )
    assert (
        found.loc[("mad-01", "egress_gbps"), "samples"] == found.loc[("eu-west", "egress_gbps"), "samples"] == 2016 - 36
    )
    assert found.loc[("mad-01", "egress_gbps"), "completeness"] == pytest.approx((2016 - 36) / 2016)
    assert found.loc[[("all", "egress_gbps"), ("fra-01", "egress_gbps")], "completeness"].tolist() == [1.0, 1.0]


def test_the_peak_of_a_sum_is_no_sum_of_peaks(full: Lake) -> None:
    found = queries.weekly(full.pin(), EVERYTHING, METRICS, START, NOW).pivot_table(
        "peak", ["metric", "week"], "level", aggfunc="sum"
    )
    assert (found["global"] <= found["region"] + 1e-9).all()
    assert (found["region"] < found["site"]).any()


def test_a_scope_sees_its_sites_and_their_sums(full: Lake) -> None:
    scope = Scope(frozenset({"fra-01", "iad-01"}))
    found = queries.weekly(full.pin(), scope, METRICS, START, NOW)
    assert set(found["key"]) == {"fra-01", "iad-01", "eu-west", "us-east", "all"}
    pd.testing.assert_frame_equal(found, naive(full, START, NOW, {"fra-01", "iad-01"}), check_dtype=False)


def test_a_metric_that_a_lake_lacks_has_no_rows(partial: Lake) -> None:
    assert set(queries.weekly(partial.pin(), EVERYTHING, METRICS, START, NOW)["metric"]) == {"egress_gbps"}


@pytest.mark.parametrize("days", [-1, 0, 30])
def test_nothing_is_an_empty_frame(empty: Lake, full: Lake, days: int) -> None:
    for lake, start in ((empty, NOW), (full, NOW + pd.Timedelta(weeks=60))):
        found = queries.weekly(lake.pin(), EVERYTHING, METRICS, start, start + pd.Timedelta(days=days))
        assert list(found.columns) == list(WEEKLY_COLUMNS)
        assert found.empty


def test_an_unknown_metric_is_refused(full: Lake) -> None:
    with pytest.raises(SettingError, match=r"There is no metric 'egress; DROP'"):
        queries.weekly(full.pin(), EVERYTHING, ("egress; DROP",), START, NOW)


def test_completeness_is_of_time_whatever_the_grain(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.replace(
        "sites",
        pa.table(
            {"site_id": ["a", "b"], "name": ["A", "B"], "region_id": ["r", "r"], "lat": [1.0, 2.0], "lon": [1.0, 2.0]}
        ),
    )
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    for site, grain, share in (("a", "1h", 1.0), ("b", "15min", 0.5)):
        stamps = pd.date_range(monday, periods=int(share * 7 * (24 if grain == "1h" else 96)), freq=grain, unit="us")
        values = np.arange(len(stamps), dtype=float)
        rows = pa.table(
            {
                "ts": stamps,
                "received_at": stamps,
                "site_id": [site] * len(stamps),
                "ingest_gbps": values,
                "egress_gbps": values,
            }
        )
        lake.append("telemetry", rows)
    refresh_rollups(lake)
    found = queries.weekly(lake.pin(), EVERYTHING, ("egress_gbps",), monday, monday + pd.Timedelta(weeks=2)).set_index(
        "key"
    )
    assert found.loc[["a", "b"], "samples"].tolist() == [168, 336]
    assert found["completeness"].to_dict() == pytest.approx({"a": 1.0, "b": 0.5, "all": 0.5, "r": 0.5}, abs=0.01)
    assert found.loc["a", ["peak", "p95"]].tolist() == [167.0, pytest.approx(0.95 * 167)]
