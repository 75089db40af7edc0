"""From a producer's columns to the contract's: what the options of reading say, which table is meant, and the rows under
the contract's names.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.file_reader import (
    MaskedFault,
    RawTable,
    RefusedError,
    file_refusal,
    localize_stamps,
    parse_constant,
    parse_numbers,
    parse_stamps,
)
from data.ingest.sources import Source
from data.schema import INPUT_TABLES, REAL, TABLES, Column, Table
from data.schema.errors import SettingError
from data.schema.validation import Fault, excerpt, nearest_time_zones

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
    `timezone` is that of stamps that name none. `missing_rows` says what a row that is not there means: nothing is known
    ("null"), or zero was measured ("zero", for producers that leave zeros out).
    """

    table: str | None = None
    renames: tuple[Rename, ...] = ()
    constants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    timezone: str | None = None
    missing_rows: MissingRows = "null"

    @property
    def digest(self) -> str:
        """Short hash of what changes the rows, so that other options for the same bytes count as a new snapshot; empty
        where no option changes them. It is part of the marks in lakes: what is hashed must not change.
        """
        if self == ReadOptions(self.table):
            return ""
        absent = "zero" if self.missing_rows == "zero" else "missing"
        changes = (self.renames, sorted(self.constants.items()), self.timezone, absent)
        return hashlib.sha256(repr(changes).encode()).hexdigest()[:12]


def read_options(
    table: str | None = None,
    renames: Iterable[str] = (),
    constants: Iterable[str] = (),
    timezone: str | None = None,
    missing_rows: MissingRows = "null",
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
    by_column = _constants(constants, table)
    for ours, texts in by_column.items():
        for text in texts:
            parse_constant(CONTRACT_COLUMNS[ours], text, _time_zone(timezone))
    return ReadOptions(
        table, tuple(_rename(text, table) for text in renames), by_column, _time_zone(timezone), missing_rows
    )


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
    given = (
        {normalized_name(name) for name in names} | {rename.ours for rename in options.renames} | set(options.constants)
    )
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
    seen = excerpt(", ".join(names) or "no columns")
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
    the reasons.
    """

    rows: pa.Table
    bad: pa.Table
    faults: list[Fault] = field(default_factory=list)


def normalized_name(name: str) -> str:
    """A column's name without case, spaces and punctuation: "Site ID" and site_id are the same column."""
    return re.sub(r"[^0-9a-z]+", "_", name.strip().casefold()).strip("_")


def match_columns(table: Table, names: Sequence[str], options: ReadOptions) -> dict[str, Rename]:
    """Which of a snapshot's columns becomes which column of the contract; raises RefusedError where that is not clear.

    A rename comes before a column that has the contract's name already, and the exact name before one that differs in
    case.
    """
    renames: dict[str, Rename] = {}
    for rename in options.renames:
        theirs = _column_named(rename.theirs, names)
        if theirs is not None and table.column(rename.ours):
            renames[rename.ours] = Rename(theirs, rename.ours, rename.factor)
    for column in table.columns:
        theirs = None if column.name in renames else _column_named(column.name, names)
        if theirs is not None:
            renames[column.name] = Rename(theirs, column.name)
    return {ours: rename for ours, rename in renames.items() if ours not in options.constants}


def map_rows(table: Table, raw: RawTable, renames: dict[str, Rename], options: ReadOptions) -> MappedRows:
    """The columns read, in the contract's names. Types are converted only where the producer could not have written them (text
    in CSV, local stamps).
    """
    columns: dict[str, pa.ChunkedArray] = {}
    masked: list[MaskedFault] = []
    for ours, rename in renames.items():
        column = table.column(ours)
        assert column is not None  # noqa: S101 - match_columns names columns of the table alone
        columns[ours], faults = _converted(column, raw.table[rename.theirs], options, textual=raw.textual)
        columns[ours] = _scaled(columns[ours], rename.factor)
        masked += faults
    rows = pa.table(columns) if columns else pa.table({"_": pa.nulls(raw.table.num_rows)})
    bad = _union([mask for mask, _ in masked], raw.table.num_rows)
    good = rows if not masked else rows.filter(pc.invert(bad))
    return MappedRows(_with_constants(table, good, options), raw.table.filter(bad), [fault for _, fault in masked])


def _column_named(name: str, names: Sequence[str]) -> str | None:
    """The column of that name among `names`."""
    if name in names:
        if names.count(name) > 1:
            raise _ambiguous(name, [name, name])
        return name
    alike = [other for other in names if normalized_name(other) == normalized_name(name)]
    if len(alike) > 1:
        raise _ambiguous(name, alike)
    return alike[0] if alike else None


def _ambiguous(name: str, alike: Sequence[str]) -> RefusedError:
    return file_refusal(
        excerpt(", ".join(alike)),
        f"one column {name}",
        "the export holds the column twice",
        "drop or rename all but one",
        column=name,
    )


def _converted(
    column: Column, values: pa.ChunkedArray, options: ReadOptions, *, textual: bool
) -> tuple[pa.ChunkedArray, list[MaskedFault]]:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    text = (
        pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type)
    )
    if pa.types.is_timestamp(column.type):
        if text:
            return parse_stamps(column, values.cast(pa.string()), options.timezone)
        if options.timezone and pa.types.is_timestamp(values.type) and values.type.tz is None:
            return localize_stamps(column, values, options.timezone)
    if textual and column.type == REAL:
        return parse_numbers(column, values)
    return values, []


def _scaled(values: pa.ChunkedArray, factor: float) -> pa.ChunkedArray:
    """Values times a factor; what is no number stays, for the contract's check to name it."""
    kind = values.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return pc.multiply(values.cast(REAL, safe=False), factor) if number and factor != 1.0 else values


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
