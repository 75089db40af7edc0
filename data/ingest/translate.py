"""A producer's columns as the contract's: renamed, converted, with constants set; read according to a `Reading`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.parse_values import Hit, constant, localised, numbers, stamps
from data.ingest.reading import Reading, Rename
from data.ingest.snapshot import Frame, RefusedError, refused
from data.schema import REAL, Column, Table
from data.schema.validation import Fault, excerpt


@dataclass(frozen=True, slots=True)
class Translated:
    """Rows under the contract's names; `bad` are those that could not be converted, as the producer wrote them, with
    the reasons.
    """

    rows: pa.Table
    bad: pa.Table
    faults: list[Fault] = field(default_factory=list)


def plain(name: str) -> str:
    """A column's name without case, spaces and punctuation: "Site ID" and site_id are the same column."""
    return re.sub(r"[^0-9a-z]+", "_", name.strip().casefold()).strip("_")


def sources_of(table: Table, names: Sequence[str], reading: Reading) -> dict[str, Rename]:
    """Which of a snapshot's columns becomes which column of the contract; raises RefusedError where that is not clear.

    A rename comes before a column that has the contract's name already, and the exact name before one that differs in
    case.
    """
    found: dict[str, Rename] = {}
    for rename in reading.renames:
        theirs = _named(rename.theirs, names)
        if theirs is not None and table.column(rename.ours):
            found[rename.ours] = Rename(theirs, rename.ours, rename.factor)
    for column in table.columns:
        theirs = None if column.name in found else _named(column.name, names)
        if theirs is not None:
            found[column.name] = Rename(theirs, column.name)
    return {ours: rename for ours, rename in found.items() if ours not in reading.constants}


def translate(table: Table, frame: Frame, sources: dict[str, Rename], reading: Reading) -> Translated:
    """The frame in the contract's names. Types are converted only where the producer could not have written them (text
    in CSV, local stamps).
    """
    columns: dict[str, pa.ChunkedArray] = {}
    hits: list[Hit] = []
    for ours, rename in sources.items():
        column = table.column(ours)
        assert column is not None  # noqa: S101 - sources_of names columns of the table alone
        columns[ours], found = _converted(column, frame.table[rename.theirs], reading, textual=frame.textual)
        columns[ours] = _scaled(columns[ours], rename.factor)
        hits += found
    rows = pa.table(columns) if columns else pa.table({"_": pa.nulls(frame.table.num_rows)})
    bad = _any_of([mask for mask, _ in hits], frame.table.num_rows)
    good = rows if not hits else rows.filter(pc.invert(bad))
    return Translated(_with_constants(table, good, reading), frame.table.filter(bad), [fault for _, fault in hits])


def _named(name: str, names: Sequence[str]) -> str | None:
    """The column of that name among `names`."""
    if name in names:
        if names.count(name) > 1:
            raise _ambiguous(name, [name, name])
        return name
    alike = [other for other in names if plain(other) == plain(name)]
    if len(alike) > 1:
        raise _ambiguous(name, alike)
    return alike[0] if alike else None


def _ambiguous(name: str, alike: Sequence[str]) -> RefusedError:
    return refused(
        excerpt(", ".join(alike)),
        f"one column {name}",
        "the export holds the column twice",
        "drop or rename all but one",
        column=name,
    )


def _converted(
    column: Column, values: pa.ChunkedArray, reading: Reading, *, textual: bool
) -> tuple[pa.ChunkedArray, list[Hit]]:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    text = (
        pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type)
    )
    if pa.types.is_timestamp(column.type):
        if text:
            return stamps(column, values.cast(pa.string()), reading.zone)
        if reading.zone and pa.types.is_timestamp(values.type) and values.type.tz is None:
            return localised(column, values, reading.zone)
    if textual and column.type == REAL:
        return numbers(column, values)
    return values, []


def _scaled(values: pa.ChunkedArray, factor: float) -> pa.ChunkedArray:
    """Values times a factor; what is no number stays, for the contract's check to name it."""
    kind = values.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return pc.multiply(values.cast(REAL, safe=False), factor) if number and factor != 1.0 else values


def _any_of(masks: Sequence[pa.BooleanArray], count: int) -> pa.BooleanArray:
    found = pa.repeat(pa.scalar(False), count)
    for mask in masks:
        found = pc.or_(found, mask)
    return found


def _with_constants(table: Table, rows: pa.Table, reading: Reading) -> pa.Table:
    """The rows once for each combination of the constants' values."""
    constants = {ours: values for ours, values in reading.constants.items() if table.column(ours)}
    return pa.concat_tables(
        [
            _filled(table, rows, dict(zip(constants, chosen, strict=True)), reading.zone)
            for chosen in itertools.product(*constants.values())
        ]
    )


def _filled(table: Table, rows: pa.Table, constants: dict[str, str], zone: str | None) -> pa.Table:
    for ours, text in constants.items():
        column = table.column(ours)
        assert column is not None  # noqa: S101 - the caller has looked
        rows = rows.append_column(
            ours, pa.chunked_array([pa.repeat(constant(column, text, zone), rows.num_rows)], column.type)
        )
    return rows.drop_columns(["_"]) if "_" in rows.column_names else rows
