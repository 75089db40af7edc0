"""Check a snapshot: from its bytes to rows that may go into the lake, and the reasons for those that may not.

The stages: read, map columns, the contract, known sites, one row for each key, zeros for rows that are not there.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.column_mapping import MaskedFault, ReadOptions, map_rows, match_columns
from data.ingest.file_reader import BadLine, RefusedError, column_names, read_columns
from data.ingest.sources import Source
from data.lake.tables import Lake
from data.schema import METRIC, Column, Table
from data.schema.validation import Fault, excerpt, validate

SITES_OF = {
    "capacity": ("site_id",),
    "telemetry": ("site_id",),
    "flows": ("source_site_id", "target_site_id"),
    "links": ("source_site_id", "target_site_id"),
}
TIME_OF_INGEST = "the time of the ingest"


@dataclass(frozen=True, slots=True)
class KnownPlaces:
    """The sites and regions that rows may name."""

    sites: frozenset[str]
    regions: frozenset[str]

    @classmethod
    def of(cls, lake: Lake) -> KnownPlaces:
        return cls.among(lake.read("sites"))

    @classmethod
    def among(cls, sites: pa.Table) -> KnownPlaces:
        return cls(frozenset(sites["site_id"].to_pylist()), frozenset(sites["region_id"].to_pylist()))

    def __or__(self, other: KnownPlaces) -> KnownPlaces:
        return KnownPlaces(self.sites | other.sites, self.regions | other.regions)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows refused at one stage of the check, in the columns that they had there, and why."""

    stage: str
    rows: pa.Table
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class CheckedSnapshot:
    """A snapshot after the check.

    `rows` were read; `good` are in the contract's columns and order, one for each key; `repeated` said the same once
    more; `zeros` were added; `unused` are the producer's columns that nothing asked for; `origin` is the mark of the
    simulator; `notes` say what was taken for granted.
    """

    table: Table
    rows: int
    good: pa.Table
    refusals: list[Refusal] = field(default_factory=list)
    repeated: int = 0
    zeros: int = 0
    unused: tuple[str, ...] = ()
    origin: str = ""
    notes: tuple[str, ...] = ()

    @property
    def quarantined(self) -> int:
        return sum(refusal.rows.num_rows for refusal in self.refusals)

    @property
    def faults(self) -> list[Fault]:
        return [fault for refusal in self.refusals for fault in refusal.faults]


def check_snapshot(
    data: bytes, source: Source, table: Table, options: ReadOptions, places: KnownPlaces | None, now: datetime
) -> CheckedSnapshot:
    """Check a snapshot for a table; sites are not looked for where `places` is None.

    Raises RefusedError where nothing of it can be used.
    """
    names = column_names(io.BytesIO(data), options.encoding, source.partitions)
    renames, notes = match_columns(table, names, options)
    used = dict.fromkeys(rename.theirs for rename in renames.values())
    raw = read_columns(data, list(used), encoding=options.encoding, partitions=source.partitions)
    mapped = map_rows(table, raw, renames, options)
    findings = validate(table, mapped.rows, now=now)
    if findings.refused:
        raise RefusedError(findings.faults)
    placed, unknown = _split_by_known_places(table, findings.good, places)
    single = deduplicate(table, placed)
    complete = fill_zeros(table, single.rows) if options.missing_rows == "zero" else single.rows
    refusals = [
        _refused_lines(raw.bad_lines),
        Refusal("types", mapped.bad, mapped.faults),
        Refusal("contract", findings.bad, findings.faults),
        unknown,
        Refusal("repeated", single.conflicting, _conflict_faults(table, single.conflicting)),
    ]
    return CheckedSnapshot(
        table,
        mapped.rows.num_rows + mapped.bad.num_rows + len(raw.bad_lines),
        fill_defaults(table, complete, now),
        [refusal for refusal in refusals if refusal.faults],
        single.repeated,
        complete.num_rows - single.rows.num_rows,
        tuple(name for name in names if name not in used),
        raw.origin,
        (*raw.notes, *notes, *mapped.notes),
    )


# Lines that a message names; the others are in the quarantine, each with its number and text.
LINES_NAMED = 5


