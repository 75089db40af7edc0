"""Frames that people edited or programs made, as Arrow tables that the contract can be held against."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa


def arrow_from_pandas(frame: pd.DataFrame) -> pa.Table:
    """The frame as a table, its index left out; a column of nothing has no type.

    A column of mixed types becomes text, so that the check against the contract names it.
    """
    return pa.table({str(name): _column(frame[name]) for name in frame.columns})


def _column(values: pd.Series) -> pa.Array:
    if values.isna().all():
        return pa.nulls(len(values))
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if _missing(value) else str(value) for value in values], pa.string())


def _missing(value: object) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or value != value
