"""Where a simulation goes: into a lake, into a folder of Parquet snapshots, into small samples, and live, tick by tick."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.lake.maintenance import maintain_if_due
from data.lake.rollups import refresh_rollups
from data.lake.tables import Change, Lake, stored, stored_schema
from data.schema import TABLES
from data.schema.errors import SettingError
from data.simulator.incidents import Incident
from data.simulator.options import (
    DAY_MINUTES,
    TICK_MINUTES,
    SimulationOptions,
    floor_to_tick,
    minutes,
    moment,
    options_of_source,
)
from data.simulator.simulation import CUT_SECONDS, Day, Simulation, simulate

# A lake or a folder --------------------------------------------------------------------------------------------------

ProgressReport = Callable[[str, int, int], None]
"""Told what is being done, how many of its steps are done, and how many there are."""

SMALL_TABLES = ("sites", "capacity", "events", "links")
# Key of the mark in the files' own metadata: a snapshot says that it is simulated wherever it is carried.
METADATA_KEY = b"source"
# Site-days of one commit: an ordinary demo is one, and one commit is all or nothing; a huge one is cut, because the
# writer holds its days in memory.
COMMIT_SITE_DAYS = 20_000


def write_lake(simulation: Simulation, lake: Lake, progress: ProgressReport) -> int:
    """Make the lake hold this simulation and nothing else of its tables, with rollups; returns the rows of
    telemetry.
    """
    for name in SMALL_TABLES:
        lake.replace(name, small_table(simulation, name))
    harvest = _write_telemetry(simulation, lake, progress)
    lake.replace("flows", pa.concat_tables(harvest.flows.values()))
    lake.replace("simulated_incidents", simulation.truth(chain.from_iterable(harvest.labels.values())))
    lake.replace("snapshots", ledger_row(simulation.options.source, harvest.total, *harvest.span))
    refresh_rollups(lake, progress=lambda done, total: progress("rollups", done, total))
    return harvest.total


def write_folder(simulation: Simulation, folder: Path, progress: ProgressReport) -> int:
    """Write a snapshot of each small table, and one of telemetry and flows a day; returns the rows of telemetry."""
    folder.mkdir(parents=True, exist_ok=True)
    source, rows = simulation.options.source, 0
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
    bounds = pc.min_max(telemetry["ts"]).as_py()
    return bounds["min"], bounds["max"]


def _write_telemetry(simulation: Simulation, lake: Lake, progress: ProgressReport) -> _Harvest:
    """Stream the days into the lake: the first commit replaces what was there, the next ones append."""
    harvest, days = _Harvest(), simulation.day_numbers
    a_commit = max(1, COMMIT_SITE_DAYS // simulation.options.sites)
    for first in range(0, len(days), a_commit):
        piece = days[first : first + a_commit]
        # A commit that loses to another writer is made anew, and so is its stream.
        lake.commit("telemetry", partial(_change, simulation, piece, harvest, progress))
    return harvest


def _change(simulation: Simulation, piece: range, harvest: _Harvest, progress: ProgressReport, _: object) -> Change:
    reader = pa.RecordBatchReader.from_batches(
        stored_schema(TABLES["telemetry"]), _batches(simulation, piece, harvest, progress)
    )
    return Change(reader, whole=piece[0] == simulation.day_numbers[0])


def _batches(
    simulation: Simulation, piece: range, harvest: _Harvest, progress: ProgressReport
) -> Iterator[pa.RecordBatch]:
    for day in simulation.days(piece):
        harvest.keep(day)
        progress("days", len(harvest.rows), len(simulation.day_numbers))
        yield from stored(TABLES["telemetry"], day.telemetry).to_batches()


# Samples: one small snapshot of each input table (data/samples) ------------------------------------------------------

# Two days of six sites. With this seed and this rate every kind of incident strikes at least once.
SAMPLE_OPTIONS = SimulationOptions(end=datetime(2026, 5, 4, tzinfo=UTC), sites=6, days=2, seed=132, incident_rate=6.0)


def sample_tables() -> dict[str, pa.Table]:
    """The sample of each input table, by name."""
    simulation = simulate(SAMPLE_OPTIONS)
    days = list(simulation.days())
    large = {
        "telemetry": pa.concat_tables(day.telemetry for day in days),
        "flows": pa.concat_tables(day.flows for day in days),
    }
    return {name: small_table(simulation, name) for name in SMALL_TABLES} | large


def write_samples(folder: Path) -> list[Path]:
    """Write {table}.parquet for each; the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in sample_tables().items():
        path = folder / f"{name}.parquet"
        write_snapshot(table, path, SAMPLE_OPTIONS.source)
        written.append(path)
    return written


