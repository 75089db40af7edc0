"""From a producer's columns to the contract's: what the options of reading say, which table is meant, and the rows under
the contract's names.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.file_reader import RawTable, RefusedError, file_refusal
from data.ingest.parse_values import (
    DIGITS,
    EPOCH_WORDS,
    Epoch,
    Stamps,
    is_bytes,
    is_number,
    is_text,
    likely_epoch,
    moment_words,
    parse_numbers,
    parse_stamps,
    parse_text,
    plain,
)
from data.ingest.sources import Source
from data.schema import INPUT_TABLES, REAL, TABLES, TEXT, Column, Table
from data.schema.errors import SettingError
from data.schema.validation import Fault, excerpt, first_value, nearest_time_zones

MaskedFault = tuple[pa.BooleanArray, Fault]
MissingRows = Literal["null", "zero"]
# theirs=ours, or theirs*0.001=ours where the unit differs. The last "=" divides: a producer's name may hold one.
RENAME = re.compile(r"^(?P<theirs>.+?)(?:\*(?P<factor>[0-9.eE+-]+))?=(?P<ours>[^=]+)$")
# A name means the same, and has one type, in every table that has it.
CONTRACT_COLUMNS = {column.name: column for table in INPUT_TABLES for column in TABLES[table].columns}


@dataclass(frozen=True, slots=True)
class Rename:
    """A column of the producer's, and the column of the contract that it becomes once multiplied by the factor."""

    theirs: str
    ours: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Everything that a producer's files do not say themselves.

    `constants` are columns that are the same in every row; a column with several values repeats the rows for each.
    `timezone` is that of stamps that name none, `epoch` the unit of stamps that are numbers since 1970, `encoding` that of
    text which is not UTF-8. `missing_rows` says what a row that is not there means: nothing is known ("null"), or zero
    was measured ("zero", for producers that leave zeros out).
    """

    table: str | None = None
    renames: tuple[Rename, ...] = ()
    constants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    timezone: str | None = None
    missing_rows: MissingRows = "null"
    epoch: Epoch | None = None
    encoding: str | None = None

    @property
    def digest(self) -> str:
        """Short hash of what changes the rows, so that other options for the same bytes count as a new snapshot; empty
        where no option changes them. It is part of the marks in lakes: what is hashed must not change.
        """
        if self == ReadOptions(self.table):
            return ""
        absent = "zero" if self.missing_rows == "zero" else "missing"
        changes: tuple[object, ...] = (self.renames, sorted(self.constants.items()), self.timezone, absent)
        if self.epoch or self.encoding:
            changes = (*changes, self.epoch, self.encoding)
        return hashlib.sha256(repr(changes).encode()).hexdigest()[:12]


def read_options(
    table: str | None = None,
    renames: Iterable[str] = (),
    constants: Iterable[str] = (),
    timezone: str | None = None,
    missing_rows: MissingRows = "null",
    epoch: Epoch | None = None,
    encoding: str | None = None,
) -> ReadOptions:
    """The options from their parts as a person writes them; raises SettingError for what cannot be meant."""
    if table is not None and table not in INPUT_TABLES:
        raise SettingError(
            f"--table {table}: not a table that snapshots feed.",
            cause="a misspelling",
            remedy=f"use one of {', '.join(INPUT_TABLES)}",
        )
    if missing_rows not in ("null", "zero"):
        raise SettingError(
            f"--missing-rows {missing_rows}: neither null nor zero.", cause="a misspelling", remedy="use one of the two"
        )
    if epoch not in (None, *get_args(Epoch)):
        raise SettingError(
            f"--epoch {epoch}: no unit of numbers since 1970.",
            cause="a misspelling",
            remedy=f"use one of {', '.join(get_args(Epoch))}",
        )
    zone, by_column = _time_zone(timezone), _constants(constants, table)
    for ours, texts in by_column.items():
        for text in texts:
            parse_constant(CONTRACT_COLUMNS[ours], text, zone)
    named = tuple(_rename(text, table) for text in renames)
    return ReadOptions(table, named, by_column, zone, missing_rows, epoch, _encoding(encoding))


def _encoding(name: str | None) -> str | None:
    try:
        "".encode(name or "utf-8")
    except (LookupError, ValueError) as error:
        raise SettingError(
            f"--encoding {excerpt(name)}: no such encoding of text.",
            cause="a misspelling",
            remedy="use a name such as windows-1252, iso-8859-2, windows-1251, shift_jis or gb18030",
        ) from error
    return name


def _rename(text: str, table: str | None) -> Rename:
    match = RENAME.match(text)
    if not match:
        raise SettingError(
            f"--map {text}: not of the form theirs=ours.",
            remedy="write for instance --map region=site_id, or --map mbps*0.001=gbps",
        )
    return Rename(
        match["theirs"], _contract_column(match["ours"], f"--map {text}", table), _factor(match["factor"], text)
    )


def _factor(written: str | None, text: str) -> float:
    try:
        factor = float(written or 1)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise SettingError(
            f"--map {text}: the factor {written} is not a number above 0.",
            remedy="write for instance --map mbps*0.001=gbps",
        )
    return factor


def _constants(texts: Iterable[str], table: str | None) -> dict[str, tuple[str, ...]]:
    constants: dict[str, tuple[str, ...]] = {}
    for text in texts:
        ours, equals, value = text.partition("=")
        if not equals or not value:
            raise SettingError(
                f"--constant {text}: not of the form column=value.",
                remedy="write for instance --constant region_id=europe",
            )
        ours = _contract_column(ours, f"--constant {text}", table)
        constants[ours] = (*constants.get(ours, ()), value)
    return constants


def _contract_column(name: str, option: str, table: str | None) -> str:
    """The name, where the contract has such a column."""
    columns = set(CONTRACT_COLUMNS) if table is None else {column.name for column in TABLES[table].columns}
    if name not in columns:
        where = f"table {table}" if table else "table that snapshots feed"
        raise SettingError(
            f"{option}: no {where} has a column {name!r}.",
            cause="a misspelling",
            remedy=f"use one of {', '.join(sorted(columns))}",
        )
    return name


def _time_zone(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        nearest = ", ".join(nearest_time_zones(name))
        raise SettingError(
            f"--timezone {excerpt(name)}: no such zone.",
            cause="a misspelling, or an abbreviation",
            remedy="use an IANA name, for instance UTC or Europe/Berlin" + (nearest and f"; the nearest: {nearest}"),
        ) from error


# Which table a snapshot feeds ----------------------------------------------------------------------------------------


def detect_table(source: Source, names: Sequence[str], options: ReadOptions) -> Table:
    """The table that the snapshot feeds; raises RefusedError where it cannot be told.

    The one table whose required columns are all there is meant. Where several or none have them, the name decides, so
    that telemetry without its site_id is refused as telemetry that lacks a column.
    """
    if options.table:
        return TABLES[options.table]
    known = {normalized_name(name) for name in names} - {""}
    given = {ours for ours in CONTRACT_COLUMNS if normalized_name(ours) in known}
    given |= {rename.ours for rename in options.renames} | set(options.constants)
    whole = [name for name in INPUT_TABLES if _required_columns(name) <= given]
    if len(whole) == 1:
        return TABLES[whole[0]]
    named = _table_by_name(source, whole or INPUT_TABLES)
    if named:
        return TABLES[named]
    raise _undetected(names, whole, given)


def _required_columns(name: str) -> set[str]:
    return {column.name for column in TABLES[name].columns if column.required}


def _table_by_name(source: Source, candidates: Sequence[str]) -> str | None:
    """The candidate that the file's name holds as a word, or else the nearest folder's."""
    for part in (source.name, *reversed(source.folders)):
        words = set(re.split(r"[^a-z0-9]+", part.casefold()))
        named = [name for name in candidates if name in words]
        if len(named) == 1:
            return named[0]
    return None


def _undetected(names: Sequence[str], whole: Sequence[str], given: set[str]) -> RefusedError:
    seen = listed(names)
    if whole:
        return file_refusal(
            seen,
            f"the columns of one table; these are of {' and of '.join(whole)}",
            "the export joins two tables",
            "name the table with --table",
        )
    nearest = max(INPUT_TABLES, key=lambda name: len(_required_columns(name) & given) / len(_required_columns(name)))
    lacking = ", ".join(sorted(_required_columns(nearest) - given))
    bound = f"the columns of a table; the nearest is {nearest}, which also needs {lacking}"
    remedy = "name the table with --table, and rename columns with --map theirs=ours"
    return file_refusal(seen, bound, "the producer uses other names, or sent something else", remedy)


# Rows under the contract's names -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MappedRows:
    """Rows under the contract's names; `bad` are those that could not be converted, as the producer wrote them, with
    the reasons; `notes` say what counts as missing.
    """

    rows: pa.Table
    bad: pa.Table
    faults: list[Fault] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def normalized_name(name: str) -> str:
    """A column's name without case, spaces, punctuation and invisible characters: "Site ID" and site_id are the same
    column. Letters, digits and accents of all scripts stay; a name of nothing else is empty, and equals no other.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(ch for ch in folded if unicodedata.category(ch)[0] in "LNM")


