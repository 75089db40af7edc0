"""One run of ingest: snapshots into the lake, exactly once each, many small ones in one commit; or a dry run.

The rows of a snapshot and its mark become part of the lake in one commit: new rows beside the old, corrected ones in
their place. The ledger follows, and the hourly and daily
figures after it; where a run ends between them, the next one does what is left.
"""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.check import CheckedSnapshot, KnownPlaces, check_snapshot, merge_rows
from data.ingest.column_mapping import ReadOptions, detect_table
from data.ingest.file_reader import RefusedError, column_names, file_refusal
from data.ingest.ledger import (
    UNKNOWN,
    Content,
    Ledger,
    Outcome,
    Quarantine,
    outcome_of,
    quarantine_rows,
    write_ledger,
)
from data.ingest.sources import STORE_FAULTS, Source, delete_source, open_source, read_bytes
from data.lake.tables import Change, Lake, TableState
from data.schema import TABLES, Table
from data.schema.errors import SnapshotError
from data.schema.validation import excerpt

# Rows that go into one commit, a few hundred megabytes. Each commit writes the dates that it touches anew, so larger is
# faster.
BATCH_ROWS = 2_000_000
# What others name comes first, so that a folder that holds everything can be taken in at once.
ORDER = ("sites", "capacity", "links", "events", "telemetry", "flows", UNKNOWN)

# What no part of reading should raise, and what must not end a run or a watch if one does: a file never decides for others.
UNFORESEEN = (
    *(ArithmeticError, AssertionError, AttributeError, BufferError, LookupError, MemoryError, RuntimeError, TypeError),
    *(ValueError, pa.ArrowException),
)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class IngestTask:
    """One snapshot to be read in one way for one table; `table` is "unknown" where its columns do not tell."""

    source: Source
    options: ReadOptions
    table: str


@dataclass(frozen=True, slots=True)
class PendingSnapshot:
    """A snapshot on its way: what will have become of it, its rows, and its mark in the table."""

    outcome: Outcome
    rows: pa.Table | None = None
    mark: str = ""


def plan_tasks(sources: Iterable[Source], options_of: Callable[[Source], Sequence[ReadOptions]]) -> list[IngestTask]:
    """Tasks for each source, in the order in which to do it: tables that others name first, and else as found."""
    tasks = [
        IngestTask(source, options, _likely_table(source, options))
        for source in sources
        for options in options_of(source)
    ]
    return sorted(tasks, key=lambda task: ORDER.index(task.table))


@contextmanager
def _unforeseen_refuses() -> Iterator[None]:
    """Turn a fault of this program that a file brings out into the refusal of that file."""
    try:
        yield
    except UNFORESEEN as error:
        raise file_refusal(
            f"{type(error).__name__}: {excerpt(' '.join(str(error).split()))}",
            "a file that can be read",
            "a fault of this program, which this file brings out",
            "report it together with the file; nothing else depends on it",
        ) from error


def _likely_table(source: Source, options: ReadOptions) -> str:
    """The table that a snapshot is for, by a glance at its columns; what is wrong with it comes out when it is read."""
    try:
        with open_source(source) as file, _unforeseen_refuses():
            return detect_table(source, column_names(file, options.encoding, source.partitions), options).name
    except (SnapshotError, *STORE_FAULTS):
        return options.table or UNKNOWN


