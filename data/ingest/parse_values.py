"""Text to numbers and stamps, value by value: what cannot be read is a fault of its row, never a guess."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.snapshot import RefusedError, refused
from data.schema import REAL, STAMP, Column
from data.schema.errors import SettingError
from data.schema.validation import Fault, excerpt, first_value

# What exporters write into a column of numbers for "missing".
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
# A date, then perhaps a time, then perhaps a zone. A number is no stamp: nobody can tell seconds from microseconds.
ZONE = r" ?(Z|UTC|[+-]\d{2}:?\d{2})$"
STAMP_SHAPE = rf"^\d{{4}}-\d{{2}}-\d{{2}}([T ]\d{{2}}:\d{{2}}(:\d{{2}}([.]\d{{1,9}})?)?({ZONE[:-1]})?)?$"
LABELLED = rf":\d{{2}}([.]\d+)?{ZONE}"
NAIVE = pa.timestamp("us")

Hit = tuple[pa.BooleanArray, Fault]


def numbers(column: Column, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[Hit]]:
    """Text as float64, null where missing; and the rows whose text is no number."""
    try:
        found = values.cast(REAL)
        return pc.if_else(pc.is_nan(found), None, found), []
    except pa.ArrowInvalid:
        text = values.to_pandas().str.strip()
    parsed = pd.to_numeric(text, errors="coerce")
    missing = text.isna() | text.str.lower().isin(MISSING)
    hits = _hits(
        column,
        values,
        parsed.isna() & ~missing,
        "a number, with a point for decimals",
        "another format, or a unit written behind the number",
        "export plain numbers",
    )
    return pa.chunked_array([pa.array(parsed, REAL, from_pandas=True)]), list(hits)


def stamps(column: Column, values: pa.ChunkedArray, zone: str | None) -> tuple[pa.ChunkedArray, list[Hit]]:
    """Text in ISO 8601 as UTC stamps, those without a zone read in `zone`; and the rows whose text is no stamp.

    Raises RefusedError where a stamp names no zone and none is given.
    """
    text = pc.utf8_trim_whitespace(values)
    labelled = pc.fill_null(pc.match_substring_regex(text, LABELLED), False)
    naive = pc.and_(pc.is_valid(text), pc.invert(labelled))
    utc = _parsed(pc.if_else(labelled, text, None)).cast(STAMP)
    local = _parsed(pc.if_else(naive, text, None))
    if zone is None and local.null_count < len(local):
        raise unzoned(column, excerpt(local.drop_null()[0].as_py()), pc.sum(pc.is_valid(local)).as_py())
    moved, hits = localised(column, local, zone or "UTC")
    found = pc.coalesce(utc, moved)
    unread = pc.and_(pc.is_valid(text), pc.and_(pc.is_null(utc), pc.is_null(local)))
    hits += _hits(
        column,
        values,
        unread,
        "a stamp such as 2026-01-31T23:55:00Z",
        "another format, or no such day",
        "write stamps in ISO 8601, with their zone",
    )
    return found, hits


def localised(column: Column, values: pa.ChunkedArray, zone: str) -> tuple[pa.ChunkedArray, list[Hit]]:
    """Local stamps as UTC; and the rows in the hour that summer time repeats or leaves out, whose moment nobody can
    tell.
    """
    early = pc.assume_timezone(values, zone, ambiguous="earliest", nonexistent="earliest").cast(STAMP)
    late = pc.assume_timezone(values, zone, ambiguous="latest", nonexistent="latest").cast(STAMP)
    unclear = pc.fill_null(pc.not_equal(early, late), False)
    cause = "the clocks changed in that hour, so that it came twice or not at all"
    return early, list(
        _hits(column, values, unclear, f"a time that came once in {zone}", cause, "export the stamps in UTC")
    )


def unzoned(column: Column, value: str, count: int) -> RefusedError:
    """The refusal of stamps without a zone, in the words of the contract's own check."""
    return refused(
        f"{value} (no time zone)",
        str(column.type),
        "the producer wrote local or unlabelled times",
        "say which zone they are in with --timezone, for instance --timezone UTC",
        column=column.name,
        count=count,
    )


def constant(column: Column, text: str, zone: str | None) -> pa.Scalar:
    """The text as a value of the column; raises SettingError where it is none."""
    values = pa.chunked_array([pa.array([text], pa.string())])
    hits: list[Hit] = []
    try:
        if pa.types.is_timestamp(column.type):
            values, hits = stamps(column, values, zone)
        elif column.type == REAL:
            values, hits = numbers(column, values)
    except RefusedError as error:
        hits = [(pa.array([True]), error.faults[0])]
    if hits:
        raise SettingError(
            f"--set {column.name}={text}: the contract wants {hits[0][1].bound}.",
            cause="a misspelling",
            remedy=hits[0][1].remedy,
        )
    return values[0]


def _parsed(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Stamps as pandas reads ISO 8601, in UTC but not labelled; null for all that is not of that form."""
    plain = pc.replace_substring_regex(pc.replace_substring_regex(text, r" ?UTC$", "Z"), r" ([Z+-])", r"\1")
    shaped = pc.if_else(pc.match_substring_regex(text, STAMP_SHAPE), plain, None)
    found = pd.to_datetime(shaped.to_pandas(), format="ISO8601", utc=True, errors="coerce").dt.as_unit("us")
    return pa.chunked_array([pa.array(found, STAMP, from_pandas=True)]).cast(NAIVE)


def _hits(column: Column, values: pa.ChunkedArray, mask: object, bound: str, cause: str, remedy: str) -> Iterator[Hit]:
    """The mask and its fault, where at least one row is hit."""
    hit = pa.array(mask, pa.bool_()) if not isinstance(mask, pa.ChunkedArray) else mask.combine_chunks()
    count = pc.sum(hit).as_py() or 0
    if count:
        yield hit, Fault("rows", column.name, first_value(values.filter(hit)), bound, count, cause, remedy)