# Live: each tick appends what has arrived since the last one ---------------------------------------------------------


class Outlet(Protocol):
    """Destination of ticks."""

    def put(self, simulation: Simulation, since: int, until: int) -> int:
        """Write what arrived between two cuts (minutes since 1970); returns the rows of telemetry."""
        ...


@dataclass(frozen=True, slots=True)
class LakeOutlet:
    """Appends to a lake, brings its rollups up to date, and keeps it small."""

    lake: Lake

    def put(self, simulation: Simulation, since: int, until: int) -> int:
        telemetry, source = simulation.received(since, until), _source(simulation.options, until)
        for name, rows in (("telemetry", telemetry), ("flows", simulation.flows_between(since, until))):
            # The mark goes in with the rows: a run that was killed before it wrote the ledger does not append them
            # again.
            if rows.num_rows and not self.lake.marked(name, source):
                self.lake.append(name, rows, marks=[source])
        self._announce(simulation.until(until).events)
        self.lake.append("snapshots", ledger_row(source, telemetry.num_rows, *span_of(telemetry)))
        refresh_rollups(self.lake)
        maintain_if_due(self.lake)
        return int(telemetry.num_rows)

    def _announce(self, events: pa.Table) -> None:
        """Add the events that the lake does not have yet."""
        stored_ids = self.lake.read("events")["event_id"]
        fresh = events.filter(pc.invert(pc.is_in(events["event_id"], value_set=pc.unique(stored_ids))))
        if fresh.num_rows:
            self.lake.append("events", fresh)


@dataclass(frozen=True, slots=True)
class FolderOutlet:
    """Writes Parquet snapshots into a folder, for instance an inbox that `python -m data watch` polls."""

    folder: Path

    def put(self, simulation: Simulation, since: int, until: int) -> int:
        telemetry, source = simulation.received(since, until), _source(simulation.options, until)
        tables = {
            "telemetry": telemetry,
            "flows": simulation.flows_between(since, until),
            "events": simulation.until(until).events,
        }
        for name, table in tables.items():
            if table.num_rows:
                write_snapshot(table, self.folder / f"{name}-{moment(until):%Y-%m-%dT%H%M}.parquet", source)
        return int(telemetry.num_rows)


@dataclass(frozen=True, slots=True)
class TickPace:
    """When ticks come: as time passes, or (with a pause) one interval after another; `ticks` ends the run, else Ctrl-C
    does.
    """

    ticks: int | None = None
    pause_seconds: float | None = None

    def due(self, since: int) -> int:
        """The newest interval's end that may be shown now, in minutes since 1970; at least one interval on where a
        pause sets the pace.
        """
        if self.pause_seconds is not None:
            return since + TICK_MINUTES
        return minutes(floor_to_tick(datetime.now(UTC) - timedelta(seconds=CUT_SECONDS)))

    def wait(self, since: int) -> None:
        """Sleep until the next interval is due."""
        if self.pause_seconds is not None:
            time.sleep(self.pause_seconds)
            return
        due = moment(since + TICK_MINUTES) + timedelta(seconds=CUT_SECONDS)
        time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))


def run_live(simulation: Simulation, outlet: Outlet, pace: TickPace, report: Callable[[datetime, int], None]) -> int:
    """Tick until the pace's ticks are spent or Ctrl-C; returns how many ticks were written.

    A run that was away catches up with one larger tick. `report` is told the end of each tick and its rows.
    """
    since, done = simulation.last, 0
    try:
        while pace.ticks is None or done < pace.ticks:
            until = pace.due(since)
            if until > since:
                report(moment(until), outlet.put(simulation, since, until))
                since, done = until, done + 1
            if pace.ticks is None or done < pace.ticks:
                pace.wait(since)
    except KeyboardInterrupt:
        pass
    return done


def resume_simulation(lake: Lake) -> Simulation | None:
    """The simulation that a lake holds, up to its newest tick; None where the ledger names none."""
    simulated = []
    for source in lake.read("snapshots")["source"].to_pylist():
        with suppress(SettingError):  # the ledger of a real lake names other producers
            simulated.append(options_of_source(source))
    return Simulation(max(simulated, key=lambda options: options.end)) if simulated else None


def _source(options: SimulationOptions, until: int) -> str:
    """The ledger's name of a tick: the options, ended later on the same anchor."""
    return replace(options, end=moment(until), anchor=options.anchored).source