# Names that a message lists: one can choose among them what to map.
NAMES_LISTED, NAME_LISTED = 40, 60


def listed(names: Sequence[str]) -> str:
    """A file's own names for a message, with what cannot be seen in them."""
    shown = [excerpt(name) if name == name.strip() and name else repr(name) for name in names[:NAMES_LISTED]]
    shown = [name if len(name) <= NAME_LISTED else f"{name[:NAME_LISTED]}..." for name in shown]
    more = f" and {len(names) - NAMES_LISTED} more" if len(names) > NAMES_LISTED else ""
    return ", ".join(shown) + more or "no columns"


def match_columns(table: Table, names: Sequence[str], options: ReadOptions) -> tuple[dict[str, Rename], list[str]]:
    """Which of a snapshot's columns becomes which column of the contract, and notes on renames of columns that the file
    does not have; raises RefusedError where that is not clear, or a required column is not there.

    A rename comes before a column that has the contract's name already, and the exact name before one that differs in
    case.
    """
    renames: dict[str, Rename] = {}
    absent: dict[str, str] = {}
    for rename in options.renames:
        if table.column(rename.ours):
            theirs = _column_named(rename.theirs, names)
            if theirs is None:
                absent[rename.ours] = rename.theirs
            else:
                renames[rename.ours] = Rename(theirs, rename.ours, rename.factor)
    for column in table.columns:
        own = None if column.name in renames else _column_named(column.name, names)
        if own is not None:
            renames[column.name] = Rename(own, column.name)
    missing = [
        _missing_column(column, names, absent.get(column.name))
        for column in table.columns
        if column.required and column.name not in renames and column.name not in options.constants
    ]
    if missing:
        raise RefusedError(missing)
    notes = [f"the file has no column {excerpt(theirs)} (--map {theirs}={ours})" for ours, theirs in absent.items()]
    return {ours: rename for ours, rename in renames.items() if ours not in options.constants}, notes


