"""From text, numbers, bytes and stamps of any kind to what a column wants: float64, stamps in UTC, text.

Each function takes a column as a file holds it and returns the values, null where one is missing or cannot be read, with
masks of the rows that could not be read and why. Nothing is guessed: a number becomes a stamp by a declared unit alone, a
local time by a declared zone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# What exporters write for "missing" into a column of numbers or stamps, whatever their case: rrdtool -nan, Excel #N/A, R NA,
# PostgreSQL \N. In a column of names only an empty field is missing: NA is Namibia, and a site may be called null.
MISSING_WORDS = frozenset(
    {"", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "-nan", "+nan", "1.#qnan", "-1.#ind", "nat", "null", "none"}
    | {"nil", "\\n", "-", "--"}
)
# Counters at their end, which mean "not known" (SNMP, NetFlow): the largest numbers of 31, 32, 63 and 64 bits.
COUNTER_ENDS = tuple(float(2**bits - 1) for bits in (31, 32, 63, 64))

Epoch = Literal["s", "ms", "us", "ns"]
EPOCH_WORDS: dict[Epoch, str] = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
PER_SECOND: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
STAMP, NAIVE, REAL = pa.timestamp("us", tz="UTC"), pa.timestamp("us"), pa.float64()
# Stamps that Python's calendar holds in every zone, in seconds since 1970.
FIRST_SECOND, LAST_SECOND = -62_135_510_400, 253_402_128_000
# Between these a number of some unit since 1970 is likely meant as one.
LIKELY = (datetime(1990, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp())

# ISO 8601: a date, then perhaps a time, then perhaps a zone; the basic form (20260131T235500Z) with both parts.
ZONE = r" ?(?:[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"
CLOCK = r"\d{2}(?::?\d{2}(?::?\d{2}(?:[.,]\d{1,9})?)?)?"
STAMP_SHAPE = rf"^(?:\d{{4}}-\d{{2}}-\d{{2}}(?:[Tt ]{CLOCK}(?:{ZONE[:-1]})?)?|\d{{8}}[Tt]{CLOCK}(?:{ZONE[:-1]})?)$"
LABELLED = rf"[Tt ]{CLOCK}{ZONE}"
DIGITS = r"^[+-]?\d+(?:[.]\d*)?(?:[eE][+-]?\d{1,3})?$"


class Numbers(NamedTuple):
    """float64, null where missing; which rows are no number; and how many are the end of a counter, and missing for it."""

    values: pa.ChunkedArray
    unread: pa.BooleanArray
    counter_ends: int


class Stamps(NamedTuple):
    """Stamps in UTC to the microsecond, null where missing; and which rows are no stamp, lie beyond the years 1 to 9999,
    fall in an hour that the clocks repeat or leave out, or name no zone where none was given.
    """

    values: pa.ChunkedArray
    unread: pa.BooleanArray
    beyond: pa.BooleanArray
    unclear: pa.BooleanArray
    unzoned: pa.BooleanArray


class Texts(NamedTuple):
    """Text, null where missing; and which rows are none: bytes that are not UTF-8, numbers with decimals."""

    values: pa.ChunkedArray
    unread: pa.BooleanArray


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a column of this type holds bytes."""
    is_variable = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return bool(is_variable or pa.types.is_fixed_size_binary(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values themselves, where a column holds a dictionary of them or runs."""
    kind = values.type
    return values.cast(kind.value_type) if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind) else values


# Numbers ------------------------------------------------------------------------------------------------------------


def parse_numbers(values: pa.ChunkedArray) -> Numbers:
    """Text or numbers as float64. NaN, MISSING_WORDS and COUNTER_ENDS are missing; an infinite number stays."""
    if is_text(values.type):
        parsed, unread = _numbers_of_text(values)
    else:
        parsed, unread = values.cast(REAL, safe=False), _none(len(values))
    parsed = pc.if_else(pc.is_nan(parsed), None, parsed)
    largest = pc.max(parsed).as_py()
    if largest is None or largest < COUNTER_ENDS[0]:
        return Numbers(parsed, unread, 0)
    is_end = pc.fill_null(pc.is_in(parsed, value_set=pa.array(COUNTER_ENDS, REAL)), False)
    return Numbers(pc.if_else(is_end, None, parsed), unread, pc.sum(is_end).as_py() or 0)


def _numbers_of_text(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.BooleanArray]:
    try:
        return values.cast(REAL), _none(len(values))
    except pa.ArrowInvalid:
        text = values.to_pandas().str.strip()
    parsed = pd.to_numeric(text, errors="coerce")
    unread = parsed.isna() & text.notna() & ~text.str.lower().isin(MISSING_WORDS)
    return pa.chunked_array([pa.array(parsed, REAL, from_pandas=True)]), pa.array(unread, pa.bool_())


# Text ---------------------------------------------------------------------------------------------------------------


def parse_text(values: pa.ChunkedArray) -> Texts:
    """Text, whole numbers and bytes as text: an identifier that a database keeps as 101 or as bytes is 101, or its
    characters in UTF-8.
    """
    kind = values.type
    if is_text(kind) or pa.types.is_integer(kind):
        return Texts(values.cast(pa.string()), _none(len(values)))
    if is_bytes(kind):
        try:
            return Texts(_valid(values.cast(pa.binary()).cast(pa.string())), _none(len(values)))
        except pa.ArrowInvalid:
            read = [_decoded(value) for value in values.to_pylist()]
            return _read_or_not(values, pa.chunked_array([pa.array(read, pa.string())]))
    numbers = values.cast(REAL, safe=False)
    is_whole = pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), 2.0**53))
    whole = pc.if_else(is_whole, numbers, None).cast(pa.int64()).cast(pa.string())
    return _read_or_not(pc.if_else(pc.is_nan(numbers), None, numbers), whole)


def _valid(values: pa.ChunkedArray) -> pa.ChunkedArray:
    values.validate(full=True)
    return values


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _read_or_not(values: pa.ChunkedArray, read: pa.ChunkedArray) -> Texts:
    return Texts(read, _flat(pc.and_(pc.is_valid(values), pc.is_null(read))))


# Stamps -------------------------------------------------------------------------------------------------------------


def parse_stamps(values: pa.ChunkedArray, zone: str | None = None, epoch: Epoch | None = None) -> Stamps:
    """Text in ISO 8601, stamps, dates, and numbers of `epoch` since 1970, as stamps in UTC.

    What names no zone is local time in `zone`, a date the midnight with which it begins; digits below a microsecond are
    cut. Numbers without `epoch` are not read.
    """
    kind, count = values.type, len(values)
    if is_text(kind):
        return _stamps_of_text(values, zone, epoch)
    if is_number(kind):
        return _stamps_of_numbers(values, epoch) if epoch else _unread_stamps(values)
    if pa.types.is_date(kind):
        values = values.cast(pa.timestamp("s") if pa.types.is_date32(kind) else pa.timestamp("ms"))
    elif not pa.types.is_timestamp(kind):
        return _unread_stamps(values)
    moments, beyond = _microseconds(values)
    if values.type.tz is not None:
        return Stamps(moments.cast(STAMP), _none(count), beyond, _none(count), _none(count))
    return _localized(moments, zone)._replace(beyond=beyond)


def _unread_stamps(values: pa.ChunkedArray) -> Stamps:
    count = len(values)
    nothing = pa.chunked_array([pa.nulls(count, STAMP)])
    return Stamps(nothing, _flat(pc.is_valid(values)), _none(count), _none(count), _none(count))


def _microseconds(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.BooleanArray]:
    """Stamps of any unit to the microsecond and without a label, null and True where they lie beyond the calendar: a cast
    would wrap them round to a date that looks right.
    """
    numbers, per_second = values.cast(pa.int64()), PER_SECOND[values.type.unit]
    inside = _inside(numbers, per_second)
    kept = pc.if_else(inside, numbers, None).cast(pa.timestamp(values.type.unit))
    return kept.cast(NAIVE, safe=False), _flat(pc.invert(inside))


def _inside(numbers: pa.ChunkedArray, per_second: int) -> pa.ChunkedArray:
    """Whether numbers since 1970 lie within the calendar; a null does."""
    kind, low, high = numbers.type, FIRST_SECOND * per_second, LAST_SECOND * per_second
    if pa.types.is_integer(kind):
        low = 0 if pa.types.is_unsigned_integer(kind) else max(low, -(2**63))
        bounds = pa.scalar(low, kind), pa.scalar(min(high, 2**63 - 1), kind)
    else:
        bounds = pa.scalar(float(low), REAL), pa.scalar(float(high), REAL)
    inside = pc.and_(pc.greater_equal(numbers, bounds[0]), pc.less_equal(numbers, bounds[1]))
    return pc.fill_null(inside, True)


def _stamps_of_numbers(values: pa.ChunkedArray, epoch: Epoch) -> Stamps:
    """Numbers of seconds, ms, us or ns since 1970; fractions to the microsecond."""
    per_second, count = PER_SECOND[epoch], len(values)
    is_whole = pa.types.is_integer(values.type)
    numbers = (
        values.cast(pa.uint64() if pa.types.is_uint64(values.type) else pa.int64())
        if is_whole
        else values.cast(REAL, safe=False)
    )
    numbers = numbers if is_whole else pc.if_else(pc.is_nan(numbers), None, numbers)
    inside = _inside(numbers, per_second)
    kept = pc.if_else(inside, numbers, None)
    if is_whole:
        kept = kept.cast(pa.int64())
        moments = pc.divide(kept, 1000) if epoch == "ns" else pc.multiply(kept, 10**6 // per_second)
    else:
        moments = pc.round(pc.multiply(kept, 1e6 / per_second)).cast(pa.int64())
    return Stamps(moments.cast(STAMP), _none(count), _flat(pc.invert(inside)), _none(count), _none(count))


def _stamps_of_text(values: pa.ChunkedArray, zone: str | None, epoch: Epoch | None) -> Stamps:
    text = pc.utf8_trim_whitespace(values.cast(pa.string()))
    for kind in (STAMP, NAIVE):
        try:
            moments, beyond = _microseconds(text.cast(kind))
        except pa.ArrowInvalid:
            continue  # some are of another form; all of one form are read here, ten times as fast as below
        return _labelled_or_local(moments, zone, is_local=kind == NAIVE)._replace(beyond=beyond)
    is_missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(sorted(MISSING_WORDS)))
    text = pc.if_else(is_missing, None, text)
    is_digits = pc.fill_null(pc.match_substring_regex(text, DIGITS), False)
    counted = _stamps_of_digits(pc.if_else(is_digits, text, None), epoch)
    text = pc.if_else(is_digits, None, text)
    is_labelled = pc.fill_null(pc.match_substring_regex(text, LABELLED), False)
    moments, beyond = _microseconds(_parse_iso(text))
    labelled = pc.if_else(is_labelled, moments, None).cast(STAMP)
    local = _localized(pc.if_else(is_labelled, None, moments), zone)
    unread = pc.and_(pc.is_valid(text), pc.and_(pc.is_null(moments), pc.invert(beyond)))
    return Stamps(
        pc.coalesce(labelled, local.values, counted.values),
        pc.or_(_flat(unread), counted.unread),
        pc.or_(beyond, counted.beyond),
        local.unclear,
        local.unzoned,
    )


def _stamps_of_digits(text: pa.ChunkedArray, epoch: Epoch | None) -> Stamps:
    if epoch is None or text.null_count == len(text):
        return _unread_stamps(text)
    try:
        return _stamps_of_numbers(text.cast(pa.int64()), epoch)
    except pa.ArrowInvalid:
        return _stamps_of_numbers(text.cast(REAL), epoch)


def _parse_iso(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Stamps as pandas reads ISO 8601, in UTC but not labelled; null for all that is not of that form."""
    shaped = pc.if_else(pc.match_substring_regex(text, STAMP_SHAPE), text, None)
    for written, usual in ((r" ?(UTC|GMT|z)$", "Z"), (r" ([Z+-])", r"\1"), ("t", "T"), (",", ".")):
        shaped = pc.replace_substring_regex(shaped, written, usual)
    parsed = pd.to_datetime(shaped.to_pandas(), format="ISO8601", utc=True, errors="coerce").dt.as_unit("us")
    return pa.chunked_array([pa.array(parsed, STAMP, from_pandas=True)]).cast(NAIVE)


def _labelled_or_local(moments: pa.ChunkedArray, zone: str | None, *, is_local: bool) -> Stamps:
    count = len(moments)
    if is_local:
        return _localized(moments, zone)
    return Stamps(moments.cast(STAMP), _none(count), _none(count), _none(count), _none(count))


def _localized(moments: pa.ChunkedArray, zone: str | None) -> Stamps:
    """Local time as UTC; the rows in the hour that summer time repeats or leaves out are null, as nobody can tell their
    moment.
    """
    count = len(moments)
    if zone is None:
        nothing = pa.chunked_array([pa.nulls(count, STAMP)])
        return Stamps(nothing, _none(count), _none(count), _none(count), _flat(pc.is_valid(moments)))
    early = pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="earliest").cast(STAMP)
    late = pc.assume_timezone(moments, zone, ambiguous="latest", nonexistent="latest").cast(STAMP)
    unclear = pc.fill_null(pc.not_equal(early, late), False)
    return Stamps(early, _none(count), _none(count), _flat(unclear), _none(count))


def likely_epoch(number: float) -> Epoch | None:
    """The unit in which a number since 1970 is a moment of the years 1990 to 2100."""
    likely = (unit for unit in EPOCH_WORDS if LIKELY[0] <= number / PER_SECOND[unit] < LIKELY[1])
    return next(likely, None)


def moment_words(number: float, unit: str) -> str:
    """A number since 1970 as a date and time, also of years that Python's calendar does not hold."""
    seconds = number / PER_SECOND[unit]
    if FIRST_SECOND <= seconds <= LAST_SECOND:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds):%Y-%m-%d %H:%M}"
    if abs(seconds) < 2**62:
        return str(np.datetime64(int(seconds), "s")).replace("T", " ")
    return f"{seconds:.3g} seconds after 1970"


def _none(count: int) -> pa.BooleanArray:
    return pa.repeat(pa.scalar(False), count)


def _flat(mask: pa.ChunkedArray | pa.BooleanArray) -> pa.BooleanArray:
    return mask.combine_chunks() if isinstance(mask, pa.ChunkedArray) else mask