def _refused_lines(lines: Sequence[BadLine]) -> Refusal:
    """Lines of a text file that are no rows, a fault for each kind."""
    kinds: dict[tuple[str, str], list[BadLine]] = {}
    for line in lines:
        kinds.setdefault((line.bound, line.remedy), []).append(line)
    faults = []
    for (bound, remedy), of_kind in kinds.items():
        first, others = of_kind[0], of_kind[1:LINES_NAMED]
        also = (
            f"; also line{'s' if len(others) > 1 else ''} {', '.join(str(line.line) for line in others)}"
            if others
            else ""
        )
        more = f" and {len(of_kind) - LINES_NAMED:,} more" if len(of_kind) > LINES_NAMED else ""
        value = f"line {first.line}: {excerpt(first.text)}{also}{more}"
        faults.append(Fault("rows", "", value, bound, len(of_kind), first.cause, remedy))
    schema = pa.schema([("line", pa.int64()), ("text", pa.string()), ("wrong", pa.string())])
    rows = [{"line": line.line, "text": line.text, "wrong": f"{line.cause}; allowed: {line.bound}"} for line in lines]
    return Refusal("lines", pa.Table.from_pylist(rows, schema=schema), faults)


def fill_defaults(table: Table, rows: pa.Table, now: datetime) -> pa.Table:
    """The rows with what ingest writes where a snapshot holds nothing."""
    for place, column in enumerate(table.columns):
        if column.filled and rows[column.name].null_count:
            rows = rows.set_column(
                place, column.name, pc.coalesce(rows[column.name], _default_values(table, column, rows, now))
            )
    return rows


def _default_values(table: Table, column: Column, rows: pa.Table, now: datetime) -> pa.ChunkedArray | pa.Scalar:
    if table.column(column.filled):
        return rows[column.filled]
    return pa.scalar(now if column.filled == TIME_OF_INGEST else column.filled, column.type)


def _split_by_known_places(table: Table, rows: pa.Table, places: KnownPlaces | None) -> tuple[pa.Table, Refusal]:
    """The rows whose sites and scopes the lake knows, and the others."""
    faults = [] if places is None else list(_unknown_places(table, rows, places))
    is_unknown = pa.repeat(pa.scalar(False), rows.num_rows)
    for mask, _ in faults:
        is_unknown = pc.or_(is_unknown, mask)
    good = rows.filter(pc.invert(is_unknown)) if faults else rows
    return good, Refusal("sites", rows.filter(is_unknown), [fault for _, fault in faults])


def _unknown_places(table: Table, rows: pa.Table, places: KnownPlaces) -> Iterator[MaskedFault]:
    sites = f"a site of the lake, which knows {len(places.sites):,}"
    for name in SITES_OF.get(table.name, ()):
        yield from _not_among(name, rows[name], places.sites, sites)
    if table.name == "events":
        scopes = places.sites | places.regions | {"global"}
        yield from _not_among(
            "scope", pc.fill_null(rows["scope"], "global"), scopes, "global, a region_id or a site_id of the lake"
        )


def _not_among(name: str, values: pa.ChunkedArray, allowed: frozenset[str], bound: str) -> Iterator[MaskedFault]:
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


def _conflict_faults(table: Table, rows: pa.Table) -> list[Fault]:
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


# Zeros for rows that the producer left out ---------------------------------------------------------------------------

# A producer that leaves rows out has sums in mind: nothing flowed. A ratio of nothing stays unknown.
SUMS = {name for name, metric in METRIC.items() if metric.aggregate == "sum"} | {"gbps"}