def _missing_column(column: Column, names: Sequence[str], theirs: str | None) -> Fault:
    """The fault of a required column that the file does not have, with the names that it has."""
    cause = "the producer uses another name, or sent another table"
    if theirs is not None:
        cause = f"--map names a column {excerpt(theirs)}, which the file does not have"
        if _column_named(theirs.partition(".")[0], names) is not None:
            cause += "; a nested column is not taken apart"
    return Fault(
        "file",
        column.name,
        f"absent (the file has: {listed(names)})",
        f"a column {column.name} ({column.type})",
        0,
        cause,
        f"rename it with --map THEIRS={column.name}, or name the table with --table",
    )


def map_rows(table: Table, raw: RawTable, renames: dict[str, Rename], options: ReadOptions) -> MappedRows:
    """The columns read, in the contract's names and types; a column of a type that cannot be meant stays as it is, for the
    contract's check to name it.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    masked: list[MaskedFault] = []
    notes: list[str] = []
    for ours, rename in renames.items():
        column = table.column(ours)
        assert column is not None  # noqa: S101 - match_columns names columns of the table alone
        values = plain(raw.table[rename.theirs])
        if column.type == REAL and (is_text(values.type) or is_number(values.type)):
            numbers = parse_numbers(values)
            masked += _row_faults(column, values, numbers.unread, NUMBERS)
            if numbers.counter_ends:
                ends = f"{numbers.counter_ends:,} of {excerpt(rename.theirs)} are the largest number of a counter"
                notes.append(f"{ends} (2^31-1, 2^32-1, 2^63-1 or 2^64-1), and count as missing")
            columns[ours] = pc.multiply(numbers.values, rename.factor) if rename.factor != 1.0 else numbers.values
        elif pa.types.is_timestamp(column.type):
            columns[ours], stamp_faults = _converted_stamps(column, values, options)
            masked += stamp_faults
        elif column.type == TEXT and (is_bytes(values.type) or is_number(values.type) or is_text(values.type)):
            texts = parse_text(values)
            masked += _row_faults(column, values, texts.unread, NAMES)
            columns[ours] = texts.values
        else:
            columns[ours] = values
    rows = pa.table(columns) if columns else pa.table({"_": pa.nulls(raw.table.num_rows)})
    bad = _union([mask for mask, _ in masked], raw.table.num_rows)
    good = rows if not masked else rows.filter(pc.invert(bad))
    faults = [fault for _, fault in masked]
    return MappedRows(_with_constants(table, good, options), raw.table.filter(bad), faults, tuple(notes))


def _column_named(name: str, names: Sequence[str]) -> str | None:
    """The column of that name among `names`."""
    if name in names:
        if names.count(name) > 1:
            raise _ambiguous(name, [name, name])
        return name
    wanted = normalized_name(name)
    alike = [other for other in names if wanted and normalized_name(other) == wanted]
    if len(alike) > 1:
        raise _ambiguous(name, alike)
    return alike[0] if alike else None


def _ambiguous(name: str, alike: Sequence[str]) -> RefusedError:
    return file_refusal(
        listed(alike),
        f"one column {name}",
        "the export holds the column twice",
        "drop or rename all but one",
        column=name,
    )


# Values that cannot be read ------------------------------------------------------------------------------------------


def parse_constant(column: Column, text: str, zone: str | None) -> pa.Scalar:
    """The text as a value of the column; raises SettingError where it is none."""
    values = pa.chunked_array([pa.array([text], pa.string())])
    masked: list[MaskedFault] = []
    try:
        if pa.types.is_timestamp(column.type):
            values, masked = _converted_stamps(column, values, ReadOptions(timezone=zone))
        elif column.type == REAL:
            numbers = parse_numbers(values)
            values, masked = numbers.values, list(_row_faults(column, values, numbers.unread, NUMBERS))
    except RefusedError as error:
        masked = [(pa.array([True]), error.faults[0])]
    if masked:
        raise SettingError(
            f"--constant {column.name}={text}: the contract wants {masked[0][1].bound}.",
            cause="a misspelling",
            remedy=masked[0][1].remedy,
        )
    return values[0]


def _converted_stamps(
    column: Column, values: pa.ChunkedArray, options: ReadOptions
) -> tuple[pa.ChunkedArray, list[MaskedFault]]:
    """Stamps in UTC, and the rows that are none; raises RefusedError where the whole column lacks its zone or its unit. A
    column of another type comes back as it is.
    """
    kind = values.type
    counted = is_number(kind)
    if not (counted or is_text(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return values, []
    if counted and options.epoch is None and values.null_count < len(values):
        number = values.drop_null()[0].as_py()
        raise file_refusal(
            f"{number} ({kind})",
            "stamps, or numbers since 1970 whose unit is declared",
            f"the producer counts from a fixed moment{_likely_moment(float(number))}",
            f"declare the unit with --epoch, for instance --epoch {likely_epoch(float(number)) or 's'}",
            column=column.name,
            count=len(values),
        )
    stamps = parse_stamps(values, options.timezone, options.epoch)
    unzoned = pc.sum(stamps.unzoned).as_py() or 0
    if unzoned and unzoned == pc.sum(pc.or_(stamps.unzoned, pc.is_valid(stamps.values))).as_py():
        value = first_value(values.filter(stamps.unzoned))
        raise RefusedError([_unzoned_fault(column, value, unzoned, level="file")])
    return stamps.values, list(_stamp_faults(column, values, stamps, options))


def _stamp_faults(
    column: Column, values: pa.ChunkedArray, stamps: Stamps, options: ReadOptions
) -> Iterator[MaskedFault]:
    for mask, value in _first_hit(values, stamps.unzoned):
        yield mask, _unzoned_fault(column, value, _count(mask))
    changed = Expected(
        f"a time that came once in {options.timezone}",
        "the clocks changed in that hour, so that it came twice or not at all",
        "export the stamps in UTC",
    )
    yield from _row_faults(column, values, stamps.unclear, changed)
    for mask, value in _first_hit(values, stamps.beyond):
        number, unit = _raw_stamp(values.filter(mask), options.epoch)
        words = f"{value}, which is {moment_words(number, unit)}" if number is not None else value
        likely = likely_epoch(number) if number is not None else None
        meant = f"{EPOCH_WORDS[likely]} taken for {EPOCH_WORDS[unit]}" if likely else "microseconds taken for seconds"
        remedy = (
            f"declare the unit with --epoch {likely or 'ms'}" if options.epoch else "write stamps as timestamp[us, UTC]"
        )
        bound = "a stamp of the years 1 to 9999"
        yield mask, Fault("rows", column.name, words, bound, _count(mask), f"a unit is wrong: {meant}", remedy)
    for mask, value in _first_hit(values, stamps.unread):
        number = float(value) if re.match(DIGITS, value) else None
        cause, remedy = "another format, or no such day", "write stamps in ISO 8601, with their zone"
        if number is not None:
            cause = f"the producer counts from a fixed moment{_likely_moment(number)}"
            remedy = f"declare the unit with --epoch, for instance --epoch {likely_epoch(number) or 's'}"
        bound = "a stamp such as 2026-01-31T23:55:00Z"
        yield mask, Fault("rows", column.name, value, bound, _count(mask), cause, remedy)


def _unzoned_fault(column: Column, value: str, count: int, *, level: Literal["file", "rows"] = "rows") -> Fault:
    """Stamps without a zone, in the words of the contract's own check."""
    return Fault(
        level,
        column.name,
        f"{value} (no time zone)",
        str(column.type),
        count,
        "the producer wrote local or unlabelled times",
        "say which zone they are in with --timezone, for instance --timezone UTC",
    )


