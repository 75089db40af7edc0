"""Rows that are not there, where the producer says that it leaves zeros out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.schema import METRIC, Table

# A producer that leaves rows out has sums in mind: nothing flowed. A ratio of nothing stays unknown.
SUMS = {name for name, metric in METRIC.items() if metric.aggregate == "sum"} | {"gbps"}


def with_zeros(table: Table, rows: pa.Table) -> pa.Table:
    """The rows, and a row of zeros for each series and stamp of the snapshot that it holds no row for.

    A stamp at which no series has a row stays missing: that the exporter was down is no measurement. Columns that the
    snapshot does not have stay null. Tables without ts come back as they are.
    """
    if "ts" not in table.key or not rows.num_rows:
        return rows
    series = (
        rows.select([name for name in table.key if name != "ts"])
        .group_by([name for name in table.key if name != "ts"])
        .aggregate([])
    )
    stamps = pc.unique(rows["ts"])
    place = pc.index_in(rows["ts"], value_set=stamps).to_numpy()
    held = _series_of(rows, series) * len(stamps) + place
    absent = np.setdiff1d(np.arange(series.num_rows * len(stamps)), held, assume_unique=True)
    which, when = pa.array(absent // len(stamps)), pa.array(absent % len(stamps))
    made = {**{name: series[name].take(which) for name in series.column_names}, "ts": stamps.take(when)}
    return pa.concat_tables(
        [rows, pa.table([_column(rows, name, made, len(absent)) for name in rows.column_names], schema=rows.schema)]
    )


def _series_of(rows: pa.Table, series: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each row, the place of its series."""
    keys = series.column_names
    placed = rows.select(keys).append_column("_row", pa.array(np.arange(rows.num_rows)))
    joined = placed.join(series.append_column("_series", pa.array(np.arange(series.num_rows))), keys).sort_by("_row")
    return np.asarray(joined["_series"].to_numpy(), np.int64)


def _column(rows: pa.Table, name: str, made: dict[str, pa.ChunkedArray], count: int) -> pa.ChunkedArray | pa.Array:
    if name in made:
        return made[name]
    held = name in SUMS and rows[name].null_count < rows.num_rows
    return pa.repeat(pa.scalar(0.0), count) if held else pa.nulls(count, rows.schema.field(name).type)
