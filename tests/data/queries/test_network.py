"""The questions of the overview: what the lake holds, how the sites stand, the headline, the map."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data import queries
from data.lake.query import EVERYTHING
from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from tests.lakes import CAPACITY, SITES, Plan, full_lake

PLAN = Plan()
NOW = pd.Timestamp(PLAN.end)
SITE = {
    site: (60.0 + 10 * (i % 5), 0.0 if region == "eu-west" else 6.0) for i, (site, _, region, *_) in enumerate(SITES)
}


def egress(site: str, ts: pd.Timestamp) -> float:
    """The formula of tests/lakes.py, once more."""
    size, place = SITE[site]
    day = (ts - (NOW - pd.Timedelta(days=PLAN.days))) / pd.Timedelta(days=1)
    return size * (1 + 0.4 * math.sin(2 * math.pi * (ts.timestamp() / 3600 + place) / 24)) * (1 + 0.005 * day)


def hourly(site: str, hour: pd.Timestamp, *, samples: int = 12) -> float:
    return float(np.mean([egress(site, hour + pd.Timedelta(minutes=5 * i)) for i in range(samples)]))


# Now
# -----------------------------------------------------------------------------------------------------------------------


def test_the_extent_of_a_full_lake(full: Lake) -> None:
    held = queries.extent(full.pin(), EVERYTHING)
    assert held is not None
    assert (held.first, held.last, held.now) == (NOW - pd.Timedelta(days=16), NOW - pd.Timedelta(minutes=5), NOW)
    assert (held.grain_seconds, held.sites, held.simulated, held.telemetry_version) == (
        300,
        12,
        True,
        full.version("telemetry"),
    )
    assert held.received_at == held.last + pd.Timedelta(seconds=40)
    assert set(held.metrics) >= {"egress_gbps", "ingest_gbps", "viewers", "rebuffer_ratio"}


def test_now_is_the_end_of_the_telemetry_however_old(stale: Lake) -> None:
    held = queries.extent(stale.pin(), EVERYTHING)
    assert held is not None
    assert (held.now.year, held.simulated) == (2004, False)
    assert queries.sites_now(stale.pin(), EVERYTHING)["egress_gbps"].notna().all()


def test_a_lake_of_the_required_columns_says_what_it_has(partial: Lake) -> None:
    held = queries.extent(partial.pin(), EVERYTHING)
    assert held is not None
    assert held.metrics == ("ingest_gbps", "egress_gbps")


@pytest.mark.parametrize("minutes", [1, 15, 60, 180, 1440])
def test_other_grains_have_their_own_now(tmp_path: Path, minutes: int) -> None:
    plan = Plan(
        sites=2,
        days=2,
        grain=timedelta(minutes=minutes),
        forecasts=False,
        flows=False,
        gap=None,
        end=datetime(2026, 3, 3, tzinfo=UTC),
    )
    pin = full_lake(tmp_path / "lake", plan).pin()
    held = queries.extent(pin, EVERYTHING)
    assert held is not None
    assert (held.grain_seconds, held.now) == (minutes * 60, pd.Timestamp(plan.end))
    sites = queries.sites_now(pin, EVERYTHING)
    assert sites["completeness_24h"].tolist() == [1.0, 1.0]
    assert sites["age_seconds"].tolist() == [0.0, 0.0]
    fine = queries.history(pin, EVERYTHING, "region", "eu-west", ("egress_gbps",), held.first, held.now, "5min")
    assert fine["egress_gbps_mean"].notna().all()
    assert len(fine) == 2 * 86_400 // max(300, minutes * 60)
    assert fine["completeness"].tolist() == [1.0] * len(fine)


@pytest.mark.parametrize("hours", [3, 24])
def test_the_map_of_a_coarse_grain_shows_every_hour(tmp_path: Path, hours: int) -> None:
    plan = Plan(
        sites=2,
        days=4,
        grain=timedelta(hours=hours),
        forecasts=False,
        flows=False,
        gap=None,
        end=datetime(2026, 3, 3, tzinfo=UTC),
    )
    pin = full_lake(tmp_path / "lake", plan).pin()
    newest = queries.map_at(pin, EVERYTHING, plan.end - timedelta(hours=1))
    assert newest["egress_gbps"].notna().all()
    assert newest.equals(queries.map_at(pin, EVERYTHING, plan.end - timedelta(hours=hours)))


def test_an_empty_lake_has_no_now(empty: Lake) -> None:
    assert queries.extent(empty.pin(), EVERYTHING) is None


# Sites
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sites(full: Lake) -> pd.DataFrame:
    return queries.sites_now(full.pin(), EVERYTHING).set_index("site_id")


def test_every_site_has_one_row(sites: pd.DataFrame, full: Lake) -> None:
    assert list(sites.index) == sorted(SITE)
    assert list(queries.catalogue(full.pin(), EVERYTHING)["site_id"]) == sorted(SITE)


def test_values_are_the_newest_hour_and_the_week_before(sites: pd.DataFrame) -> None:
    hour = NOW.floor("h")
    for site in SITE:
        assert sites.loc[site, "egress_gbps"] == pytest.approx(hourly(site, hour, samples=5))
        assert sites.loc[site, "egress_week_ago"] == pytest.approx(hourly(site, hour - pd.Timedelta(days=7)))
    assert sites.loc["mad-01", "ingest_gbps"] != sites.loc["mad-01", "ingest_gbps"]
    assert sites.loc["fra-01", "viewers"] == pytest.approx(250 * sites.loc["fra-01", "egress_gbps"])
    assert sites.loc["fra-01", "peak_24h_gbps"] == np.nanmax(sites.loc["fra-01", "week"][-24:])
    assert sites.loc["fra-01", "peak_24h_utilisation"] == pytest.approx(sites.loc["fra-01", "peak_24h_gbps"] / 90)


def test_the_week_is_168_hours_with_its_gap_missing(sites: pd.DataFrame) -> None:
    week = sites.loc["mad-01", "week"]
    first = NOW.floor("h") - pd.Timedelta(hours=167)
    assert len(week) == 168
    missing = [first + pd.Timedelta(hours=i) for i, value in enumerate(week) if math.isnan(value)]
    assert missing == [pd.Timestamp("2026-03-15 08:00", tz="UTC"), pd.Timestamp("2026-03-15 09:00", tz="UTC")]
    assert week[0] == pytest.approx(hourly("mad-01", first))
    assert not np.isnan(sites.loc["fra-01", "week"]).any()


def test_completeness_and_age(sites: pd.DataFrame) -> None:
    assert sites.loc["fra-01", ["completeness_24h", "completeness_7d", "age_seconds"]].tolist() == [1.0, 1.0, 0.0]
    hours = 167 + 25 / 60
    assert sites.loc["mad-01", "completeness_7d"] == pytest.approx((hours - 3) / hours)


def test_utilisation_is_of_the_capacity_installed_now(sites: pd.DataFrame) -> None:
    assert sites.loc["fra-01", "egress_capacity_gbps"] == CAPACITY["fra-01"]
    assert sites.loc["fra-01", "egress_utilisation"] == pytest.approx(
        sites.loc["fra-01", "egress_gbps"] / CAPACITY["fra-01"]
    )
    assert sites.loc["fra-01", "ingest_utilisation"] == pytest.approx(sites.loc["fra-01", "ingest_gbps"] / 60)
    assert sites.loc["fra-01", "utilisation"] == sites.loc["fra-01", "egress_utilisation"]
    assert pd.isna(sites.loc["dfw-01", "utilisation"])
    peak = max(egress("fra-01", NOW - pd.Timedelta(minutes=5 * i)) for i in range(7 * 288))
    assert sites.loc["fra-01", "peak_7d_utilisation"] == pytest.approx(peak / CAPACITY["fra-01"], rel=0.002)


def test_peaks_ahead_are_those_of_the_forecasts_quantiles(sites: pd.DataFrame) -> None:
    hours = [NOW.ceil("h") + pd.Timedelta(hours=i) for i in range(28 * 24)]
    highest = max(egress("lon-01", hour) for hour in hours)
    assert sites.loc["lon-01", ["peak_28d_low", "peak_28d_mid", "peak_28d_high"]].tolist() == pytest.approx(
        [0.9 * highest, highest, 1.1 * highest], rel=0.003
    )


def test_what_is_measured_gives_states_with_reasons(sites: pd.DataFrame) -> None:
    assert sites["state"].to_dict() == {**dict.fromkeys(SITE, "ok"), "fra-01": "act"}
    assert sites.loc["fra-01", "reason"].endswith(" % of capacity, above 80 %.")
    assert sites[["incident", "silence"]].isna().all(axis=None)
    assert not {name for name in sites if name.startswith(("runout", "run_out"))}, "when it runs out, the plan says"


def test_a_silent_site_is_unknown_and_has_no_value(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=3, days=9, flows=False, forecasts=False, gap=("fra-01", 5, 0)))
    sites = queries.sites_now(lake.pin(), EVERYTHING).set_index("site_id")
    assert pd.isna(sites.loc["fra-01", "egress_gbps"])
    assert sites.loc["fra-01", ["state", "reason", "age_seconds"]].tolist() == ["unknown", "Silent for 5 h.", 5 * 3600]
    assert sites.loc["fra-01", "silence"] == "Silent for 5 h."


def test_a_lake_without_the_optional_tables_still_has_sites(partial: Lake) -> None:
    sites = queries.sites_now(partial.pin(), EVERYTHING)
    assert sites["egress_gbps"].notna().all()
    assert (
        sites[["viewers", "utilisation", "egress_capacity_gbps", "rebuffer_ratio", "peak_28d_mid"]]
        .isna()
        .all(axis=None)
    )
    assert set(sites["state"]) == {"ok"}


def test_an_empty_lake_has_no_sites(empty: Lake) -> None:
    pin = empty.pin()
    assert queries.sites_now(pin, EVERYTHING).empty
    assert queries.headline(pin, EVERYTHING).empty
    assert queries.map_at(pin, EVERYTHING, NOW).empty
    assert queries.flows_at(pin, EVERYTHING, NOW).empty


def test_sites_without_telemetry_are_unknown(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=1, days=2, flows=False, forecasts=False, gap=None))
    rows = lake.read("sites").to_pylist()
    lake.replace(
        "sites",
        pa.Table.from_pylist([*rows, {**rows[0], "site_id": "new-01", "name": "New"}], lake.read("sites").schema),
    )
    refresh_rollups(lake)
    new = queries.sites_now(lake.pin(), EVERYTHING).set_index("site_id").loc["new-01"]
    assert (new["state"], new["reason"]) == ("unknown", "No telemetry has arrived.")
    assert pd.isna(new["age_seconds"])
    assert (len(new["week"]), np.isnan(new["week"]).all()) == (168, True)


# Headline
# ------------------------------------------------------------------------------------------------------------------


def test_the_headline_is_the_network_now_and_a_week_ago(full: Lake) -> None:
    lines = queries.headline(full.pin(), EVERYTHING).set_index("metric")
    hour = NOW.floor("h")
    assert list(lines.index) == ["egress_gbps", "ingest_gbps", "viewers", "utilisation"]
    assert lines.loc["egress_gbps", "value"] == pytest.approx(sum(hourly(site, hour, samples=5) for site in SITE))
    assert lines.loc["egress_gbps", "week_ago"] == pytest.approx(
        sum(hourly(site, hour - pd.Timedelta(days=7)) for site in SITE)
    )
    assert {len(series) for series in lines["series"]} == {168}
    assert lines.loc["egress_gbps", "peak_24h"] == max(lines.loc["egress_gbps", "series"][-24:])
    assert lines.loc["egress_gbps", "peak_24h"] > lines.loc["egress_gbps", "peak_24h_week_ago"], "it grows by the day"
    declared = [site for site in SITE if site != "dfw-01"]
    capacity = {site: CAPACITY.get(site, 3 * size) for site, (size, _) in SITE.items()}
    wanted = sum(hourly(site, hour, samples=5) for site in declared) / sum(capacity[site] for site in declared)
    assert lines.loc["utilisation", "value"] == pytest.approx(wanted)


def test_the_headline_of_a_bare_lake_leaves_out_what_it_lacks(partial: Lake) -> None:
    lines = queries.headline(partial.pin(), EVERYTHING).set_index("metric")["value"]
    assert lines.isna().to_dict() == {"egress_gbps": False, "ingest_gbps": False, "viewers": True, "utilisation": True}


# Map
# -----------------------------------------------------------------------------------------------------------------------


def test_the_map_of_a_past_hour_is_measured(full: Lake) -> None:
    at = NOW - pd.Timedelta(hours=30)
    found = queries.map_at(full.pin(), EVERYTHING, at).set_index("site_id")
    assert found.loc["lon-01", "egress_gbps"] == pytest.approx(hourly("lon-01", at.floor("h")))
    assert not found["expected"].any()
    assert found[["low", "high"]].isna().all(axis=None)
    assert found.loc["lon-01", "utilisation"] == pytest.approx(found.loc["lon-01", "egress_gbps"] / 240)


def test_the_map_of_an_hour_ahead_is_expected(full: Lake) -> None:
    at = NOW + pd.Timedelta(days=20, hours=1)
    found = queries.map_at(full.pin(), EVERYTHING, at).set_index("site_id")
    value = egress("lon-01", at.floor("h"))
    assert found["expected"].all()
    assert found.loc["lon-01", ["low", "egress_gbps", "high"]].tolist() == pytest.approx(
        [0.9 * value, value, 1.1 * value]
    )
    planned = found.loc["fra-01", "egress_gbps"] / 240
    assert found.loc["fra-01", "utilisation"] == pytest.approx(planned)


def test_a_site_that_was_silent_is_unknown_on_the_map(full: Lake) -> None:
    found = queries.map_at(full.pin(), EVERYTHING, NOW - pd.Timedelta(hours=48)).set_index("site_id")["state"]
    assert found["mad-01"] == "unknown"
    assert found["lon-01"] == "ok"


def test_flows_are_the_largest_of_the_hour(full: Lake) -> None:
    found = queries.flows_at(full.pin(), EVERYTHING, NOW - pd.Timedelta(hours=5))
    assert list(found.columns) == ["source_site_id", "target_site_id", "gbps", "expected"]
    assert len(found) == 5 * 11
    assert found["gbps"].is_monotonic_decreasing
    assert not found["expected"].any()


def test_flows_ahead_are_those_of_the_last_week(full: Lake) -> None:
    ahead = queries.flows_at(full.pin(), EVERYTHING, NOW + pd.Timedelta(days=9))
    assert len(ahead) == 55
    assert ahead["expected"].all()
    assert queries.flows_at(full.pin(), EVERYTHING, NOW - pd.Timedelta(days=300)).empty


def test_search_finds_sites_regions_cities_and_partners(full: Lake) -> None:
    found = queries.search_index(full.pin(), EVERYTHING).set_index(["kind", "key"])
    assert found.loc[("site", "fra-01"), ["label", "detail"]].tolist() == ["Frankfurt", "Frankfurt, DE, Northwind"]
    assert found.loc[("region", "eu-west"), ["label", "detail"]].tolist() == ["Europe West", "6 sites"]
    assert found.loc[("city", "Paris"), "detail"] == "FR, 1 site"
    assert found.loc[("partner", "Meridian"), "detail"] == "4 sites"
    assert found.index.get_level_values("kind").unique().tolist() == ["site", "region", "city", "partner"]
