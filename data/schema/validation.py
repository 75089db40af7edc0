"""Strict check of a table against the contract: which rows keep it, and what is wrong with the others.

Pure: Arrow in, Arrow and faults out. Ingest decides what happens to the rows that fail.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import available_timezones

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data.schema.errors import HeadroomError, ScenarioError
from data.schema.types import ID_PATTERN, TEXT_LIMIT, Column, Table

# A clock may be a little ahead of ours; a stamp further in the future is a fault in time zone or unit.
FUTURE_TOLERANCE = timedelta(hours=1)
# Network telemetry before this date does not exist: such a stamp is seconds read as microseconds, or a zero.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
# Later stamps cannot be drawn or converted to local time (Python's calendar ends with the year 9999).
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
# Tables whose stamps may lie ahead: plans and announcements.
AHEAD = frozenset(
    {"capacity", "events", "forecasts", "bands", "peaks", "incidents", "plan_rows", "plan_peaks", "plan_purchases"}
)
# Columns of text that names a zone of the IANA database.
TIME_ZONE_COLUMNS = frozenset({"timezone"})
# Misspelt zones of one snapshot that get suggestions: each costs a comparison with 600 names, about 10 ms.
SUGGESTIONS = 20
# Longest excerpt of a value in a message; names may be 10 kB long.
EXCERPT = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: which column, the first value at fault, the bound, how many rows, the likely cause, the
    remedy.
    """

    level: Literal["file", "rows"]
    column: str
    value: str
    bound: str
    count: int
    cause: str
    remedy: str

    def __str__(self) -> str:
        where = f"column {self.column!r}" if self.column else self.level
        rows = f" ({self.count} rows)" if self.count else ""
        return f"{where}: {self.value or 'nothing'} where the contract allows {self.bound}{rows}. Likely cause: {self.cause}. Remedy: {self.remedy}."


@dataclass(frozen=True, slots=True)
class Findings:
    """Result of `validate`: the rows that keep the contract (in its columns and types), those that do not, and why."""

    good: pa.Table
    bad: pa.Table
    faults: list[Fault] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """True where the table as a whole cannot be used."""
        return any(f.level == "file" for f in self.faults)


def excerpt(value: object) -> str:
    """A short, printable form of any value; characters that cannot be seen stand as their code."""
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
    text = "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in text)
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}... ({len(text)} characters)"


def first_value(values: pa.ChunkedArray) -> str:
    """The first of some values, short and printable; a stamp beyond Python's calendar as its number."""
    try:
        first = values[0].as_py()
    except (OverflowError, ValueError):
        first = f"{values[0].cast(pa.int64())} ({values.type})"
    return "null" if first is None else excerpt(first)


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """The names of the IANA time zones that this machine knows."""
    return frozenset(available_timezones())


def nearest_time_zones(name: str, count: int = 3) -> list[str]:
    """Names of time zones that are spelt like `name`, or whose city is; the nearest first."""
    spelt = {zone.rpartition("/")[2].casefold(): zone for zone in sorted(time_zones())}
    spelt |= {zone.casefold(): zone for zone in time_zones()}
    near = difflib.get_close_matches(name.strip().replace(" ", "_").casefold(), spelt, count)
    return list(dict.fromkeys(spelt[each] for each in near))


def validate(table: Table, frame: pa.Table, *, now: datetime | None = None) -> Findings:
    """Check `frame` against `table`.

    A missing required column, or a column that cannot be read as its type, refuses the whole frame (a fault of level
    "file"). A value out of range, a null in a required column, or a stamp in the far future refuses its row (level
    "rows"). Columns that the contract does not know are left out. `now` bounds stamps from above (default: the clock).
    """
    cast, faults = _as_contract(table, frame)
    if faults:
        return Findings(table.schema.empty_table(), frame, faults)
    bad = pa.array([False] * 0, pa.bool_()) if not cast.num_rows else pa.repeat(pa.scalar(False), cast.num_rows)
    for column in table.columns:
        for mask, fault in _row_faults(table, column, cast[column.name], now or datetime.now(UTC)):
            bad = pc.or_(bad, mask)
            faults.append(fault)
    return Findings(cast.filter(pc.invert(bad)), cast.filter(bad), faults)


def _as_contract(table: Table, frame: pa.Table) -> tuple[pa.Table, list[Fault]]:
    """The frame in the contract's columns and types, or the file-level faults that stand in the way."""
    columns, faults = [], []
    for column in table.columns:
        if column.name not in frame.column_names:
            if column.required:
                faults.append(_missing(column, frame))
            columns.append(pa.nulls(frame.num_rows, column.type))
            continue
        try:
            columns.append(_cast(frame[column.name], column))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            faults.append(_mistyped(column, frame[column.name], error))
    if faults:
        return frame, faults
    return pa.table(columns, schema=pa.schema([pa.field(c.name, c.type) for c in table.columns])), []


