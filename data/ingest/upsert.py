"""Rows into the lake: new ones beside the old, corrected ones in their place, with the marks of the snapshots that they
come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from data.ingest.check import merge_rows
from data.lake.tables import Change, Lake, conform
from data.schema import Table


def upsert(lake: Lake, contract: Table, snapshots: Mapping[str, pa.Table]) -> int:
    """Take the rows of snapshots, by mark, into a table in one commit; returns its version.

    A snapshot whose mark the table has is left out, also where another process committed it a moment ago. Of rows with
    the same key the one received last stays, and of those received together the one that comes last in `snapshots`.
    """

    def make(table: DeltaTable) -> Change | None:
        fresh = {mark: rows for mark, rows in snapshots.items() if table.transaction_version(mark) is None}
        if not fresh:
            return None
        rows = pa.concat_tables(fresh.values())
        dates = _dates(rows) if contract.partition == "date" else None
        # In one piece: the writer takes the pieces of a table in whatever order it likes.
        whole = merge_rows(contract, _held(table, contract, dates), rows).combine_chunks()
        return Change(whole, dates=dates, whole=dates is None, marks=list(fresh))

    return lake.commit(contract.name, make)


def _dates(rows: pa.Table) -> list[date]:
    return sorted(pc.unique(rows["ts"].cast(pa.date32())).to_pylist())


def _held(table: DeltaTable, contract: Table, dates: Sequence[date] | None) -> pa.Table:
    """What the table holds on these dates, or at all."""
    only = None if dates is None else f"date IN ({', '.join(repr(day.isoformat()) for day in dates)})"
    return conform(contract, table.to_pyarrow_dataset(file_pruning_predicate=only).to_table())
