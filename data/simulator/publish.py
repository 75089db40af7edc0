"""Writing a simulation: straight into a lake, or as a folder of Parquet snapshots for ingest to take in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.lake.rollups import refresh_rollups
from data.lake.tables import Change, Lake, stored, stored_schema
from data.schema import TABLES
from data.simulator.incidents import Incident
from data.simulator.plan import DAY_MINUTES, moment
from data.simulator.simulation import Day, Simulation

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many of its steps are done, and how many there are."""

SMALL_TABLES = ("sites", "capacity", "events", "links")
# Key of the mark in the files' own metadata: a snapshot says that it is simulated wherever it is carried.
METADATA_KEY = b"source"
# Site-days of one commit: an ordinary demo is one, and one commit is all or nothing; a huge one is cut, because the
# writer holds its days in memory.
COMMIT_SITE_DAYS = 20_000


def write_lake(simulation: Simulation, lake: Lake, progress: Progress) -> int:
    """Make the lake hold this simulation and nothing else of its tables, with rollups; returns the rows of
    telemetry.
    """
    for name in SMALL_TABLES:
        lake.replace(name, small_table(simulation, name))
    harvest = _write_telemetry(simulation, lake, progress)
    lake.replace("flows", pa.concat_tables(harvest.flows.values()))
    lake.replace("simulated_incidents", simulation.truth(chain.from_iterable(harvest.labels.values())))
    lake.replace("snapshots", ledger_row(simulation.plan.source, harvest.total, *harvest.span))
    refresh_rollups(lake, None, progress=lambda done, total: progress("rollups", done, total))
    return harvest.total


def write_folder(simulation: Simulation, folder: Path, progress: Progress) -> int:
    """Write a snapshot of each small table, and one of telemetry and flows a day; returns the rows of telemetry."""
    folder.mkdir(parents=True, exist_ok=True)
    source, rows = simulation.plan.source, 0
    for name in SMALL_TABLES:
        write_snapshot(small_table(simulation, name), folder / f"{name}.parquet", source)
    for done, day in enumerate(simulation.days(), start=1):
        rows += day.telemetry.num_rows
        for name, table in (("telemetry", day.telemetry), ("flows", day.flows)):
            write_snapshot(table, folder / f"{name}-{moment(day.day * DAY_MINUTES):%Y-%m-%d}.parquet", source)
        progress("days", done, len(simulation.day_numbers))
    return rows


def write_snapshot(table: pa.Table, path: Path, source: str) -> None:
    """Write one Parquet file under its final name only when it is whole, so that no watcher takes in a half of it."""
    marked = table.replace_schema_metadata({METADATA_KEY: source.encode()})
    part = path.with_name(f".{path.name}.part")
    pq.write_table(marked, part, compression="zstd", compression_level=9)
    os.replace(part, path)


def small_table(simulation: Simulation, name: str) -> pa.Table:
    """One of `SMALL_TABLES`."""
    table: pa.Table = {
        "sites": simulation.sites,
        "capacity": simulation.capacity,
        "events": simulation.events,
        "links": simulation.links,
    }[name]
    return table


def ledger_row(source: str, rows: int, first: datetime | None, last: datetime | None) -> pa.Table:
    """The ledger's row of what the simulator wrote; the source names the content, so its hash stands for it."""
    row = {
        "sha256": hashlib.sha256(source.encode()).hexdigest(),
        "source": source,
        "table": "telemetry",
        "ingested_at": datetime.now(UTC),
        "state": "accepted",
        "rows": rows,
        "rows_accepted": rows,
        "rows_quarantined": 0,
        "first_ts": first,
        "last_ts": last,
    }
    return pa.Table.from_pylist([row], schema=TABLES["snapshots"].schema)


@dataclass
class _Harvest:
    """What the days held beside telemetry, by day, so that a day made twice counts once."""

    flows: dict[int, pa.Table] = field(default_factory=dict)
    labels: dict[int, list[Incident]] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    spans: dict[int, tuple[datetime | None, datetime | None]] = field(default_factory=dict)

    def keep(self, day: Day) -> None:
        self.flows[day.day], self.labels[day.day] = day.flows, day.labels
        self.rows[day.day], self.spans[day.day] = day.telemetry.num_rows, span_of(day.telemetry)

    @property
    def total(self) -> int:
        return sum(self.rows.values())

    @property
    def span(self) -> tuple[datetime | None, datetime | None]:
        stamps = [stamp for span in self.spans.values() for stamp in span if stamp is not None]
        return min(stamps, default=None), max(stamps, default=None)


def span_of(telemetry: pa.Table) -> tuple[datetime | None, datetime | None]:
    """The earliest and the latest stamp; None where there are no rows."""
    found = pc.min_max(telemetry["ts"]).as_py()
    return found["min"], found["max"]


def _write_telemetry(simulation: Simulation, lake: Lake, progress: Progress) -> _Harvest:
    """Stream the days into the lake: the first commit replaces what was there, the next ones append."""
    harvest, days = _Harvest(), simulation.day_numbers
    a_commit = max(1, COMMIT_SITE_DAYS // simulation.plan.sites)
    for first in range(0, len(days), a_commit):
        piece = days[first : first + a_commit]
        # A commit that loses to another writer is made anew, and so is its stream.
        lake.commit("telemetry", partial(_change, simulation, piece, harvest, progress))
    return harvest


def _change(simulation: Simulation, piece: range, harvest: _Harvest, progress: Progress, _: object) -> Change:
    reader = pa.RecordBatchReader.from_batches(
        stored_schema(TABLES["telemetry"]), _batches(simulation, piece, harvest, progress)
    )
    return Change(reader, whole=piece[0] == simulation.day_numbers[0])


def _batches(simulation: Simulation, piece: range, harvest: _Harvest, progress: Progress) -> Iterator[pa.RecordBatch]:
    for day in simulation.days(piece):
        harvest.keep(day)
        progress("days", len(harvest.rows), len(simulation.day_numbers))
        yield from stored(TABLES["telemetry"], day.telemetry).to_batches()
