"""A lake, a quarantine and a store that release 0.1 wrote, read and written on by today's code (tests/golden)."""

from __future__ import annotations

import shutil
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from data.__main__ import main
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.queries import capacity_steps, catalogue, events, extent, history, quarantined, sites_now, snapshots
from data.store import Plans, Scenarios, open_store
from data.store.capacity_edits import history as capacity_history

ARCHIVE = Path(__file__).resolve().parent.parent / "golden" / "lake-0.1.tar.xz"
# Where it was made: the store names the lake by its address.
MADE_AT = "/tmp/headroom-0.1/lake"
START, END = datetime(2026, 8, 31, tzinfo=UTC), datetime(2026, 10, 5, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive's folder, to be read only."""
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "headroom-0.1"


@pytest.fixture
def copied(unpacked: Path, tmp_path: Path) -> Path:
    """The same, to be written to."""
    return Path(shutil.copytree(unpacked, tmp_path / "headroom-0.1"))


def test_its_extent_is_read(unpacked: Path) -> None:
    found = extent(Lake(unpacked / "lake").pin(), EVERYTHING)
    assert found is not None
    assert (found.first, found.now) == (pd.Timestamp(START), pd.Timestamp(END))
    assert (found.sites, found.grain_seconds, found.simulated) == (3, 3600, False)
    assert found.metrics == ("ingest_gbps", "egress_gbps", "viewers")


def test_its_sites_are_read_also_one_whose_time_zone_does_not_exist(unpacked: Path) -> None:
    pin = Lake(unpacked / "lake").pin()
    zones = dict(catalogue(pin, EVERYTHING)[["site_id", "timezone"]].to_numpy().tolist())
    assert zones == {"fra": "Europe/Berlin", "par": "Europe/Paris", "iad": "America/New_Yrok"}
    assert dict(sites_now(pin, EVERYTHING)[["site_id", "egress_gbps"]].to_numpy().tolist())["fra"] == 62.0


def test_its_capacity_and_the_edits_of_it_are_read(unpacked: Path) -> None:
    lake = Lake(unpacked / "lake")
    steps = capacity_steps(lake.pin(), EVERYTHING, "region", "eu", "egress")
    assert steps["capacity_gbps"].tolist() == [230.0, 320.0]
    assert steps["status"].tolist() == ["installed", "planned"]
    newest = capacity_history(lake).iloc[0]
    assert (newest["kind"], newest["author"], newest["note"]) == ("edit", "ana", "the second line card is in")


def test_a_regions_history_is_read(unpacked: Path) -> None:
    pin = Lake(unpacked / "lake").pin()
    hours = history(pin, EVERYTHING, "region", "eu", ("egress_gbps", "viewers"), START, END, "1h")
    assert len(hours) == 840
    assert hours["egress_gbps_mean"].sum() == pytest.approx(95_995.0)
    assert hours["viewers_mean"].sum() == pytest.approx(23_998_750.0)
    days = history(pin, EVERYTHING, "region", "eu", ("egress_gbps",), START + 18 * DAY, START + 21 * DAY, "1d")
    assert days["egress_gbps_p95"].tolist() == pytest.approx([143.075, 140.725, 143.02])


def test_its_events_and_its_ledger_are_read(unpacked: Path) -> None:
    pin = Lake(unpacked / "lake").pin()
    assert events(pin, EVERYTHING, "site", "par", START, END + 10 * DAY)["event_id"].tolist() == ["outage", "cup"]
    assert set(quarantined(pin, EVERYTHING)["column"]) == {"site_id", "ingest_gbps"}
    assert snapshots(pin, EVERYTHING, 20)["rows_accepted"].sum() == 3 + 5 + 1 + 2 + 1440 + 2 + 1152


def test_its_scenario_and_its_plan_are_read(copied: Path) -> None:
    store = open_store(f"sqlite:///{copied / 'scenarios.db'}")
    scenarios = Scenarios(store)
    (scenario,) = scenarios.listed(MADE_AT)
    assert (scenario.name, scenario.author, scenario.updated_by) == ("More growth in Europe", "ana", "bo")
    assert scenario.body == {
        "changes": [{"kind": "growth", "factor": 1.2, "scope": "eu"}],
        "policy": {"limit": 0.8},
    }
    assert [revision.action for revision in scenarios.history(scenario.id)] == ["renamed", "created"]
    (note,) = Plans(store).listed(MADE_AT)
    plan = Plans(store).get(note.id)
    assert (plan.note.name, plan.note.policy) == ("October", {"limit": 0.8})
    assert plan.rows["run_out_p50"].tolist() == [pd.Timestamp(END + 40 * DAY)]
    assert plan.peaks["q90"].tolist() == [92.0]
    assert plan.purchases["site_id"].tolist() == ["fra"]
    store.close()


def test_another_ingest_goes_on_top(copied: Path) -> None:
    """A day that was known, a day that is new: the hours follow, and nothing is taken in twice."""
    lake = Lake(copied / "lake")
    fresh = copied / "telemetry-3.csv"
    stamps = pd.date_range(END - DAY, END + DAY, freq="h", inclusive="left")
    fresh.write_text(
        "ts,site_id,ingest_gbps,egress_gbps,received_at\n"
        + "".join(f"{t:%Y-%m-%dT%H:%M:%SZ},par,1,50,{END + 2 * DAY:%Y-%m-%dT%H:%M:%SZ}\n" for t in stamps)
    )
    before = lake.read("telemetry").num_rows
    assert (
        main(["ingest", "--lake", lake.url, "--quiet", str(fresh), str(copied / "snapshots/telemetry-1.parquet")]) == 0
    )
    assert lake.read("telemetry").num_rows == before + 24
    hours = history(lake.pin(), EVERYTHING, "site", "par", ("egress_gbps",), END - DAY, END + DAY, "1h")
    assert hours["egress_gbps_mean"].tolist() == [50.0] * 48
    region = history(lake.pin(), EVERYTHING, "region", "eu", ("egress_gbps",), START, END - DAY, "1h")
    assert region["egress_gbps_mean"].notna().all()


def test_its_hourly_and_daily_figures_can_be_made_anew(copied: Path) -> None:
    lake = Lake(copied / "lake")
    before = history(lake.pin(), EVERYTHING, "region", "eu", ("egress_gbps",), START, END, "1h")
    assert main(["rollup", "--lake", lake.url, "--quiet"]) == 0
    after = history(lake.pin(), EVERYTHING, "region", "eu", ("egress_gbps",), START, END, "1h")
    pd.testing.assert_frame_equal(before, after)
