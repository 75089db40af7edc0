"""A filter chooses sites within a scope: what is summed up comes from the rollups, equals a region where the filter is
one, and tells of no site outside the scope.
"""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import pandas as pd
import pytest

from data import queries
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Lake
from data.queries import Query
from data.schema.errors import LakeError
from tests.lakes import SITES

EUROPE = tuple(sorted(row[0] for row in SITES if row[2] == "eu-west"))
# Two sites of one region and one of another: no rollup has their sum.
MIXED = ("fra-01", "iad-01", "par-01")


@pytest.fixture(scope="module")
def now(full: Lake) -> pd.Timestamp:
    extent = queries.extent(full.pin(), EVERYTHING)
    assert extent is not None
    return extent.now


def test_every_site_of_a_region_is_that_region(full: Lake, now: pd.Timestamp) -> None:
    pin, start = full.pin(), now - pd.Timedelta(days=8)
    metrics = ("egress_gbps", "rebuffer_ratio")
    region = queries.history(pin, EVERYTHING, "region", "eu-west", metrics, start, now, "1h")
    pd.testing.assert_frame_equal(
        queries.group_hours(pin, EVERYTHING, EUROPE, metrics, start, now)[["ts", *(f"{m}_mean" for m in metrics)]],
        region[["ts", *(f"{m}_mean" for m in metrics)]],
    )
    headline = queries.headline(pin, EVERYTHING, EUROPE).set_index("metric").loc["egress_gbps"]
    week = region.set_index("ts")["egress_gbps_mean"].tail(168)
    assert pd.Series(headline["series"], dtype=float).to_numpy() == pytest.approx(week.to_numpy(), nan_ok=True)

    days = queries.hours_of_day(pin, EVERYTHING, "egress_gbps", start, now)
    filtered = queries.hours_of_day(pin, EVERYTHING, "egress_gbps", start, now, EUROPE)
    pd.testing.assert_frame_equal(filtered, days[days["region_id"] == "eu-west"].reset_index(drop=True))

    weeks = queries.weekly(pin, EVERYTHING, ("egress_gbps",), start, now)
    mine = queries.weekly(pin, EVERYTHING, ("egress_gbps",), start, now, EUROPE)
    for level, key in (("region", "eu-west"), *(("site", site) for site in EUROPE)):
        own, same = (rows[(rows["level"] == level) & (rows["key"] == key)] for rows in (mine, weeks))
        pd.testing.assert_frame_equal(own.reset_index(drop=True), same.reset_index(drop=True))
    network = mine[mine["level"] == "global"].drop(columns=["level", "key"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(
        network, mine[mine["level"] == "region"].drop(columns=["level", "key"]).reset_index(drop=True)
    )


def test_another_group_is_the_sum_of_its_sites(full: Lake, now: pd.Timestamp) -> None:
    pin, end = full.pin(), now.floor("h")
    start = end - pd.Timedelta(hours=6)
    hours = queries.group_hours(pin, EVERYTHING, MIXED, ("egress_gbps",), start, end)
    parts = [
        queries.history(pin, EVERYTHING, "site", site, ("egress_gbps",), start, end, "1h")["egress_gbps_mean"]
        for site in MIXED
    ]
    assert hours["egress_gbps_mean"].to_numpy() == pytest.approx(sum(parts[1:], parts[0]).to_numpy())
    # All sites but one leave one region whole, and a part of the other.
    most = tuple(sorted(row[0] for row in SITES if row[0] != "par-01"))
    days = queries.hours_of_day(pin, EVERYTHING, "egress_gbps", start, end, most).set_index(["region_id", "hour"])
    whole = queries.hours_of_day(pin, EVERYTHING, "egress_gbps", start, end).set_index(["region_id", "hour"])
    others = days.index.get_level_values("region_id") != "eu-west"
    pd.testing.assert_frame_equal(days[others], whole.loc[days.index[others]])
    assert (days.loc["eu-west", "value"] < whole.loc["eu-west", "value"]).all()


def test_flows_of_a_filter_stay_between_its_sites(full: Lake, now: pd.Timestamp) -> None:
    pin, moment = full.pin(), now - pd.Timedelta(hours=3)
    flows = queries.flows_at(pin, EVERYTHING, moment)
    inside = flows["source_site_id"].isin(EUROPE) & flows["target_site_id"].isin(EUROPE)
    assert 0 < inside.sum() < len(flows)
    pd.testing.assert_frame_equal(
        queries.flows_at(pin, EVERYTHING, moment, EUROPE), flows[inside].reset_index(drop=True)
    )


def test_a_filter_shows_no_site_outside_the_scope(full: Lake, now: pd.Timestamp) -> None:
    pin, scope = full.pin(), Scope(frozenset({"fra-01", "par-01", "lon-01"}))
    start = now - pd.Timedelta(days=2)
    arguments = {
        "headline": {},
        "group_hours": {"metrics": ("egress_gbps",), "start": start, "end": now},
        "hours_of_day": {"metric": "egress_gbps", "start": start, "end": now},
        "weekly": {"metrics": ("egress_gbps",), "start": start, "end": now},
        "partner_months": {"metrics": ("egress_gbps",), "start": start, "end": now},
        "flows_at": {"ts": start},
    }
    named = {
        name
        for name in queries.__all__
        if isinstance(query := getattr(queries, name), Query)
        and "SiteFilter" in str(inspect.signature(query.function).parameters.get("sites"))
    }
    assert named == set(arguments)
    for name, given in arguments.items():
        inside, across = (
            getattr(queries, name)(pin, scope, sites=sites, **given)
            for sites in (("fra-01", "par-01"), ("fra-01", "iad-01", "par-01"))
        )
        pd.testing.assert_frame_equal(across, inside)


def test_a_filter_reads_rollups_and_no_samples(full: Lake, tmp_path: Path) -> None:
    shutil.copytree(full.url, tmp_path / "lake")
    lake = Lake(tmp_path / "lake")
    whole = full.pin()
    dates = sorted((tmp_path / "lake" / "telemetry").glob("date=*"))
    assert len(dates) > 3
    for date in dates[1:-1]:  # what is now is read from the ends
        shutil.rmtree(date)
    pin, extent = lake.pin(), queries.extent(lake.pin(), EVERYTHING)
    assert extent is not None
    start = extent.now - pd.Timedelta(days=7)
    pd.testing.assert_frame_equal(queries.headline(pin, EVERYTHING, MIXED), queries.headline(whole, EVERYTHING, MIXED))
    pd.testing.assert_frame_equal(
        queries.hours_of_day(pin, EVERYTHING, "egress_gbps", start, extent.now, MIXED),
        queries.hours_of_day(whole, EVERYTHING, "egress_gbps", start, extent.now, MIXED),
    )
    with pytest.raises(LakeError, match="cannot be read"):
        queries.headline(pin, Scope(frozenset(MIXED)))