class IngestRun:
    """One run of ingest into one lake.

    `move` takes snapshots that are refused whole out of their place, as an inbox needs; else they are copied to the
    quarantine.
    """

    def __init__(self, lake: Lake, *, now: datetime | None = None, move: bool = False) -> None:
        self._lake, self._move = lake, move
        self._now = now or datetime.now(UTC)
        self._quarantine = Quarantine(lake.url)
        self._ledger = Ledger(lake)
        self._refusals: list[dict[str, object]] = []
        self._marks: set[str] = set()

    def run(self, tasks: Sequence[IngestTask], progress: Progress | None = None) -> Iterator[Outcome]:
        """Take the snapshots in, yielding what became of each once that is certain."""
        began, done, total = time.monotonic(), 0, sum(task.source.size for task in tasks)
        for _, group in itertools.groupby(tasks, key=lambda task: task.table):
            places, batch = KnownPlaces.of(self._lake), list[PendingSnapshot]()
            for task in group:
                batch.append(self._read(task, places))
                done += task.source.size
                if progress is not None:
                    progress(done, total, task.source.name)
                if sum(pending.outcome.accepted for pending in batch) >= BATCH_ROWS:
                    yield from self._commit(batch)
                    batch = []
            yield from self._commit(batch)
        # For whoever asks how long ingest takes: this process will be gone by then.
        self._lake.write_note(
            "ingest",
            {"ended": datetime.now(UTC).isoformat(), "seconds": time.monotonic() - began, "snapshots": len(tasks)},
        )

    def _read(self, task: IngestTask, places: KnownPlaces) -> PendingSnapshot:
        """Read and check one snapshot, unless it was taken in before; what is refused goes to the quarantine."""
        source, options = task.source, task.options
        try:
            data = read_bytes(source)
        except SnapshotError as error:
            return PendingSnapshot(Outcome(source, task.table, "unreadable", error=str(error)))
        content = Content(source.address, source.name, source.digest(data), task.table)
        try:
            with _unforeseen_refuses():
                names = column_names(io.BytesIO(data), options.encoding, source.partitions)
                table = detect_table(source, names, options)
                content = replace(content, table=table.name)
                mark = ":".join(filter(None, (content.sha256, table.name, options.digest)))
                if mark in self._marks or self._ledger.done(content.sha256, table.name, mark):
                    return PendingSnapshot(Outcome(source, table.name, "known", content.sha256))
                checked = check_snapshot(data, source, table, options, places, self._now)
        except RefusedError as error:
            refused = Outcome(source, content.table, "refused", content.sha256, faults=error.faults)
            return self._keep_file(content, data, refused)
        outcome = outcome_of(source, content.sha256, checked)
        if outcome.state == "refused":
            return self._keep_file(content, data, outcome)
        self._marks.add(mark)
        return PendingSnapshot(replace(outcome, kept_at=self._keep_rows(content, checked)), checked.good, mark)

    def _keep_file(self, content: Content, data: bytes, outcome: Outcome) -> PendingSnapshot:
        """Keep a whole snapshot in the quarantine."""
        kept_at = self._quarantine.keep_file(content, data, outcome.faults, self._now)
        self._refusals += quarantine_rows(content, kept_at, outcome.faults, self._now)
        return PendingSnapshot(replace(outcome, kept_at=(kept_at,)))

    def _keep_rows(self, content: Content, checked: CheckedSnapshot) -> tuple[str, ...]:
        """Keep the refused rows of a snapshot in the quarantine; returns where, stage by stage."""
        places = []
        for refusal in checked.refusals:
            kept_at = self._quarantine.keep_rows(content, refusal.stage, refusal.rows, refusal.faults, self._now)
            self._refusals += quarantine_rows(content, kept_at, refusal.faults, self._now)
            places.append(kept_at)
        return tuple(places)

    def _commit(self, batch: Sequence[PendingSnapshot]) -> list[Outcome]:
        """Commit the rows of a batch, table by table, then write the ledger."""
        outcomes = [pending.outcome for pending in batch]
        fresh = [outcome for outcome in outcomes if outcome.sha256 and outcome.state != "known"]
        for name in dict.fromkeys(outcome.table for outcome in fresh):
            rows = {
                pending.mark: pending.rows
                for pending in batch
                if pending.outcome.table == name and pending.rows is not None and pending.rows.num_rows
            }
            if rows:
                upsert(self._lake, TABLES[name], rows)
        if fresh:
            refusals, self._refusals = self._refusals, []
            write_ledger(
                self._lake,
                [outcome.ledger_row(self._now) for outcome in fresh],
                refusals,
                [outcome.source.address for outcome in fresh if outcome.accepted],
            )
        for outcome in fresh:
            if self._move and outcome.state == "refused":
                delete_source(outcome.source)
        return outcomes


