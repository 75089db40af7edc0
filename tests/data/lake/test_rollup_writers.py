"""Several processes that ingest at once leave the rollups that one process leaves, whoever comes first or last."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.lake import rollups
from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake, conform
from data.schema import TABLES

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY, HOUR, FIVE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=5)
ROOT = Path(__file__).parents[3]
INGEST = """
import sys
from data.__main__ import main
for path in sys.argv[2:]:
    assert main(["ingest", path, "--lake", sys.argv[1], "--quiet"]) == 0
"""


def samples(site: str, start: datetime, hours: int = 6, egress: float = 100.0) -> pa.Table:
    stamps = [start + i * FIVE for i in range(12 * hours)]
    rows = [{"ts": ts, "received_at": ts, "site_id": site, "egress_gbps": egress, "ingest_gbps": 1.0} for ts in stamps]
    return conform(TABLES["telemetry"], pa.Table.from_pylist(rows))


def network(folder: Path, sites: Iterable[str]) -> Lake:
    lake = Lake(folder)
    rows = [{"site_id": name, "name": name, "region_id": "eu", "lat": 0.0, "lon": 0.0} for name in sites]
    lake.replace("sites", pa.Table.from_pylist(rows))
    return lake


def figures(lake: Lake, table: str) -> pd.DataFrame:
    key = ["level", "key", "ts"]
    return lake.read(table).to_pandas().sort_values(key).reset_index(drop=True)


def hourly(lake: Lake, level: str, at: datetime = START) -> dict[str, Any]:
    rows = figures(lake, "telemetry_1h")
    return rows[(rows["level"] == level) & (rows["ts"] == at)].iloc[0].to_dict()


def test_three_processes_that_ingest_at_once_equal_one(tmp_path: Path) -> None:
    sites, rounds = ("a", "b", "c"), 2
    snapshots: dict[str, list[str]] = {site: [] for site in sites}
    for number in range(rounds):  # a date a round: what is left stale on it stays so
        for site in sites:
            path = tmp_path / f"{site}-{number}.parquet"
            pq.write_table(samples(site, START + number * DAY), path)
            snapshots[site].append(str(path))
    at_once, in_turn = network(tmp_path / "at-once", sites), network(tmp_path / "in-turn", sites)
    writers = [
        subprocess.Popen([sys.executable, "-c", INGEST, at_once.url, *snapshots[site]], cwd=ROOT, stdout=-3, stderr=-3)
        for site in sites
    ]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0, 0]
    for site in sites:
        in_turn.append("telemetry", pa.concat_tables(pq.read_table(path) for path in snapshots[site]))
    refresh_rollups(in_turn)
    for table in ("telemetry_1h", "telemetry_1d"):
        pd.testing.assert_frame_equal(figures(at_once, table), figures(in_turn, table))
    assert hourly(at_once, "global")["egress_gbps_mean"] == 300.0


def test_rollups_of_an_older_telemetry_never_replace_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process reads the telemetry, another ingests and rolls up, and only then does the first one publish."""
    lake = network(tmp_path / "lake", ("a", "b"))
    lake.append("telemetry", samples("a", START))
    refresh_rollups(lake)
    lake.append("telemetry", samples("a", START + DAY))
    publish = rollups._publish
    overtaken: list[str] = []

    def overtake(*given: Any) -> None:
        if not overtaken:
            overtaken.append("once")
            lake.append("telemetry", samples("b", START + DAY))
            refresh_rollups(lake)
        publish(*given)

    monkeypatch.setattr(rollups, "_publish", overtake)
    refresh_rollups(lake)
    assert hourly(lake, "global", START + DAY)["egress_gbps_mean"] == 200.0
    assert refresh_rollups(lake) == 0


def test_a_writer_that_is_overtaken_half_way_recomputes_what_is_still_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the second one publishes is older than what the first one found: it starts over, and loses neither."""
    lake = network(tmp_path / "lake", ("a", "b"))
    lake.append("telemetry", samples("a", START))
    roll_up, publish = rollups._roll_up, rollups._publish
    turns: list[str] = []

    def appended_meanwhile(*given: Any, **named: Any) -> Any:
        changed = roll_up(*given, **named)
        if not turns:
            turns.append("appended")
            lake.append("telemetry", samples("b", START + DAY))
        return changed

    monkeypatch.setattr(rollups, "_roll_up", appended_meanwhile)
    refresh_rollups(lake)  # made of the first append alone, and says so
    assert lake.made_of("telemetry_1h")["telemetry"] == (lake.version("telemetry") or 0) - 1
    lake.append("telemetry", samples("b", START))

    def overtake(*given: Any) -> None:
        if turns == ["appended"]:
            turns.append("overtaken")
            monkeypatch.setattr(rollups, "_publish", publish)
            lake.append("telemetry", samples("a", START + DAY))
            refresh_rollups(lake)
        publish(*given)

    monkeypatch.setattr(rollups, "_publish", overtake)
    refresh_rollups(lake)
    assert [hourly(lake, "global", START + day * DAY)["egress_gbps_mean"] for day in (0, 1)] == [200.0, 200.0]
    assert lake.made_of("telemetry_1d")["telemetry"] == lake.version("telemetry")


def test_a_lake_whose_rollups_do_not_say_what_they_are_made_of_is_rolled_up_anew(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", ("a",))
    lake.append("telemetry", samples("a", START))
    refresh_rollups(lake)
    right = figures(lake, "telemetry_1h")
    lake.replace("telemetry_1h", lake.read("telemetry_1h").slice(0, 3))  # as a release that kept a note beside the lake
    old = Lake(tmp_path / "old")
    for name in ("sites", "telemetry", "telemetry_1h", "telemetry_1d"):
        old.replace(name, lake.read(name))
    assert refresh_rollups(old) == 1
    pd.testing.assert_frame_equal(figures(old, "telemetry_1h"), right)


def test_a_change_of_a_few_samples_rewrites_the_hours_that_changed_alone(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", ("a", "b"))
    for site in ("a", "b"):
        lake.append("telemetry", samples(site, START, hours=5))
    refresh_rollups(lake)
    before = lake.version("telemetry_1h") or 0
    lake.append("telemetry", samples("a", START + 5 * HOUR, hours=1, egress=50.0))
    lake.append("telemetry", samples("b", START + 5 * HOUR, hours=1, egress=50.0))
    assert refresh_rollups(lake) == 1
    assert lake.committed("telemetry_1h", before + 1)["rows"] == 4  # two sites, the region and the network
    assert len(figures(lake, "telemetry_1h")) == 6 * 4
    lake.append("telemetry", samples("a", START + 9 * HOUR, hours=1).slice(0, 0))
    assert refresh_rollups(lake) == 0