def _cast(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Cast without losing meaning: a number never becomes a stamp, a naive stamp never becomes UTC by itself."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(values), column.type)])
    if pa.types.is_timestamp(column.type) and not pa.types.is_timestamp(kind):
        raise pa.ArrowTypeError(f"a stamp was expected, the column holds {kind}")
    if pa.types.is_timestamp(column.type) and kind.tz is None:
        raise pa.ArrowTypeError("the stamps name no time zone")
    if pa.types.is_string(column.type) and not (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    ):
        raise pa.ArrowTypeError(f"text was expected, the column holds {kind}")
    if pa.types.is_floating(column.type) and not (
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)
    ):
        raise pa.ArrowTypeError(f"a number was expected, the column holds {kind}")
    return values.cast(column.type, safe=not pa.types.is_timestamp(column.type))


def _missing(column: Column, frame: pa.Table) -> Fault:
    seen = excerpt(", ".join(frame.column_names) or "no columns")
    return Fault(
        "file",
        column.name,
        f"absent (the file has: {seen})",
        f"a column {column.name} ({column.type})",
        frame.num_rows,
        "the producer uses another name, or sent another table",
        f"rename it with --map THEIRS={column.name}, or name the table with --table",
    )


def _mistyped(column: Column, values: pa.ChunkedArray, error: Exception) -> Fault:
    naive = "no time zone" in str(error)
    cause = (
        "the producer wrote local or unlabelled times"
        if naive
        else "the producer wrote another type, or another column under this name"
    )
    remedy = (
        "say which zone they are in with --timezone, for instance --timezone UTC"
        if naive
        else f"write {column.name} as {column.type}"
    )
    seen = f"{first_value(values) if len(values) else ''} ({values.type})"
    return Fault("file", column.name, excerpt(seen), f"{column.type}", len(values), cause, remedy)


Found = tuple[pa.BooleanArray, Fault]


def _row_faults(table: Table, column: Column, values: pa.ChunkedArray, now: datetime) -> Iterator[Found]:
    """Every row-level rule that the column breaks."""
    if column.required and not column.nullable:
        yield from _found(
            column,
            values,
            pc.is_null(values),
            "a value",
            "the producer left it out",
            "send the value, or leave the row out: missing rows are drawn as missing",
        )
    if pa.types.is_timestamp(column.type):
        yield from _stamp_faults(table, column, values, now)
    elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        yield from _number_faults(column, values)
    elif pa.types.is_string(column.type):
        yield from _text_faults(column, values)


def _stamp_faults(table: Table, column: Column, values: pa.ChunkedArray, now: datetime) -> Iterator[Found]:
    if table.name in AHEAD:
        yield from _found(
            column,
            values,
            pc.greater(values, pa.scalar(LATEST, column.type)),
            f"at most {LATEST:%Y-%m-%d}",
            "a unit is wrong: microseconds read as seconds, or a damaged file",
            "write stamps as timestamp[us, UTC]",
        )
    else:
        latest = now + FUTURE_TOLERANCE
        yield from _found(
            column,
            values,
            pc.greater(values, pa.scalar(latest, column.type)),
            f"at most {latest:%Y-%m-%d %H:%M} UTC (now and an hour)",
            "a clock or a time zone is wrong at the producer",
            "mend the clock, or give --timezone where the stamps are local",
        )
    yield from _found(
        column,
        values,
        pc.less(values, pa.scalar(EARLIEST, column.type)),
        f"at least {EARLIEST:%Y-%m-%d}",
        "a unit is wrong: seconds read as microseconds, or a zero",
        "write stamps as timestamp[us, UTC]",
    )


def _number_faults(column: Column, values: pa.ChunkedArray) -> Iterator[Found]:
    unit = f" {column.unit}" if column.unit else ""
    if pa.types.is_floating(column.type):
        yield from _found(
            column,
            values,
            pc.invert(pc.is_finite(values)),
            "a finite number, or null for missing",
            "a division by zero, or NaN written for missing",
            "write null for missing",
        )
    if column.low is not None:
        yield from _found(
            column,
            values,
            pc.less(values, column.low),
            f"at least {column.low:g}{unit}",
            "a counter was reset or wrapped",
            "difference counters before export",
        )
    if column.high is not None:
        above = (
            pc.and_(pc.greater(values, column.high), pc.is_finite(values))
            if pa.types.is_floating(column.type)
            else pc.greater(values, column.high)
        )
        cause = (
            "a percentage written for a ratio" if column.unit == "ratio" else "a unit is wrong: bit/s written for Gbps"
        )
        yield from _found(
            column,
            values,
            above,
            f"at most {column.high:g}{unit}",
            cause,
            f"convert the column to {column.unit or 'its unit'} before export",
        )


