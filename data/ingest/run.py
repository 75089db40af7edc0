"""Taking snapshots in, exactly once each: many small ones in one commit, their marks with them.

The rows of a snapshot and its mark become part of the lake in one commit. The ledger follows, and the hourly and daily
figures after it; where a run ends between them, the next one does what is left.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from data.ingest import ledger
from data.ingest.check import Checked, Known, check, table_for
from data.ingest.detect_table import table_of
from data.ingest.outcome import Outcome, of_checked
from data.ingest.quarantine import Quarantine, Subject, rows_of
from data.ingest.reading import Reading
from data.ingest.snapshot import RefusedError, column_names
from data.ingest.sources import STORE_FAULTS, Source, content, opened, remove
from data.ingest.upsert import upsert
from data.lake.tables import Lake
from data.schema import TABLES
from data.schema.errors import SnapshotError
from data.schema.validation import Fault

# Rows that go into one commit, a few hundred megabytes. Each commit writes the dates that it touches anew, so larger is
# faster.
BATCH_ROWS = 2_000_000
# What others name comes first, so that a folder that holds everything can be taken in at once.
ORDER = ("sites", "capacity", "links", "events", "telemetry", "flows", ledger.UNKNOWN)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Task:
    """One snapshot to be read in one way for one table; `table` is "unknown" where its columns do not tell."""

    source: Source
    reading: Reading
    table: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A snapshot on its way: what will have become of it, its rows, and its mark in the table."""

    outcome: Outcome
    rows: pa.Table | None = None
    mark: str = ""


def plan(sources: Iterable[Source], readings: Callable[[Source], Sequence[Reading]]) -> list[Task]:
    """What to do with each source, in the order in which to do it: tables that others name first, and else as found."""
    tasks = [Task(source, reading, _guessed(source, reading)) for source in sources for reading in readings(source)]
    return sorted(tasks, key=lambda task: ORDER.index(task.table))


def _guessed(source: Source, reading: Reading) -> str:
    """The table that a snapshot is for, by a glance at its columns; what is wrong with it comes out when it is read."""
    try:
        with opened(source) as file:
            return table_of(source, column_names(file, source.name), reading).name
    except (SnapshotError, *STORE_FAULTS):
        return reading.table or ledger.UNKNOWN


class TakeIn:
    """One run of ingest into one lake.

    `move` takes snapshots that are refused whole out of their place, as an inbox needs; else they are copied to the
    quarantine.
    """

    def __init__(self, lake: Lake, *, now: datetime | None = None, move: bool = False) -> None:
        self._lake, self._move = lake, move
        self._now = now or datetime.now(UTC)
        self._quarantine = Quarantine(lake.url)
        self._ledger = ledger.Ledger(lake)
        self._refusals: list[dict[str, object]] = []
        self._marks: set[str] = set()

    def run(self, tasks: Sequence[Task], progress: Progress | None = None) -> Iterator[Outcome]:
        """Take the snapshots in, yielding what became of each once that is certain."""
        began, done, total = time.monotonic(), 0, sum(task.source.size for task in tasks)
        for _, group in itertools.groupby(tasks, key=lambda task: task.table):
            known, batch = Known.of(self._lake), list[Piece]()
            for task in group:
                batch.append(self._piece(task, known))
                done += task.source.size
                if progress is not None:
                    progress(done, total, task.source.name)
                if sum(piece.outcome.accepted for piece in batch) >= BATCH_ROWS:
                    yield from self._settled(batch)
                    batch = []
            yield from self._settled(batch)
        # For whoever asks how long ingest takes: this process will be gone by then.
        self._lake.write_note(
            "ingest",
            {"ended": datetime.now(UTC).isoformat(), "seconds": time.monotonic() - began, "snapshots": len(tasks)},
        )

    def _piece(self, task: Task, known: Known) -> Piece:
        """Read one snapshot, unless it was taken in before."""
        try:
            data = content(task.source)
        except SnapshotError as error:
            return Piece(Outcome(task.source, task.table, "unreadable", trouble=str(error)))
        sha256 = hashlib.sha256(data).hexdigest()
        subject = Subject(task.source.url, task.source.name, sha256, task.table)
        try:
            table = table_for(data, task.source, task.reading)
            subject = replace(subject, table=table.name)
            mark = ":".join(filter(None, (sha256, table.name, task.reading.digest)))
            if mark in self._marks or self._ledger.done(sha256, table.name, mark):
                return Piece(Outcome(task.source, table.name, "known", sha256))
            return self._sorted_out(
                task, subject, data, check(data, task.source, table, task.reading, known, self._now), mark
            )
        except RefusedError as error:
            return self._refused(
                subject, data, Outcome(task.source, subject.table, "refused", sha256, faults=error.faults)
            )

    def _refused(self, subject: Subject, data: bytes, outcome: Outcome) -> Piece:
        """Keep a whole snapshot in the quarantine."""
        kept = self._kept(subject, self._quarantine.keep_file(subject, data, outcome.faults, self._now), outcome.faults)
        return Piece(replace(outcome, kept_at=(kept,)))

    def _sorted_out(self, task: Task, subject: Subject, data: bytes, checked: Checked, mark: str) -> Piece:
        """Keep what is refused of a snapshot in the quarantine; the rest is on its way."""
        outcome = of_checked(task.source, subject.sha256, checked)
        if outcome.state == "refused":
            return self._refused(subject, data, outcome)
        self._marks.add(mark)
        places = [
            self._kept(
                subject,
                self._quarantine.keep_rows(subject, refusal.stage, refusal.rows, refusal.faults, self._now),
                refusal.faults,
            )
            for refusal in checked.refusals
        ]
        return Piece(replace(outcome, kept_at=tuple(places)), checked.good, mark)

    def _kept(self, subject: Subject, place: str, faults: Sequence[Fault]) -> str:
        """Note for the table `quarantine` what lies at a place."""
        self._refusals += rows_of(subject, place, faults, self._now)
        return place

    def _settled(self, batch: Sequence[Piece]) -> list[Outcome]:
        """Commit a batch, then write it down."""
        outcomes = [piece.outcome for piece in batch]
        fresh = [outcome for outcome in outcomes if outcome.sha256 and outcome.state != "known"]
        for name in dict.fromkeys(outcome.table for outcome in fresh):
            rows = {
                piece.mark: piece.rows
                for piece in batch
                if piece.outcome.table == name and piece.rows is not None and piece.rows.num_rows
            }
            if rows:
                upsert(self._lake, TABLES[name], rows)
        if fresh:
            refusals, self._refusals = self._refusals, []
            ledger.write(
                self._lake,
                [outcome.entry(self._now) for outcome in fresh],
                refusals,
                [outcome.source.url for outcome in fresh if outcome.accepted],
            )
        for outcome in fresh:
            if self._move and outcome.state == "refused":
                remove(outcome.source)
        return outcomes
