"""What of a snapshot keeps the contract: the whole way from its bytes to rows that may go into the lake, and the
reasons for those that may not.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.deduplicate import unrepeated
from data.ingest.detect_table import table_of
from data.ingest.fill_zeros import with_zeros
from data.ingest.parse_values import Hit
from data.ingest.reading import Reading
from data.ingest.snapshot import RefusedError, column_names, load
from data.ingest.sources import Source
from data.ingest.translate import sources_of, translate
from data.lake.tables import Lake
from data.schema import Column, Table
from data.schema.validation import Fault, excerpt, validate

SITES_OF = {
    "capacity": ("site_id",),
    "telemetry": ("site_id",),
    "flows": ("source_site_id", "target_site_id"),
    "links": ("source_site_id", "target_site_id"),
}
TIME_OF_INGEST = "the time of the ingest"


@dataclass(frozen=True, slots=True)
class Known:
    """The sites and regions that rows may name."""

    sites: frozenset[str]
    regions: frozenset[str]

    @classmethod
    def of(cls, lake: Lake) -> Known:
        return cls.among(lake.read("sites"))

    @classmethod
    def among(cls, sites: pa.Table) -> Known:
        return cls(frozenset(sites["site_id"].to_pylist()), frozenset(sites["region_id"].to_pylist()))

    def __or__(self, other: Known) -> Known:
        return Known(self.sites | other.sites, self.regions | other.regions)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows refused at one stage of the check, in the columns that they had there, and why."""

    stage: str
    rows: pa.Table
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class Checked:
    """A snapshot after the check.

    `rows` were read; `good` are in the contract's columns and order, one for each key; `repeated` said the same once
    more; `zeros` were added; `unused` are the producer's columns that nothing asked for; `origin` is the mark of the
    simulator.
    """

    table: Table
    rows: int
    good: pa.Table
    refusals: list[Refusal] = field(default_factory=list)
    repeated: int = 0
    zeros: int = 0
    unused: tuple[str, ...] = ()
    origin: str = ""

    @property
    def quarantined(self) -> int:
        return sum(refusal.rows.num_rows for refusal in self.refusals)

    @property
    def faults(self) -> list[Fault]:
        return [fault for refusal in self.refusals for fault in refusal.faults]


def table_for(data: bytes, source: Source, reading: Reading) -> Table:
    """The table that the bytes of a snapshot are for; raises RefusedError where it cannot be told."""
    return table_of(source, column_names(io.BytesIO(data), source.name), reading)


def check(data: bytes, source: Source, table: Table, reading: Reading, known: Known | None, now: datetime) -> Checked:
    """Check a snapshot for a table; raises RefusedError where nothing of it can be used.

    The stages: types as the reading says, the contract, known sites (not looked for where `known` is None), one row for
    each key.
    """
    names = column_names(io.BytesIO(data), source.name)
    sources = sources_of(table, names, reading)
    taken = dict.fromkeys(rename.theirs for rename in sources.values())
    frame = load(data, source.name, list(taken))
    translated = translate(table, frame, sources, reading)
    found = validate(table, translated.rows, now=now)
    if found.refused:
        raise RefusedError(found.faults)
    rows, strange = _of_known(table, found.good, known)
    single = unrepeated(table, rows)
    complete = with_zeros(table, single.rows) if reading.absent == "zero" else single.rows
    refusals = [
        Refusal("types", translated.bad, translated.faults),
        Refusal("contract", found.bad, found.faults),
        strange,
        Refusal("repeated", single.contrary, _contradiction(table, single.contrary)),
    ]
    return Checked(
        table,
        translated.rows.num_rows + translated.bad.num_rows,
        filled(table, complete, now),
        [refusal for refusal in refusals if refusal.faults],
        single.repeated,
        complete.num_rows - single.rows.num_rows,
        tuple(name for name in names if name not in taken),
        frame.origin,
    )


def filled(table: Table, rows: pa.Table, now: datetime) -> pa.Table:
    """The rows with what ingest writes where a snapshot holds nothing."""
    for place, column in enumerate(table.columns):
        if column.filled and rows[column.name].null_count:
            rows = rows.set_column(
                place, column.name, pc.coalesce(rows[column.name], _filling(table, column, rows, now))
            )
    return rows


def _filling(table: Table, column: Column, rows: pa.Table, now: datetime) -> pa.ChunkedArray | pa.Scalar:
    if table.column(column.filled):
        return rows[column.filled]
    return pa.scalar(now if column.filled == TIME_OF_INGEST else column.filled, column.type)


def _of_known(table: Table, rows: pa.Table, known: Known | None) -> tuple[pa.Table, Refusal]:
    """The rows whose sites and scopes the lake knows, and the others."""
    hits = [] if known is None else list(_unknown(table, rows, known))
    strange = pa.repeat(pa.scalar(False), rows.num_rows)
    for mask, _ in hits:
        strange = pc.or_(strange, mask)
    return rows.filter(pc.invert(strange)) if hits else rows, Refusal(
        "sites", rows.filter(strange), [fault for _, fault in hits]
    )


def _unknown(table: Table, rows: pa.Table, known: Known) -> Iterator[Hit]:
    sites = f"a site of the lake, which knows {len(known.sites):,}"
    for name in SITES_OF.get(table.name, ()):
        yield from _outside(name, rows[name], known.sites, sites)
    if table.name == "events":
        scopes = known.sites | known.regions | {"global"}
        yield from _outside(
            "scope", pc.fill_null(rows["scope"], "global"), scopes, "global, a region_id or a site_id of the lake"
        )


def _outside(name: str, values: pa.ChunkedArray, allowed: frozenset[str], bound: str) -> Iterator[Hit]:
    hit = pc.invert(pc.is_in(values, value_set=pa.array(sorted(allowed), pa.string()))).combine_chunks()
    count = pc.sum(hit).as_py() or 0
    if count:
        seen = pc.unique(values.filter(hit)).to_pylist()
        value = excerpt(", ".join(seen[:3]) + (f" and {len(seen) - 3} more" if len(seen) > 3 else ""))
        cause = "the sites have not been taken in yet, or the name is misspelt"
        yield (
            hit,
            Fault(
                "rows",
                name,
                value,
                bound,
                count,
                cause,
                "ingest a sites snapshot that names them, then ingest what was quarantined",
            ),
        )


def _contradiction(table: Table, rows: pa.Table) -> list[Fault]:
    """The fault of rows that contradict another row of the same snapshot."""
    if not rows.num_rows:
        return []
    value = excerpt(", ".join(str(rows[name][0].as_py()) for name in table.key))
    which = "the row received last was taken in" if table.column("received_at") else "the last row was taken in"
    bound = f"one row for each {', '.join(table.key)}; {which}"
    cause, remedy = (
        "an export that overlaps itself, or corrections without a received_at",
        "send a row once, and a correction with a later received_at",
    )
    return [Fault("rows", ", ".join(table.key), value, bound, rows.num_rows, cause, remedy)]
