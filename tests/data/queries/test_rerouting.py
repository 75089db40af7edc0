"""What rerouting rests on: viewers for a Gbps, and the paths that traffic takes, against the formulas of the test
lakes.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from data.lake.query import EVERYTHING, Scope
from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from data.queries.network import ingest_paths, viewers_per_gbps
from tests.lakes import SITES, Plan, full_lake

PLAN = Plan(days=9)
NOW = pd.Timestamp(PLAN.end)
SIZE = {site: 60.0 + 10 * (i % 5) for i, (site, *_) in enumerate(SITES)}
INGEST = [row[0] for row in SITES if "ingest" in row[-1]]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return full_lake(tmp_path_factory.mktemp("rerouting") / "lake", PLAN)


def test_a_gbps_serves_what_was_measured_of_each_site(full: Lake) -> None:
    found = viewers_per_gbps(full.pin(), EVERYTHING)
    assert found is not None
    assert found.ratio == pytest.approx(dict.fromkeys(SIZE, 250.0))
    assert (found.since, found.until) == (NOW - pd.Timedelta(days=7), NOW)


def test_a_site_without_viewers_has_its_region_s_ratio_and_a_region_without_any_the_network_s(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=8, days=2, flows=False, forecasts=False))
    rows = lake.read("telemetry").to_pandas()
    rows.loc[rows["site_id"].isin({"fra-01", "iad-01", "cmh-01"}), "viewers"] = float("nan")
    rows.loc[rows["site_id"] == "par-01", "viewers"] *= 2
    lake.replace(
        "telemetry", pa.Table.from_pandas(rows[list(lake.read("telemetry").column_names)], preserve_index=False)
    )
    refresh_rollups(lake)
    found = viewers_per_gbps(lake.pin(), EVERYTHING)
    assert found is not None
    assert found.ratio["par-01"] == pytest.approx(500.0)
    assert found.ratio["lon-01"] == pytest.approx(250.0)
    europe = [found.ratio[site] for site in ("fra-01", "waw-01")]
    assert europe[1] == pytest.approx(250.0)
    assert 250.0 < europe[0] < 500.0  # between its neighbours', by their traffic
    assert (
        found.ratio["iad-01"] == found.ratio["cmh-01"] == pytest.approx(found.ratio["fra-01"])
    )  # nobody in US East has viewers: the network is Europe


def test_without_viewers_there_is_no_ratio(tmp_path: Path) -> None:
    bare = full_lake(tmp_path / "bare", Plan(sites=2, days=1, viewers=False, flows=False, forecasts=False, gap=None))
    assert viewers_per_gbps(bare.pin(), EVERYTHING) is None
    assert viewers_per_gbps(Lake(tmp_path / "empty").pin(), EVERYTHING) is None
    assert ingest_paths(bare.pin(), EVERYTHING).empty
    assert ingest_paths(Lake(tmp_path / "empty").pin(), EVERYTHING).empty


def test_paths_come_largest_first_with_all_that_comes_in_beside_them(full: Lake) -> None:
    found = ingest_paths(full.pin(), EVERYTHING)
    assert len(found) == len(INGEST) * (len(SITES) - 1)
    assert found["gbps"].is_monotonic_decreasing
    rows = found.set_index(["source_site_id", "target_site_id"])
    assert rows.loc[("fra-01", "par-01"), "gbps"] == pytest.approx((SIZE["fra-01"] + SIZE["par-01"]) / 20)
    inflow = sum((SIZE[source] + SIZE["mad-01"]) / 20 for source in INGEST)
    assert rows.loc[("fra-01", "mad-01"), "inflow_gbps"] == pytest.approx(inflow)


def test_a_narrower_scope_sees_paths_between_its_own_sites(full: Lake) -> None:
    scope = Scope(frozenset({"fra-01", "par-01"}))
    assert set(ingest_paths(full.pin(), scope)["target_site_id"]) == {"fra-01", "par-01"}
    found = viewers_per_gbps(full.pin(), scope)
    assert found is not None
    assert set(found.ratio) == {"fra-01", "par-01"}