def _raw_stamp(values: pa.ChunkedArray, epoch: Epoch | None) -> tuple[float | None, Epoch]:
    """The first of some stamps as a number since 1970, and its unit; None where it is text of another form."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        return float(values[0].cast(pa.int64()).as_py()), kind.unit
    if pa.types.is_date(kind):
        stamps = values.cast(pa.timestamp("s") if pa.types.is_date32(kind) else pa.timestamp("ms"))
        return _raw_stamp(stamps, epoch)
    number = parse_numbers(values).values[0].as_py() if epoch else None
    return number, epoch or "us"


def _likely_moment(number: float) -> str:
    """What a number looks like, where it is likely a moment."""
    unit = likely_epoch(number)
    return f": {EPOCH_WORDS[unit]} since 1970 would be {moment_words(number, unit)} UTC" if unit else ""


class Expected(NamedTuple):
    """What the contract wants of a value, why it is likely not that, and what to do about it."""

    bound: str
    cause: str
    remedy: str


NUMBERS = Expected(
    "a number, with a point for decimals", "another format, or a unit written behind the number", "export plain numbers"
)
NAMES = Expected(
    "text in UTF-8, or a whole number",
    "another column under this name, or text in another encoding",
    "send the identifier or name as text in UTF-8",
)


def _row_faults(
    column: Column, values: pa.ChunkedArray, is_faulty: pa.BooleanArray, expected: Expected
) -> Iterator[MaskedFault]:
    """The fault of the rows that are not as expected, with the first such value; none where all are."""
    for mask, value in _first_hit(values, is_faulty):
        yield mask, Fault("rows", column.name, value, expected.bound, _count(mask), expected.cause, expected.remedy)


def _first_hit(values: pa.ChunkedArray, mask: pa.BooleanArray) -> Iterator[tuple[pa.BooleanArray, str]]:
    """The mask and the first value that it hits, where it hits any."""
    if pc.any(mask).as_py():
        yield mask, first_value(values.filter(mask))


def _count(mask: pa.BooleanArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _union(masks: Sequence[pa.BooleanArray], count: int) -> pa.BooleanArray:
    union = pa.repeat(pa.scalar(False), count)
    for mask in masks:
        union = pc.or_(union, mask)
    return union


def _with_constants(table: Table, rows: pa.Table, options: ReadOptions) -> pa.Table:
    """The rows once for each combination of the constants' values."""
    constants = {ours: values for ours, values in options.constants.items() if table.column(ours)}
    return pa.concat_tables(
        [
            _with_constant(table, rows, dict(zip(constants, chosen, strict=True)), options.timezone)
            for chosen in itertools.product(*constants.values())
        ]
    )


def _with_constant(table: Table, rows: pa.Table, constants: dict[str, str], zone: str | None) -> pa.Table:
    for ours, text in constants.items():
        column = table.column(ours)
        assert column is not None  # noqa: S101 - the caller has looked
        rows = rows.append_column(
            ours, pa.chunked_array([pa.repeat(parse_constant(column, text, zone), rows.num_rows)], column.type)
        )
    return rows.drop_columns(["_"]) if "_" in rows.column_names else rows
