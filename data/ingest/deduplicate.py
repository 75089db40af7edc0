"""Rows in the lake's order, one for each key: which of several rows with the same key stays.

Rows lie by UTC date, then by key. Of several rows with the same key the one received last stays; of those received at
the same moment, the one that comes last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.schema import Table

Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Unrepeated:
    """Rows in order, one for each key; the rows that contradict them; and how many said the same once more."""

    rows: pa.Table
    contrary: pa.Table
    repeated: int


def unrepeated(table: Table, rows: pa.Table) -> Unrepeated:
    """One row for each key of a snapshot, and what became of the others."""
    ordered, same = _in_order(table, rows)
    stays = _newest(ordered, same)
    if stays.all():
        return Unrepeated(ordered, ordered.slice(0, 0), 0)
    agrees = _agrees(table, ordered, same, stays)
    contrary = ordered.filter(pa.array(~stays & ~agrees))
    return Unrepeated(ordered.filter(pa.array(stays)), contrary, int((~stays & agrees).sum()))


def merged(table: Table, older: pa.Table, newer: pa.Table) -> pa.Table:
    """Both in order, one row for each key; where all else is equal a row of `newer` replaces one of `older`."""
    ordered, same = _in_order(table, pa.concat_tables([older, newer]) if older.num_rows else newer)
    stays = _newest(ordered, same)
    return ordered if stays.all() else ordered.filter(pa.array(stays))


def _in_order(table: Table, rows: pa.Table) -> tuple[pa.Table, Flags]:
    """The rows by date and key, those of one key as they came; and for each row whether its key is that of the row
    before.
    """
    if rows.num_rows < 2:
        return rows, np.zeros(rows.num_rows, bool)
    ranks = [_ranks(rows[name]) for name in table.key]
    days = [_ranks(pc.floor_temporal(rows["ts"], unit="day"))] if table.partition == "date" else []
    if not _sorted(days + ranks):
        indices = np.lexsort([*reversed(ranks), *days])
        rows, ranks = rows.take(pa.array(indices)), [rank[indices] for rank in ranks]
    same = np.ones(rows.num_rows, bool)
    same[0] = False
    for rank in ranks:
        same[1:] &= rank[1:] == rank[:-1]
    return rows, same


def _ranks(values: pa.ChunkedArray) -> Whole:
    """Whole numbers in the order of the values; text by way of its few distinct values."""
    if pa.types.is_timestamp(values.type):
        return np.asarray(values.cast(pa.int64()).to_numpy())
    coded = values.combine_chunks().dictionary_encode()
    place = np.empty(len(coded.dictionary), np.int64)
    place[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(coded.dictionary))
    return np.asarray(place[coded.indices.to_numpy()])


def _sorted(ranks: list[Whole]) -> bool:
    """Whether the rows are in order already, as they are where the lake or a careful producer wrote them."""
    undecided = np.ones(len(ranks[0]) - 1, bool)
    for rank in ranks:
        step = rank[1:] - rank[:-1]
        if (step[undecided] < 0).any():
            return False
        undecided &= step == 0
    return True


def _newest(ordered: pa.Table, same: Flags) -> Flags:
    """Which row of each key stays."""
    last = np.append(~same[1:], True) if len(same) else same
    if last.all() or "received_at" not in ordered.column_names:
        return last
    shared = np.flatnonzero(same | ~last)
    group = np.cumsum(~same)[shared]
    received = pc.fill_null(ordered["received_at"].cast(pa.int64()), 0).to_numpy()[shared]
    by_receipt = np.lexsort([received, group])  # stable: of those received together the last stays last
    ends = np.append(np.diff(group) != 0, True)
    stays = ~(same | ~last)
    stays[shared[by_receipt[ends]]] = True
    return stays


def _agrees(table: Table, ordered: pa.Table, same: Flags, stays: Flags) -> Flags:
    """Whether each row says the same as the one of its key that stays; when it was received does not matter."""
    winner = pa.array(np.flatnonzero(stays)[np.cumsum(~same) - 1])
    agrees = np.ones(len(same), bool)
    for column in table.columns:
        if column.name not in (*table.key, "received_at"):
            mine = ordered[column.name].combine_chunks()
            agrees &= _equal(mine, mine.take(winner))
    return agrees


def _equal(left: pa.Array, right: pa.Array) -> Flags:
    """Equal values, or both null."""
    equal = pc.fill_null(pc.equal(left, right), False)
    return np.asarray(pc.or_(equal, pc.and_(pc.is_null(left), pc.is_null(right))).to_numpy(zero_copy_only=False))
