"""Keep a lake small that grows by ticks: compaction of small files, and removal of superseded ones.

`python -m benchmarks.growth` measures it: a day of 288 ticks of 500 sites costs 5.6 MB, 2.5 times its telemetry as the
lake stores it, and 8.6 MB at its worst, before the superseded files of an hour go. Of a tick's 19 kB, 5 kB are log
entries that go after `LIVE_LOG`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
from deltalake import DeltaTable

from data.lake.object_store import store_faults
from data.lake.rollups import SOURCES
from data.lake.tables import (
    DAY,
    GROWN_BY_TICKS,
    SAFE_RETENTION,
    Change,
    Lake,
    Span,
    TableState,
    commit_attempts,
    table_properties,
    writer_properties,
)
from data.schema import TABLES, Table
from data.schema.errors import LakeError

NOTE = "maintenance"
# An hour of ticks: the small files of one are quick to read, and one commit of compaction for twelve costs little.
COMMITS_BETWEEN = 12
# Superseded files of tables that grow by ticks go after an hour: pages look for new versions every few seconds, and a
# refresh reads all that it needs in its first minutes. Each tick rewrites the hour and the day that it falls into: kept
# for a week, that alone would be fifteen times the telemetry.
LIVE_RETENTION = timedelta(hours=1)
HOUR = timedelta(hours=1)
# Files of the newest date are merged up to this size, an hour of 500 sites, so that a sample is rewritten once before
# its date is over and not every hour.
CHUNK_BYTES = 128 << 10
# Late samples come for days; a month's file is not rewritten for each of them.
LATE = timedelta(days=2)
# How many files a part of a table may hold before it is compacted.
SMALL_FILES, PAST_DATE_FILES, TODAY_FILES, PAST_DAY_FILES, MONTH_FILES, PAST_MONTH_FILES = 12, 4, 6, 2, 8, 3


class _File(NamedTuple):
    """A data file of a table: partition value, bytes, least and greatest ts."""

    partition: str | None
    size: int
    first: datetime | None
    last: datetime | None


def maintain_if_due(lake: Lake) -> bool:
    """Compact and vacuum the tables that grow by ticks once enough were committed; returns whether it was done.

    Whoever writes ticks calls it after each; a note in the lake says when it was last done, by whichever process.
    """
    version = lake.version("telemetry")
    seen = (lake.read_note(NOTE) or {}).get("telemetry_version")
    if version is None or (isinstance(seen, int) and 0 <= version - seen < COMMITS_BETWEEN):
        return False
    compact(lake)
    vacuum(lake, LIVE_RETENTION)
    lake.write_note(NOTE, {"telemetry_version": lake.version("telemetry"), "ended": datetime.now(UTC).isoformat()})
    return True


def maintain(lake: Lake, retention: timedelta = SAFE_RETENTION) -> dict[str, dict[str, int]]:
    """Compact every table, then delete the files that no version younger than `retention` needs. Returns counts by
    table.
    """
    if retention < SAFE_RETENTION:
        raise LakeError(
            f"A retention of {retention} is shorter than the safe {SAFE_RETENTION}.",
            cause="a page or a refresh may still read an older version",
            remedy=f"use {SAFE_RETENTION.days} days or more",
        )
    counts = {}
    for name in TABLES:
        if lake.version(name) is not None:
            compacted = _compact_rollup(lake, name) if name in SOURCES else _optimize(lake, name)
            counts[name] = {"files_compacted": compacted, "files_vacuumed": _vacuum(lake, name, retention, full=True)}
    return counts


def compact(lake: Lake) -> int:
    """Merge the small files of the tables that grow by ticks; returns how many files were replaced."""
    names = [name for name in GROWN_BY_TICKS if lake.version(name) is not None]
    return sum(_compact_rollup(lake, name) if name in SOURCES else _compact_raw(lake, name) for name in names)


def vacuum(lake: Lake, retention: timedelta, names: Iterable[str] = GROWN_BY_TICKS) -> int:
    """Delete the files of tables that no version younger than `retention` needs; returns how many."""
    return sum(_vacuum(lake, name, retention) for name in names if lake.version(name) is not None)


# Raw samples and ledgers
# ----------------------------------------------------------------------------------------------------------------


def _compact_raw(lake: Lake, name: str) -> int:
    """Merge the small files of each partition: those of the newest into chunks, those of older ones into one."""
    files = _files(lake, name)
    newest = max((file.partition or "" for file in files), default="")
    replaced = 0
    for partition in sorted({file.partition or "" for file in files}):
        sizes = [file.size for file in files if (file.partition or "") == partition]
        if partition == newest and sum(size < CHUNK_BYTES for size in sizes) >= SMALL_FILES:
            replaced += _optimize(lake, name, partition, CHUNK_BYTES)
        elif partition != newest and len(sizes) > PAST_DATE_FILES:
            replaced += _optimize(lake, name, partition)
    return replaced


def _optimize(lake: Lake, name: str, partition: str = "", target_bytes: int | None = None) -> int:
    """Delta's own compaction, of one partition or all; returns how many files it replaced."""
    filters = [(TABLES[name].partition, "=", partition)] if partition else None
    for attempt in commit_attempts():
        with attempt, store_faults(lake.url):
            table = _opened(lake, name)
            metrics = table.optimize.compact(
                partition_filters=filters, target_size=target_bytes, writer_properties=writer_properties(TABLES[name])
            )
    return int(metrics["numFilesRemoved"])