def _text_faults(column: Column, values: pa.ChunkedArray) -> Iterator[Found]:
    if column.choices:
        is_choice = pc.is_in(values, value_set=pa.array(column.choices))
        yield from _found(
            column,
            values,
            pc.and_(pc.invert(is_choice), pc.is_valid(values)),
            f"one of {', '.join(column.choices)}",
            "another vocabulary at the producer",
            "translate the value before export",
        )
    elif column.pattern:
        shape = (
            "a letter or digit, then letters, digits, dot, dash, underscore; at most 64"
            if column.pattern == ID_PATTERN
            else column.pattern
        )
        yield from _found(
            column,
            values,
            pc.invert(pc.match_substring_regex(values, column.pattern)),
            shape,
            "a display name, or an injection attempt, in an identifier",
            "send a plain identifier",
        )
    else:
        if column.name in TIME_ZONE_COLUMNS:
            yield from _time_zone_faults(column, values)
        odd = pc.or_(
            pc.greater(pc.utf8_length(values), TEXT_LIMIT), pc.match_substring_regex(values, r"[\x00-\x1f\x7f]")
        )
        yield from _found(
            column,
            values,
            odd,
            f"at most {TEXT_LIMIT} characters, none of them control characters",
            "free text in a name column",
            "shorten the text",
        )


def _time_zone_faults(column: Column, values: pa.ChunkedArray) -> Iterator[Found]:
    """Names that are no time zone: one fault for all that have the same nearest names."""
    misspelt = [zone for zone in pc.unique(values).to_pylist() if zone and zone not in time_zones()]
    by_nearest: dict[tuple[str, ...], list[str]] = {}
    for place, zone in enumerate(misspelt if time_zones() else ()):
        nearest = tuple(nearest_time_zones(zone)) if place < SUGGESTIONS else ()
        by_nearest.setdefault(nearest, []).append(zone)
    for nearest, zones in by_nearest.items():
        yield from _found(
            column,
            values,
            pc.is_in(values, value_set=pa.array(zones)),
            "an IANA time zone; the nearest: " + ", ".join(nearest) if nearest else "an IANA time zone",
            "a misspelling, or an abbreviation",
            f"write {nearest[0]} if that is meant" if nearest else "write the name of the IANA time zone",
        )


def _found(
    column: Column, values: pa.ChunkedArray, mask: pa.ChunkedArray, bound: str, cause: str, remedy: str
) -> Iterator[Found]:
    """The mask and its fault where at least one row is hit; null counts as not hit."""
    hit = pc.fill_null(mask, False)
    hit = hit.combine_chunks() if isinstance(hit, pa.ChunkedArray) else hit
    count = pc.sum(hit).as_py() or 0
    if count:
        yield hit, Fault("rows", column.name, first_value(values.filter(hit)), bound, count, cause, remedy)


def arrow_from_pandas(frame: pd.DataFrame) -> pa.Table:
    """The frame as a table, its index left out; a column of nothing has no type.

    A column of mixed types becomes text, so that the check against the contract names it.
    """
    return pa.table({str(name): _arrow_column(frame[name]) for name in frame.columns})


def _arrow_column(values: pd.Series) -> pa.Array:
    if values.isna().all():
        return pa.nulls(len(values))
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if _is_missing(value) else str(value) for value in values], pa.string())


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or value != value


# Control characters, halves of characters, and breaks of line or paragraph: databases refuse some of them, and a name
# is one line.
UNKEPT = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Marks that turn the direction of all that follows, also of what a page writes beside the name. A single letter's mark
# (U+200E, U+200F) is harmless.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_text(
    what: str, text: object, *, limit: int = TEXT_LIMIT, empty: bool = False, error: type[HeadroomError] = ScenarioError
) -> str:
    """The text without blanks around it. `what` names it in the error that is raised where it is no text, too long,
    unprintable, or empty and may not be.
    """
    if not isinstance(text, str):
        raise error(
            f"The {what} is {excerpt(repr(text))}.", cause="another type was sent", remedy=f"send the {what} as text"
        )
    text = text.strip()
    if len(text) > limit:
        raise error(
            f"The {what} {excerpt(text)!r} is longer than {limit} characters.",
            cause="a text was pasted into the wrong field",
            remedy="shorten it",
        )
    odd = next((ch for ch in text if ch in TURNING or unicodedata.category(ch) in UNKEPT), None)
    if odd is not None:
        raise error(
            f"The {what} {excerpt(text)!r} holds the character U+{ord(odd):04X}, which is no part of a text of one line.",
            cause="it was copied together with invisible characters",
            remedy="type it anew",
        )
    if not empty and not any(ch.isprintable() and not ch.isspace() for ch in text):
        raise error(
            f"The {what} is empty.",
            cause="nothing that can be seen was typed",
            remedy=f"give a {what} of 1 to {limit} characters",
        )
    return text
