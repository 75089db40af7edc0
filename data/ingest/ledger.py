"""The ledger of ingest: which snapshots were seen and what became of them, in the tables `snapshots` and `quarantine`.

That a snapshot is taken in once does not rest on the ledger but on the marks of the commits (data/lake/tables.py); the
ledger follows after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from data.lake.tables import Change, Lake, conform
from data.schema import INPUT_TABLES, TABLES

Key = tuple[str, str]
UNKNOWN = "unknown"  # stands for the table of a snapshot whose columns do not tell


class Ledger:
    """What the lake says of snapshots at the start of a run; what another process adds meanwhile comes out when the
    rows are committed.
    """

    def __init__(self, lake: Lake) -> None:
        rows = lake.read("snapshots").select(["sha256", "table", "state", "rows_accepted"]).to_pydict()
        self._seen = {
            (sha, table): (state, accepted) for sha, table, state, accepted in zip(*rows.values(), strict=True)
        }
        self._tables = {name: lake.open(name) for name in {table for _, table in self._seen} & set(INPUT_TABLES)}

    def done(self, sha256: str, table: str, mark: str) -> bool:
        """Whether nothing is left to do: the rows are in the lake, and the ledger says so. A refused snapshot may be
        tried again.
        """
        state, accepted = self._seen.get((sha256, table), ("refused", 0))
        return state != "refused" and (not accepted or self._marked(table, mark))

    def _marked(self, table: str, mark: str) -> bool:
        held = self._tables[table]
        return held is not None and held.transaction_version(mark) is not None


def write(
    lake: Lake,
    snapshots: Sequence[Mapping[str, object]],
    refusals: Sequence[Mapping[str, object]],
    settled: Iterable[str] = (),
) -> None:
    """Record what became of snapshots: their rows replace what the ledger holds on them, in both tables.

    `settled` names places of the quarantine whose content has now been taken in; they are no longer listed.
    """
    entries = {(str(row["sha256"]), str(row["table"])): row for row in snapshots}
    # A snapshot that could not be told before, and was refused for it, may be another table's now.
    keys = {(sha, table) for sha, of in entries for table in (of, UNKNOWN)}
    listed = {(row["kept_at"], row["column"], row["bound"]): row for row in refusals}
    _replace(lake, "quarantine", list(listed.values()), keys, frozenset(settled))
    _replace(lake, "snapshots", list(entries.values()), keys, frozenset())


def _replace(
    lake: Lake, name: str, rows: Sequence[Mapping[str, object]], keys: set[Key], places: frozenset[str]
) -> None:
    """Put `rows` in the place of all rows of these snapshots and places."""
    fresh = conform(TABLES[name], pa.Table.from_pylist([dict(row) for row in rows], schema=TABLES[name].schema))
    # Two appends do not conflict by themselves; a mark for each snapshot makes the second one look again.
    marks = sorted(f"{sha}:{table}" for sha, table in keys)

    def make(table: DeltaTable) -> Change | None:
        held = conform(TABLES[name], pa.table(table.to_pyarrow_table()))
        stale = _stale(held, keys, places)
        if stale.any():
            return Change(pa.concat_tables([held.filter(pa.array(~stale)), fresh]), whole=True, marks=marks)
        return Change(fresh, marks=marks) if fresh.num_rows else None

    if rows or lake.version(name) is not None:
        lake.commit(name, make)


def _stale(held: pa.Table, keys: set[Key], places: frozenset[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows the new ones replace."""
    mine = [key in keys for key in zip(held["sha256"].to_pylist(), held["table"].to_pylist(), strict=True)]
    if "kept_at" not in held.column_names or not places:
        return np.array(mine, bool)
    kept = pc.is_in(held["kept_at"], value_set=pa.array(sorted(places), pa.string()))
    return np.asarray(np.array(mine, bool) | kept.to_numpy())