# Rollups
# ----------------------------------------------------------------------------------------------------------------


def _compact_rollup(lake: Lake, name: str) -> int:
    """Merge the files of hours that are over, of days that are over and of months, in the order in which readers want
    the rows; returns how many files were replaced.

    A file that a tick will rewrite is merged with no other: Delta would rewrite both.
    """
    files, contract, replaced = _files(lake, name), TABLES[name], 0
    newest = max((file.last for file in files if file.last is not None), default=None)
    for span, limit in _parts(files, newest, by_month=contract.partition == "month") if newest is not None else ():
        inside = [file for file in files if file.first and file.last and span[0] <= file.first and file.last < span[1]]
        if len(inside) > limit:
            lake.commit(name, lambda table, span=span: _sorted_anew(table, contract, span))  # type: ignore[misc]
            replaced += len(inside)
    return replaced


def _parts(files: Iterable[_File], newest: datetime, *, by_month: bool) -> Iterator[tuple[Span, int]]:
    """Spans of a rollup to be one file each, and how many files they may grow to before they are."""
    today, hour = newest.replace(hour=0, minute=0, second=0), newest.replace(minute=0, second=0)
    starts = [file.first for file in files if file.first is not None]
    if not by_month:
        yield (min(starts), today), MONTH_FILES
        return
    yield (today, hour), TODAY_FILES
    for day in (today - DAY, today - 2 * DAY):
        yield (day, day + DAY), PAST_DAY_FILES
    for month in sorted({start.replace(day=1, hour=0) for start in starts}):
        end, settled = (month + 32 * DAY).replace(day=1), today - LATE
        if month < settled:
            yield (month, min(end, settled)), MONTH_FILES if settled < end else PAST_MONTH_FILES


def _sorted_anew(table: TableState, contract: Table, span: Span) -> Change:
    """The rows of a span, sorted by series and time, in the place of its files."""
    rows = table.rows(spans=[span])
    return Change(rows.sort_by([(column, "ascending") for column in contract.key]), spans=[span])


# Files
# ----------------------------------------------------------------------------------------------------------------


def _files(lake: Lake, name: str) -> list[_File]:
    """The files of a table's newest version, from its log alone."""
    actions = pa.table(_opened(lake, name).get_add_actions(flatten=True))
    nothing = [None] * actions.num_rows

    def column(title: str) -> list[Any]:
        return actions[title].to_pylist() if title in actions.column_names else nothing

    partitions = [None if value is None else str(value) for value in column(f"partition.{TABLES[name].partition}")]
    return [
        _File(*values)
        for values in zip(partitions, column("size_bytes"), column("min.ts"), column("max.ts"), strict=True)
    ]


def _vacuum(lake: Lake, name: str, retention: timedelta, *, full: bool = False) -> int:
    """Delete the superseded files of a table, and the entries of its log that no version of the last week needs; with
    `full` also the files of commits that were never made, as by a process that was killed. Returns how many files.
    """
    table = _opened(lake, name)
    properties = table_properties(TABLES[name])
    with store_faults(lake.url):
        if not properties.items() <= table.metadata().configuration.items():  # a lake of an older release
            table.alter.set_table_properties(properties)
        removed = table.vacuum(
            retention_hours=int(retention / HOUR), dry_run=False, enforce_retention_duration=False, full=full
        )
        if full:
            table.create_checkpoint()
        table.cleanup_metadata()
    return len(removed)


def _opened(lake: Lake, name: str) -> DeltaTable:
    table = lake.open(name)
    if table is None:
        raise LakeError(f"Table {name!r} of the lake {lake.url} is gone.", cause="another process removed the lake")
    return table
