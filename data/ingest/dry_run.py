"""What ingest would do with snapshots, without writing anything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from data.ingest.check import Known, check, table_for
from data.ingest.outcome import Outcome, of_checked
from data.ingest.run import Progress, Task
from data.ingest.snapshot import RefusedError
from data.ingest.sources import content
from data.lake.tables import Lake
from data.schema.errors import SnapshotError


def dry_run(
    lake: Lake, tasks: Sequence[Task], progress: Progress | None = None, *, now: datetime | None = None
) -> Iterator[Outcome]:
    """Check the snapshots against the contract and against each other: sites among them are known to those that follow.

    Where neither the lake nor the snapshots name any site, unknown ones are not looked for. Snapshots that were taken
    in before are checked again.
    """
    known = Known.of(lake)
    done, total = 0, sum(task.source.size for task in tasks)
    for task in tasks:
        outcome, rows = _checked(task, known if known.sites else None, now or datetime.now(UTC))
        if outcome.table == "sites" and rows is not None:
            known |= Known.among(rows)
        done += task.source.size
        if progress is not None:
            progress(done, total, task.source.name)
        yield outcome


def _checked(task: Task, known: Known | None, now: datetime) -> tuple[Outcome, pa.Table | None]:
    """What would become of one snapshot, and its rows."""
    source = task.source
    try:
        data = content(source)
    except SnapshotError as error:
        return Outcome(source, task.table, "unreadable", trouble=str(error)), None
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        checked = check(data, source, table_for(data, source, task.reading), task.reading, known, now)
    except RefusedError as error:
        return replace(Outcome(source, task.table, "refused", sha256), faults=error.faults), None
    return of_checked(source, sha256, checked), checked.good
