"""Rows into the lake: new ones beside the old, corrected ones in their place, with the marks of the snapshots that they
come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.check import merge_rows
from data.lake.tables import Change, Lake, TableState
from data.schema import Table


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


def _merged(contract: Table, held: pa.Table, rows: pa.Table) -> pa.Table:
    """The rows of the table with the new ones, in one piece: the writer takes the pieces of a table in whatever order
    it likes.
    """
    return merge_rows(contract, held, rows).combine_chunks()


def _dates(rows: pa.Table) -> list[date]:
    return sorted(pc.unique(rows["ts"].cast(pa.date32())).to_pylist())


def _holds_any(table: TableState, contract: Table, dates: Sequence[date], rows: pa.Table) -> bool:
    """Whether the table holds a row with the key of one of these."""
    key, stamps = list(contract.key), pc.min_max(rows["ts"]).as_py()
    span = stamps["min"], stamps["max"] + timedelta(microseconds=1)
    keys = table.rows(columns=key, dates=dates, spans=[span])
    return bool(keys.join(rows.select(key), key, join_type="left semi").num_rows)
