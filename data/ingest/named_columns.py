"""Files that are no snapshots (panels, catalogues, failover tables, counted rows), read as snapshots are: every dialect
that `data/ingest/file_reader.py` reads, with columns that are found by their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from data.ingest.column_mapping import listed, normalized_name
from data.ingest.file_reader import RawTable, RefusedError, read_columns, read_file
from data.ingest.parse_values import is_bytes, is_text, parse_text, plain
from data.schema.errors import SettingError, SnapshotError
from data.schema.validation import excerpt

# Where pandas keeps an index without a name.
INDEX_COLUMN = "__index_level_"


def read_table(where: str, file: Path | bytes) -> RawTable:
    """The columns of a file, or of a file's bytes; raises SettingError, in which the file is called `where`, for one that
    cannot be read or has no row.
    """
    try:
        raw = read_columns(file) if isinstance(file, bytes) else read_file(file)
    except RefusedError as error:
        fault = error.faults[0]
        raise SettingError(
            f"{where} cannot be read: {fault.value}, where {fault.bound} is needed.",
            cause=fault.cause,
            remedy=fault.remedy,
        ) from error
    except SnapshotError as error:
        raise SettingError(
            f"{where} cannot be read: {error.problem}", cause=error.cause, remedy=error.remedy
        ) from error
    if not raw.rows:
        raise SettingError(
            f"{where} has no row.", cause="it is an empty export", remedy=f"write rows below {listed(own_names(raw))}"
        )
    return raw


def own_names(raw: RawTable) -> list[str]:
    """The names of a file's columns, but for an index of pandas that nobody named, and for columns of nothing."""
    return [name for name in raw.table.column_names if name and not name.startswith(INDEX_COLUMN)]


def find_column(raw: RawTable, names: Sequence[str], where: str) -> str | None:
    """The file's own name of the first of these columns that it has, None where it has none; the exact name comes before
    one that differs in case, spaces or punctuation. Raises SettingError where a column stands twice.
    """
    own = own_names(raw)
    for name in names:
        alike = [other for other in own if other == name] or [
            other for other in own if normalized_name(other) == normalized_name(name)
        ]
        if len(alike) > 1:
            raise SettingError(
                f"In {where} the column {name} stands twice: {listed(alike)}.",
                cause="the export holds the column twice",
                remedy="drop or rename all but one",
            )
        if alike:
            return alike[0]
    return None


def column_values(raw: RawTable, name: str) -> pa.ChunkedArray:
    """The values of a column: bytes as text, a dictionary as what it holds, the rest as it stands."""
    values = plain(raw.table.column(name))
    return as_text(values) if is_bytes(values.type) else values


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Names as text: a database may keep 101 as a number, or as bytes."""
    texts, _ = parse_text(values)
    return texts


def named_frame(raw: RawTable, required: Sequence[str], optional: Sequence[str], where: str) -> pd.DataFrame:
    """These columns under our names; of a text file they are text, missing where a field is empty. Names of sites (columns
    that end in _id) are text in any case: NA and null are names.

    Raises SettingError where a required column is missing, or a line is no row: a plan from half a table would be wrong.
    """
    found = {ours: find_column(raw, [ours], where) for ours in (*required, *optional)}
    check_columns(raw, {name: found[name] for name in required}, where)
    if raw.bad_lines:
        bad = raw.bad_lines[0]
        raise SettingError(
            f"Line {bad.line} of {where} is no row: {excerpt(bad.text)} (needed: {bad.bound}).",
            cause=bad.cause,
            remedy=bad.remedy,
        )
    frame = {}
    for ours, theirs in found.items():
        if theirs is not None:
            values = column_values(raw, theirs)
            is_name = ours.endswith("_id") and not is_text(values.type)
            frame[ours] = (as_text(values) if is_name else values).to_pandas()
    return pd.DataFrame(frame)


def bad_line_notes(raw: RawTable) -> list[str]:
    """A note where lines of a file are no rows, with the first of them."""
    if not raw.bad_lines:
        return []
    bad, count = raw.bad_lines[0], len(raw.bad_lines)
    what = "1 line is no row" if count == 1 else f"{count} lines are no rows"
    first = f"line {bad.line}, {excerpt(bad.text)} (needed: {bad.bound}; {bad.cause})"
    return [f"{what} and left out: {first if count == 1 else f'the first is {first}'}"]


def check_columns(raw: RawTable, found: Mapping[str, str | None], where: str) -> None:
    """Raises SettingError for columns (the file's name by ours) that the file does not have."""
    if missing := [ours for ours, theirs in found.items() if theirs is None]:
        raise SettingError(
            f"{where} has no column {' and no column '.join(missing)}; it has {listed(own_names(raw))}.",
            cause="its columns have other names",
            remedy=f"name them {', '.join(found)}",
        )