# The same without writing --------------------------------------------------------------------------------------------


def dry_run(
    lake: Lake, tasks: Sequence[IngestTask], progress: Progress | None = None, *, now: datetime | None = None
) -> Iterator[Outcome]:
    """Check the snapshots against the contract and against each other: sites among them are known to those that follow.

    Where neither the lake nor the snapshots name any site, unknown ones are not looked for. Snapshots that were taken
    in before are checked again.
    """
    places = KnownPlaces.of(lake)
    done, total = 0, sum(task.source.size for task in tasks)
    for task in tasks:
        outcome, rows = _check_only(task, places if places.sites else None, now or datetime.now(UTC))
        if outcome.table == "sites" and rows is not None:
            places |= KnownPlaces.among(rows)
        done += task.source.size
        if progress is not None:
            progress(done, total, task.source.name)
        yield outcome


def _check_only(task: IngestTask, places: KnownPlaces | None, now: datetime) -> tuple[Outcome, pa.Table | None]:
    """The outcome that one snapshot would have, and its rows."""
    source = task.source
    try:
        data = read_bytes(source)
    except SnapshotError as error:
        return Outcome(source, task.table, "unreadable", error=str(error)), None
    sha256 = source.digest(data)
    try:
        with _unforeseen_refuses():
            names = column_names(io.BytesIO(data), task.options.encoding, source.partitions)
            table = detect_table(source, names, task.options)
            checked = check_snapshot(data, source, table, task.options, places, now)
    except RefusedError as error:
        return Outcome(source, task.table, "refused", sha256, faults=error.faults), None
    return outcome_of(source, sha256, checked), checked.good


def upsert(lake: Lake, contract: Table, snapshots: Mapping[str, pa.Table]) -> int:
    """Take the rows of snapshots, by mark, into a table in one commit; returns its version.

    A snapshot whose mark the table has is left out, also where another process committed it a moment ago. Of rows with
    the same key the one received last stays, and of those received together the one that comes last in `snapshots`.
    """

    def make(table: TableState) -> Change | None:
        fresh = {mark: rows for mark, rows in snapshots.items() if not table.has_mark(mark)}
        if not fresh:
            return None
        rows, marks = pa.concat_tables(fresh.values()), list(fresh)
        if contract.partition != "date":
            return Change(_merged(contract, table.rows(), rows), whole=True, marks=marks)
        dates = _dates(rows)
        # Two appends do not conflict by themselves; a mark of each date makes the second one look again for its keys.
        marks += [f"rows:{day}" for day in dates]
        if _holds_any(table, contract, dates, rows):
            return Change(_merged(contract, table.rows(dates=dates), rows), dates=dates, marks=marks)
        # Nothing to correct, as in most snapshots: a tick of 48 rows does not rewrite its date of 13,824.
        return Change(_merged(contract, rows.slice(0, 0), rows), marks=marks)

    return lake.commit(contract.name, make)


def _merged(contract: Table, stored: pa.Table, rows: pa.Table) -> pa.Table:
    """The rows of the table with the new ones, in one piece: the writer takes the pieces of a table in whatever order
    it likes.
    """
    return merge_rows(contract, stored, rows).combine_chunks()


def _dates(rows: pa.Table) -> list[date]:
    return sorted(pc.unique(rows["ts"].cast(pa.date32())).to_pylist())


def _holds_any(table: TableState, contract: Table, dates: Sequence[date], rows: pa.Table) -> bool:
    """Whether the table holds a row with the key of one of these."""
    key, stamps = list(contract.key), pc.min_max(rows["ts"]).as_py()
    span = stamps["min"], stamps["max"] + timedelta(microseconds=1)
    keys = table.rows(columns=key, dates=dates, spans=[span])
    return bool(keys.join(rows.select(key), key, join_type="left semi").num_rows)
