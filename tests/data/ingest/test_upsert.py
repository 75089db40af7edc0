"""Late and corrected rows: which of several rows with one key the lake holds in the end, whatever the order of
delivery.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest import run as ingest_run
from data.ingest.check import deduplicate, merge_rows
from data.lake.tables import Change, Lake, TableState, conform, files
from data.schema import STAMP, TABLES
from tests.data.ingest.ingest_frames import (
    NOW,
    START,
    TICK,
    held,
    lake_of,
    rows,
    sites,
    take,
    telemetry,
    with_column,
    write,
)

TELEMETRY = TABLES["telemetry"]
unhurried = settings(deadline=None, max_examples=60)
Row = tuple[str, int, int, float]  # site, tick, received, egress

some_rows = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(280, 296), st.integers(0, 3), st.sampled_from([1.0, 2.0])), max_size=12
)


def frame(content: list[Row]) -> pa.Table:
    return conform(
        TELEMETRY,
        rows(*((site, START + TICK * tick, START + TICK * received, value) for site, tick, received, value in content))
        if content
        else telemetry(count=0),
    )


def told(table: pa.Table) -> list[Row]:
    """The rows of a table, as `frame` takes them."""
    found = table.select(["site_id", "ts", "received_at", "egress_gbps"]).to_pylist()
    return [
        (row["site_id"], (row["ts"] - START) // TICK, (row["received_at"] - START) // TICK, row["egress_gbps"])
        for row in found
    ]


def expected(snapshots: list[list[Row]]) -> list[Row]:
    """What a table of one row after another would hold: a row replaces one that was not received later."""
    kept: dict[tuple[str, int], Row] = {}
    for content in snapshots:
        for row in content:
            if row[:2] not in kept or row[2] >= kept[row[:2]][2]:
                kept[row[:2]] = row
    return sorted(kept.values(), key=lambda row: (START + TICK * row[1]).date().isoformat() + row[0] + f"{row[1]:04d}")


@unhurried
@given(st.lists(some_rows, max_size=4))
def test_the_lake_holds_what_one_row_after_another_would(snapshots: list[list[Row]]) -> None:
    table = frame([])
    for content in snapshots:
        table = merge_rows(TELEMETRY, table, deduplicate(TELEMETRY, frame(content)).rows)
    assert told(table) == expected(snapshots)


@unhurried
@given(st.lists(some_rows, max_size=4))
def test_many_snapshots_at_once_are_as_one_after_another(snapshots: list[list[Row]]) -> None:
    together = pa.concat_tables([frame([]), *(deduplicate(TELEMETRY, frame(content)).rows for content in snapshots)])
    assert told(merge_rows(TELEMETRY, frame([]), together)) == expected(snapshots)


@unhurried
@given(some_rows)
def test_every_row_of_a_snapshot_is_accounted_for(content: list[Row]) -> None:
    found = deduplicate(TELEMETRY, frame(content))
    assert found.rows.num_rows + found.conflicting.num_rows + found.repeated == len(content)
    assert told(found.rows) == expected([content])
    winners = {row[:2]: row[3] for row in told(found.rows)}
    assert all(winners[row[:2]] != row[3] for row in told(found.conflicting))


def test_a_correction_replaces_and_an_older_one_does_not(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a", "b")
    take(lake, write(tmp_path / "1.parquet", pa.concat_tables([telemetry(), telemetry("b")])))
    take(lake, write(tmp_path / "2.parquet", rows(("a", START, NOW, 77.0))))
    take(
        lake, write(tmp_path / "3.parquet", rows(("a", START, NOW - TICK, 66.0)))
    )  # an older correction, delivered later
    assert [row[2] for row in held(lake)] == [77.0, 11.0, 12.0, 10.0, 11.0, 12.0]
    take(lake, write(tmp_path / "4.parquet", rows(("a", START, NOW, 55.0))))  # received together: the later ingest
    assert held(lake)[0] == ("a", START, 55.0)


def test_a_correction_may_take_a_value_away(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    take(lake, write(tmp_path / "1.parquet", telemetry(count=1)))
    take(
        lake,
        write(
            tmp_path / "2.parquet",
            with_column(rows(("a", START, NOW, 1.0)), "egress_gbps", pa.array([None], pa.float64())),
        ),
    )
    assert held(lake) == [("a", START, None)]


def test_rows_without_a_receipt_get_the_time_of_the_ingest(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    take(lake, write(tmp_path / "1.parquet", telemetry(count=1, received=None)), now=NOW)
    take(lake, write(tmp_path / "2.parquet", telemetry(count=1, received=None, egress=20.0)), now=NOW + TICK)
    take(
        lake,
        write(tmp_path / "3.parquet", rows(("a", START, START + TICK, 30.0), ("a", START + TICK, None, 40.0))),
        now=NOW + TICK,
    )
    assert held(lake, ("egress_gbps", "received_at")) == [(20.0, NOW + TICK), (40.0, NOW + TICK)]


def test_late_rows_touch_the_files_of_their_dates_alone(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    take(
        lake,
        *(
            write(tmp_path / f"{day}.parquet", telemetry(count=288, start=START + timedelta(days=day)))
            for day in range(3)
        ),
    )
    before = set(file_dates(tmp_path))
    take(lake, write(tmp_path / "late.parquet", rows(("a", START + timedelta(days=1), NOW, 1.0))))
    assert {day for _, day in set(file_dates(tmp_path)) ^ before} == {"2026-03-03"}
    assert len(held(lake)) == 3 * 288


def file_dates(folder: Path) -> list[tuple[str, str | None]]:
    lake = Lake(folder / "lake")
    return list(files(lake.url, "telemetry", lake.version("telemetry") or 0))


def test_files_of_the_lake_are_sorted_by_site_and_stamp(tmp_path: Path) -> None:
    names = [f"s{i:02d}" for i in range(40)]  # of which each time some lie behind those that the lake holds
    lake = lake_of(tmp_path, *names)
    for some in (names[20:], names[10:20], names[30:], names[:10]):
        take(lake, *(write(tmp_path / f"{name}.parquet", telemetry(name, 300)) for name in some))
    for path, _ in file_dates(tmp_path):
        table = pq.read_table(path, partitioning=None)
        keys = list(zip(table["site_id"].to_pylist(), table["ts"].to_pylist(), strict=True))
        assert keys == sorted(keys)


def test_rows_go_to_the_writer_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []

    def commit(lake: Lake, name: str, make: Callable[[TableState], Change]) -> int:
        # The writer may take several pieces in any order, which shows only now and then.
        pieces.append(make(TableState(lake._created(name), TABLES[name])).rows["ts"].num_chunks)
        return 0

    lake = lake_of(tmp_path, "a", "b")
    take(lake, write(tmp_path / "a.parquet", telemetry("a")))
    monkeypatch.setattr(Lake, "commit", commit)
    monkeypatch.setattr(ingest_run, "write_ledger", lambda *_: None)
    take(lake, write(tmp_path / "b.parquet", telemetry("b")))
    assert pieces == [1]


def test_small_tables_are_upserted_by_their_keys(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    take(lake, write(tmp_path / "1" / "sites.parquet", sites("a", "b")))
    take(lake, write(tmp_path / "2" / "sites.parquet", with_column(sites("b", "c"), "name", ["Bee", "Sea"])))
    found = lake.read("sites").to_pylist()
    assert [(row["site_id"], row["name"], row["region_name"], row["timezone"], row["roles"]) for row in found] == [
        ("a", "A", "eu", "UTC", "ingest,edge"),
        ("b", "Bee", "eu", "UTC", "ingest,edge"),
        ("c", "Sea", "eu", "UTC", "ingest,edge"),
    ]


def test_capacity_flows_links_and_events_find_their_tables(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a", "b")
    day = pa.array([START, START], STAMP)
    write(
        tmp_path / "in" / "1.parquet",
        pa.table(
            {
                "site_id": ["a", "a"],
                "direction": ["egress", "egress"],
                "effective_from": pa.array([START, NOW], STAMP),
                "capacity_gbps": [1, 2],
            }
        ),
    )
    write(
        tmp_path / "in" / "2.parquet",
        pa.table({"ts": day, "source_site_id": ["a", "b"], "target_site_id": ["b", "zz"], "gbps": [1.0, 2.0]}),
    )
    write(
        tmp_path / "in" / "3.parquet",
        pa.table({"link_id": ["x"], "source_site_id": ["a"], "target_site_id": ["b"], "capacity_gbps": [9.0]}),
    )
    events = {
        "event_id": ["e", "f"],
        "kind": ["tournament"] * 2,
        "title": ["Cup"] * 2,
        "start": day,
        "end": day,
        "scope": [None, "mars"],
    }
    write(tmp_path / "in" / "4.parquet", pa.table(events))
    outcomes = take(lake, tmp_path / "in")
    assert [(outcome.table, outcome.accepted, outcome.quarantined) for outcome in outcomes] == [
        ("capacity", 2, 0),
        ("links", 1, 0),
        ("events", 1, 1),
        ("flows", 1, 1),
    ]
    assert [outcome.faults[0].column for outcome in outcomes if outcome.faults] == ["scope", "target_site_id"]
    assert lake.read("capacity")["status"].to_pylist() == ["installed"] * 2
    assert [(row["scope"], row["treatment"]) for row in lake.read("events").to_pylist()] == [("global", "note")]
    assert isinstance(lake.read("flows")["ts"][0].as_py(), datetime)