def fill_zeros(table: Table, rows: pa.Table) -> pa.Table:
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
    stamp_index = pc.index_in(rows["ts"], value_set=stamps).to_numpy()
    present = _series_index(rows, series) * len(stamps) + stamp_index
    missing = np.setdiff1d(np.arange(series.num_rows * len(stamps)), present, assume_unique=True)
    missing_series, missing_stamps = pa.array(missing // len(stamps)), pa.array(missing % len(stamps))
    keys = {
        **{name: series[name].take(missing_series) for name in series.column_names},
        "ts": stamps.take(missing_stamps),
    }
    return pa.concat_tables(
        [rows, pa.table([_column(rows, name, keys, len(missing)) for name in rows.column_names], schema=rows.schema)]
    )


def _series_index(rows: pa.Table, series: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each row, the place of its series."""
    keys = series.column_names
    placed = rows.select(keys).append_column("_row", pa.array(np.arange(rows.num_rows)))
    joined = placed.join(series.append_column("_series", pa.array(np.arange(series.num_rows))), keys).sort_by("_row")
    return np.asarray(joined["_series"].to_numpy(), np.int64)


def _column(rows: pa.Table, name: str, keys: dict[str, pa.ChunkedArray], count: int) -> pa.ChunkedArray | pa.Array:
    if name in keys:
        return keys[name]
    is_measured = name in SUMS and rows[name].null_count < rows.num_rows
    return pa.repeat(pa.scalar(0.0), count) if is_measured else pa.nulls(count, rows.schema.field(name).type)


# One row for each key, in the lake's order ---------------------------------------------------------------------------
# Rows lie by UTC date, then by key. Of several rows with the same key the one received last stays; of those received at
# the same moment, the one that comes last.

Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Deduplicated:
    """Rows in order, one for each key; the rows that contradict them; and how many said the same once more."""

    rows: pa.Table
    conflicting: pa.Table
    repeated: int


def deduplicate(table: Table, rows: pa.Table) -> Deduplicated:
    """One row for each key of a snapshot, and what became of the others."""
    ordered, same = _sort_by_key(table, rows)
    stays = _mask_of_newest(ordered, same)
    if stays.all():
        return Deduplicated(ordered, ordered.slice(0, 0), 0)
    agrees = _mask_of_equal(table, ordered, same, stays)
    conflicting = ordered.filter(pa.array(~stays & ~agrees))
    return Deduplicated(ordered.filter(pa.array(stays)), conflicting, int((~stays & agrees).sum()))


def merge_rows(table: Table, older: pa.Table, newer: pa.Table) -> pa.Table:
    """Both in order, one row for each key; where all else is equal a row of `newer` replaces one of `older`."""
    ordered, same = _sort_by_key(table, pa.concat_tables([older, newer]) if older.num_rows else newer)
    stays = _mask_of_newest(ordered, same)
    return ordered if stays.all() else ordered.filter(pa.array(stays))


def _sort_by_key(table: Table, rows: pa.Table) -> tuple[pa.Table, Flags]:
    """The rows by date and key, those of one key as they came; and for each row whether its key is that of the row
    before.
    """
    if rows.num_rows < 2:
        return rows, np.zeros(rows.num_rows, bool)
    ranks = [_ranks(rows[name]) for name in table.key]
    days = [_ranks(pc.floor_temporal(rows["ts"], unit="day"))] if table.partition == "date" else []
    if not _is_sorted(days + ranks):
        indices = np.lexsort([*reversed(ranks), *days])
        rows, ranks = rows.take(pa.array(indices)), [rank[indices] for rank in ranks]
    same = np.ones(rows.num_rows, bool)
    same[0] = False
    for rank in ranks:
        same[1:] &= rank[1:] == rank[:-1]
    return rows, same


def _ranks(values: pa.ChunkedArray) -> Whole:
    """Whole numbers in the order of the values; text by way of its few distinct values."""
    if pa.types.is_timestamp(values.type):
        return np.asarray(values.cast(pa.int64()).to_numpy())
    coded = values.combine_chunks().dictionary_encode()
    place = np.empty(len(coded.dictionary), np.int64)
    place[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(coded.dictionary))
    return np.asarray(place[coded.indices.to_numpy()])


def _is_sorted(ranks: list[Whole]) -> bool:
    """Whether the rows are in order already, as they are where the lake or a careful producer wrote them."""
    undecided = np.ones(len(ranks[0]) - 1, bool)
    for rank in ranks:
        step = rank[1:] - rank[:-1]
        if (step[undecided] < 0).any():
            return False
        undecided &= step == 0
    return True


def _mask_of_newest(ordered: pa.Table, same: Flags) -> Flags:
    """Which row of each key stays."""
    last = np.append(~same[1:], True) if len(same) else same
    if last.all() or "received_at" not in ordered.column_names:
        return last
    shared = np.flatnonzero(same | ~last)
    group = np.cumsum(~same)[shared]
    received = pc.fill_null(ordered["received_at"].cast(pa.int64()), 0).to_numpy()[shared]
    by_receipt = np.lexsort([received, group])  # stable: of those received together the last stays last
    ends = np.append(np.diff(group) != 0, True)
    stays = ~(same | ~last)
    stays[shared[by_receipt[ends]]] = True
    return stays


def _mask_of_equal(table: Table, ordered: pa.Table, same: Flags, stays: Flags) -> Flags:
    """Whether each row says the same as the one of its key that stays; when it was received does not matter."""
    winner = pa.array(np.flatnonzero(stays)[np.cumsum(~same) - 1])
    agrees = np.ones(len(same), bool)
    for column in table.columns:
        if column.name not in (*table.key, "received_at"):
            values = ordered[column.name].combine_chunks()
            agrees &= _equal(values, values.take(winner))
    return agrees


def _equal(left: pa.Array, right: pa.Array) -> Flags:
    """Equal values, or both null."""
    equal = pc.fill_null(pc.equal(left, right), False)
    return np.asarray(pc.or_(equal, pc.and_(pc.is_null(left), pc.is_null(right))).to_numpy(zero_copy_only=False))
