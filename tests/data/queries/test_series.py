"""The questions about one series: history on a whole axis, capacity, events, gaps, and the sites side by side."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data import queries
from data.lake.query import EVERYTHING, Scope, query
from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from data.queries.series import shortened, silences
from data.schema.errors import SettingError
from tests.lakes import Plan, full_lake, replace_dates

NOW = pd.Timestamp(Plan().end)
DAY = pd.Timedelta(days=1)
HOUR = pd.Timedelta(hours=1)
GAP = pd.Timestamp("2026-03-15 07:25", tz="UTC"), pd.Timestamp("2026-03-15 10:25", tz="UTC")


def history(
    lake: Lake, level: str, key: str, start: Any, end: Any, grain: str, metrics: tuple[str, ...] = ("egress_gbps",)
) -> pd.DataFrame:
    return queries.history(lake.pin(), EVERYTHING, level, key, metrics, start, end, grain)  # type: ignore[arg-type]


# History
# -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("grain", "step"), [("5min", "5min"), ("1h", "1h"), ("1d", "1D")])
@pytest.mark.parametrize(("level", "key"), [("site", "mad-01"), ("region", "eu-west"), ("global", "all")])
def test_the_axis_is_whole_ordered_and_in_utc(full: Lake, level: str, key: str, grain: str, step: str) -> None:
    start, end = NOW - 3 * DAY, NOW + DAY
    frame = history(full, level, key, start, end, grain, ("egress_gbps", "viewers"))
    assert list(frame.columns) == [
        "ts",
        *(f"{m}_{s}" for m in ("egress_gbps", "viewers") for s in ("mean", "p95", "max")),
        "completeness",
    ]
    assert str(frame["ts"].dtype) == "datetime64[us, UTC]"
    assert frame["ts"].tolist() == list(pd.date_range(start.floor(step), end, freq=step, inclusive="left"))
    assert frame.loc[frame["ts"] >= NOW, "egress_gbps_mean"].isna().all()


def test_hours_are_those_of_the_samples(full: Lake) -> None:
    frame = history(full, "site", "fra-01", NOW.floor("h") - 3 * HOUR, NOW.floor("h"), "1h")
    fine = history(full, "site", "fra-01", NOW.floor("h") - 3 * HOUR, NOW.floor("h"), "5min")
    assert (fine["egress_gbps_mean"] == fine["egress_gbps_p95"]).all()
    groups = fine.set_index("ts")["egress_gbps_mean"].resample("h")
    np.testing.assert_allclose(frame["egress_gbps_mean"], groups.mean())
    np.testing.assert_allclose(frame["egress_gbps_p95"], groups.quantile(0.95))
    np.testing.assert_allclose(frame["egress_gbps_max"], groups.max())


def test_a_day_is_that_of_the_samples(full: Lake) -> None:
    start = NOW.floor("D") - 2 * DAY
    days = history(full, "region", "us-east", start, start + 2 * DAY, "1d")
    fine = history(full, "region", "us-east", start, start + 2 * DAY, "5min").set_index("ts")["egress_gbps_mean"]
    np.testing.assert_allclose(days["egress_gbps_p95"], fine.resample("D").quantile(0.95))
    assert days["completeness"].tolist() == [1.0, 1.0]


def test_missing_is_missing_at_every_grain_and_level(full: Lake) -> None:
    start, end = GAP[0].floor("h"), GAP[1].ceil("h")
    fine = history(full, "site", "mad-01", start, end, "5min").set_index("ts")["egress_gbps_mean"]
    assert fine.loc[GAP[0] : GAP[1] - pd.Timedelta(seconds=1)].isna().all()
    assert fine.notna().sum() == 5 + 7
    hours = history(full, "site", "mad-01", start, end, "1h")
    assert hours["egress_gbps_mean"].isna().tolist() == [False, True, True, False]
    assert hours["completeness"].fillna(0).tolist() == pytest.approx([5 / 12, 0, 0, 7 / 12])
    region = history(full, "region", "eu-west", start, end, "1h")
    assert region["egress_gbps_mean"].isna().tolist() == [False, True, True, False]
    network = history(full, "global", "all", start, end, "1h")
    assert network["egress_gbps_mean"].notna().all()
    assert network["completeness"].iloc[1] == pytest.approx(11 / 12)


def test_a_range_of_one_stamp_has_its_value(full: Lake) -> None:
    start = pd.Timestamp("2026-03-10 10:05", tz="UTC")
    wide = history(full, "global", "all", start - HOUR, start + HOUR, "5min").set_index("ts")
    for level, key in (("global", "all"), ("site", "fra-01")):
        frame = history(full, level, key, start, start + pd.Timedelta(minutes=5), "5min")
        assert frame["ts"].tolist() == [start]
        assert frame["completeness"].tolist() == [1.0]
        assert frame["egress_gbps_mean"].notna().all()
    assert history(full, "global", "all", start, start + pd.Timedelta(minutes=5), "5min")[
        "egress_gbps_mean"
    ].tolist() == [wide.loc[start, "egress_gbps_mean"]]


def test_levels_agree(full: Lake) -> None:
    start, end = NOW - DAY, NOW - DAY + 2 * HOUR
    for grain in ("5min", "1h"):
        whole = history(full, "global", "all", start, end, grain)["egress_gbps_mean"]
        parts = [history(full, "region", key, start, end, grain)["egress_gbps_mean"] for key in ("eu-west", "us-east")]
        np.testing.assert_allclose(whole, parts[0] + parts[1])


@pytest.mark.parametrize(("level", "key"), [("site", "mad-01"), ("region", "eu-west"), ("global", "all")])
def test_weekly_peaks_are_those_of_the_samples(full: Lake, level: Any, key: str) -> None:
    peaks = queries.weekly_peaks(full.pin(), EVERYTHING, level, key, "egress_gbps", 4)
    start = NOW.floor("D") - NOW.day_of_week * DAY
    samples = queries.weekly(full.pin(), EVERYTHING, ("egress_gbps",), start - 28 * DAY, start)
    same = samples[(samples["level"] == level) & (samples["key"] == key) & (samples["completeness"] >= 0.5)]
    assert peaks["week"].tolist() == same["week"].tolist()
    np.testing.assert_allclose(peaks["peak"], same["peak"])


def test_a_metric_that_the_lake_lacks_is_missing(partial: Lake) -> None:
    for grain in ("5min", "1h", "1d"):
        frame = history(
            partial, "region", "eu-west", NOW - DAY, NOW, grain, ("egress_gbps", "viewers", "rebuffer_ratio")
        )
        assert frame[["viewers_mean", "rebuffer_ratio_p95"]].isna().all(axis=None)
        assert frame["egress_gbps_mean"].notna().all()


def test_an_unknown_series_is_missing_throughout(full: Lake) -> None:
    for level, key in (("site", "nowhere"), ("region", "x' OR '1'='1")):
        assert history(full, level, key, NOW - DAY, NOW, "5min")["egress_gbps_mean"].isna().all()


def test_an_empty_lake_has_an_axis(empty: Lake) -> None:
    for grain in ("5min", "1h", "1d"):
        assert history(empty, "global", "all", NOW - DAY, NOW, grain)["egress_gbps_mean"].isna().all()


def test_a_metric_that_is_not_of_the_contract_is_refused(full: Lake) -> None:
    with pytest.raises(
        SettingError, match=r"There is no metric 'egress; DROP'.*Remedy: use one of ingest_gbps, egress_gbps"
    ):
        history(full, "site", "fra-01", NOW - DAY, NOW, "1h", ("egress; DROP",))
    with pytest.raises(SettingError, match=r"There is no metric"):
        queries.site_series(full.pin(), EVERYTHING, None, "bandwidth", NOW - DAY, NOW)


# Capacity and events
# -------------------------------------------------------------------------------------------------------


def test_capacity_of_a_site_is_its_steps(full: Lake) -> None:
    steps = queries.capacity_steps(full.pin(), EVERYTHING, "site", "fra-01", "egress")
    assert steps["capacity_gbps"].tolist() == [90.0, 240.0]
    assert steps["status"].tolist() == ["installed", "planned"]
    assert steps["effective_from"].iloc[1] == NOW + 20 * DAY


def test_capacity_of_a_region_sums_the_steps_in_force(full: Lake) -> None:
    region = queries.capacity_steps(full.pin(), EVERYTHING, "region", "eu-west", "egress")
    before = 90.0 + 157.0 + 3 * (80 + 90 + 100 + 60)
    assert region["capacity_gbps"].tolist() == [before, before + 150.0]
    assert region["status"].tolist() == ["installed", "planned"]
    network = queries.capacity_steps(full.pin(), EVERYTHING, "global", "all", "ingest")
    assert network["capacity_gbps"].tolist() == [60.0 + 70 + 80 + 70 + 80]
    assert queries.capacity_steps(full.pin(), EVERYTHING, "site", "dfw-01", "egress").empty


@pytest.mark.parametrize(
    ("level", "key", "titles"),
    [
        ("global", "all", ["Spring Cup", "Power loss", "Line cards"]),
        ("region", "eu-west", ["Spring Cup", "Power loss", "Line cards"]),
        ("region", "us-east", ["Spring Cup"]),
        ("site", "par-01", ["Spring Cup", "Power loss", "Line cards"]),
        ("site", "lon-01", ["Spring Cup", "Line cards"]),
    ],
)
def test_events_are_those_that_touch_the_series(full: Lake, level: Any, key: str, titles: list[str]) -> None:
    assert queries.events(full.pin(), EVERYTHING, level, key, NOW - 30 * DAY, NOW)["title"].tolist() == titles


def test_events_must_overlap_the_range(full: Lake) -> None:
    start = NOW - 6 * DAY
    assert queries.events(full.pin(), EVERYTHING, "global", "all", start + 5 * HOUR, start + DAY).empty
    assert queries.events(full.pin(), EVERYTHING, "global", "all", start + 4 * HOUR, start + DAY)["title"].tolist() == [
        "Spring Cup"
    ]


# Gaps
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "key"), [("site", "mad-01"), ("region", "eu-west")])
def test_gaps_have_their_edges_and_names(full: Lake, level: Any, key: str) -> None:
    found = queries.gaps(full.pin(), EVERYTHING, level, key, NOW - 7 * DAY, NOW + DAY)
    assert found.to_dict("records") == [{"start": GAP[0], "end": GAP[1], "names": "Madrid", "sites": 1}]


@pytest.mark.parametrize(("level", "key"), [("site", "fra-01"), ("region", "us-east"), ("global", "all")])
def test_where_nothing_is_missing_there_is_no_gap(full: Lake, level: Any, key: str) -> None:
    assert queries.gaps(full.pin(), EVERYTHING, level, key, NOW - 30 * DAY, NOW + 30 * DAY).empty


def test_a_silence_that_lasts_is_a_gap_until_now(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=2, days=3, flows=False, forecasts=False, gap=("par-01", 5, 0)))
    found = queries.gaps(lake.pin(), EVERYTHING, "site", "par-01", NOW - 2 * DAY, NOW + DAY)
    assert found[["start", "end"]].to_numpy().tolist() == [[NOW - 5 * HOUR, NOW]]
    assert queries.gaps(lake.pin(), EVERYTHING, "region", "eu-west", NOW - 2 * DAY, NOW)["names"].tolist() == ["Paris"]


def test_short_silences_are_no_gaps() -> None:
    hours = pd.DataFrame(
        {"ts": pd.date_range("2026-01-01", periods=4, freq="h", tz="UTC"), "completeness": [1.0, 0.25, 1.0, 1.0]}
    )
    assert silences(hours, hours["ts"].iloc[-1] + HOUR).empty
    hours["completeness"] = [1.0, 0.5, 0.5, 1.0]
    found = silences(hours, hours["ts"].iloc[-1] + HOUR)
    assert found.to_numpy().tolist() == [[hours["ts"][1] + HOUR / 2, hours["ts"][2] + HOUR / 2]]


def test_coarse_telemetry_has_no_gaps_between_its_samples(tmp_path: Path) -> None:
    whole = Plan(
        sites=2,
        days=3,
        end=datetime(2026, 3, 17, tzinfo=UTC),
        grain=timedelta(hours=6),
        flows=False,
        forecasts=False,
        gap=None,
    )
    pin, end = full_lake(tmp_path / "whole", whole).pin(), pd.Timestamp(whole.end)
    assert queries.gaps(pin, EVERYTHING, "site", "par-01", end - 3 * DAY, end).empty
    pin = full_lake(tmp_path / "holed", replace(whole, gap=("par-01", 36, 30))).pin()
    for level, key in (("site", "par-01"), ("region", "eu-west")):
        found = queries.gaps(pin, EVERYTHING, level, key, end - 3 * DAY, end)  # type: ignore[arg-type]
        assert found.to_numpy().tolist() == [[end - 36 * HOUR, end - 30 * HOUR, "Paris", 1]]


@pytest.mark.parametrize("hours", [2, 3, 6, 12, 24])
def test_a_coarse_sample_stands_for_each_of_its_hours_at_every_level_and_scope(tmp_path: Path, hours: int) -> None:
    plan = Plan(
        sites=2,
        days=4,
        end=datetime(2026, 3, 17, tzinfo=UTC),
        grain=timedelta(hours=hours),
        flows=False,
        forecasts=False,
        gap=None,
    )
    lake, end = full_lake(tmp_path / "lake", plan), pd.Timestamp(plan.end)
    samples = lake.read("telemetry").to_pandas().set_index(["site_id", "ts"])["egress_gbps"]
    axis = pd.date_range(end - 4 * DAY, end, freq="h", inclusive="left")
    wanted = {site: samples[site].reindex(axis.floor(f"{hours}h")).to_numpy() for site in ("fra-01", "par-01")}
    for site, values in wanted.items():
        assert history(lake, "site", site, axis[0], end, "1h")["egress_gbps_mean"].to_numpy() == pytest.approx(values)
    region = history(lake, "region", "eu-west", axis[0], end, "1h")
    assert region["egress_gbps_mean"].to_numpy() == pytest.approx(wanted["fra-01"] + wanted["par-01"])
    assert (region["completeness"] == 1.0).all()
    seen = queries.history(
        lake.pin(), Scope(frozenset({"par-01"})), "region", "eu-west", ("egress_gbps",), axis[0], end, "1h"
    )
    assert seen["egress_gbps_mean"].to_numpy() == pytest.approx(wanted["par-01"])


def test_many_names_become_a_count() -> None:
    assert shortened(["A", "B", "C"]) == "A, B, C"
    assert shortened(["A", "B", "C", "D", "E"]) == "A, B, C +2"


# Small multiples
# -----------------------------------------------------------------------------------------------------------


def test_sites_side_by_side_share_one_axis(full: Lake) -> None:
    found = queries.site_series(full.pin(), EVERYTHING, "eu-west", "egress_gbps", NOW - DAY, NOW + 2 * HOUR)
    assert list(found.columns) == ["site_id", "name", "ts", "value", "capacity_gbps"]
    axes = {site: group["ts"].tolist() for site, group in found.groupby("site_id")}
    assert len(axes) == 6
    assert set(map(tuple, axes.values())) == {
        tuple(pd.date_range((NOW - DAY).floor("h"), NOW + 2 * HOUR, freq="h", inclusive="left"))
    }
    one = found[found["site_id"] == "fra-01"].reset_index(drop=True)
    hours = history(full, "site", "fra-01", NOW - DAY, NOW + 2 * HOUR, "1h")
    pd.testing.assert_series_equal(one["value"], hours["egress_gbps_mean"], check_names=False)
    assert set(one["capacity_gbps"]) == {90.0}
    assert len(queries.site_series(full.pin(), EVERYTHING, None, "viewers", NOW - HOUR, NOW)["site_id"].unique()) == 12


def test_capacity_beside_a_metric_without_one_is_missing(full: Lake) -> None:
    assert (
        queries.site_series(full.pin(), EVERYTHING, "eu-west", "viewers", NOW - HOUR, NOW)["capacity_gbps"].isna().all()
    )
    assert (
        queries.site_series(full.pin(), EVERYTHING, "eu-west", "ingest_gbps", NOW - HOUR, NOW)
        .set_index("site_id")
        .loc["fra-01", "capacity_gbps"]
        .eq(60.0)
        .all()
    )


# Late and corrected rows
# ---------------------------------------------------------------------------------------------------


def test_a_corrected_day_shows_at_every_grain(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=2, days=3, flows=False, forecasts=False, gap=None))
    old = lake.pin()
    day = datetime(2026, 3, 15, tzinfo=UTC)
    rows = query(
        old, "SELECT * EXCLUDE (date) FROM telemetry WHERE date = DATE '2026-03-15'", ["telemetry"], scope=EVERYTHING
    ).assign(egress_gbps=1.0)
    replace_dates(lake, "telemetry", pa.Table.from_pandas(rows, preserve_index=False), [day.date()])
    refresh_rollups(lake)
    for grain in ("5min", "1h", "1d"):
        assert history(lake, "global", "all", day, day + timedelta(days=1), grain)["egress_gbps_mean"].eq(2.0).all()
        kept = queries.history(old, EVERYTHING, "global", "all", ("egress_gbps",), day, day + timedelta(days=1), grain)
        assert kept["egress_gbps_mean"].gt(50.0).all()
