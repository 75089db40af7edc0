"""What became of each snapshot: its outcome, its rows in the tables `snapshots` and `quarantine`, and the quarantine's files.

That a snapshot is taken in once does not rest on the ledger but on the marks of the commits (data/lake/tables.py); the
ledger follows after.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.ingest.check import CheckedSnapshot
from data.ingest.sources import Source
from data.lake.object_store import store_at
from data.lake.tables import Change, Lake, TableState, conform, sibling
from data.schema import INPUT_TABLES, TABLES
from data.schema.validation import Fault, excerpt

OutcomeState = Literal["accepted", "partial", "refused", "known", "unreadable"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a snapshot, with the contract's words for it and two more.

    `known` was taken in before; `unreadable` could not be read at all, `error` says why. Of the `rows` read, some
    were `accepted`, some `quarantined`, some only `repeated` others; `zeros` were added; `unused` are columns that
    nothing asked for; `notes` say what was taken for granted.
    """

    source: Source
    table: str
    state: OutcomeState
    sha256: str = ""
    rows: int = 0
    accepted: int = 0
    quarantined: int = 0
    repeated: int = 0
    zeros: int = 0
    unused: tuple[str, ...] = ()
    first: datetime | None = None
    last: datetime | None = None
    origin: str = ""
    faults: list[Fault] = field(default_factory=list)
    kept_at: tuple[str, ...] = ()
    error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether there is nothing that somebody should look at."""
        return self.state in ("accepted", "known")

    def ledger_row(self, now: datetime) -> dict[str, object]:
        """The row of the ledger."""
        return {
            "sha256": self.sha256,
            "source": self.origin or self.source.address,
            "table": self.table,
            "ingested_at": now,
            "state": self.state,
            "rows": self.rows,
            "rows_accepted": self.accepted,
            "rows_quarantined": self.quarantined,
            "first_ts": self.first,
            "last_ts": self.last,
        }


def outcome_of(source: Source, sha256: str, checked: CheckedSnapshot) -> Outcome:
    """The outcome of a snapshot that could be read."""
    accepted, faults = checked.good.num_rows - checked.zeros, checked.faults
    first, last = _span(checked.good)
    return Outcome(
        source,
        checked.table.name,
        "accepted" if not faults else "partial" if accepted else "refused",
        sha256,
        checked.rows,
        accepted,
        checked.quarantined,
        checked.repeated,
        checked.zeros,
        checked.unused,
        first,
        last,
        checked.origin,
        faults,
        notes=checked.notes,
    )


def _span(rows: pa.Table) -> tuple[datetime | None, datetime | None]:
    if "ts" not in rows.column_names or not rows.num_rows:
        return None, None
    ends = pc.min_max(rows["ts"]).as_py()
    return ends["min"], ends["max"]


# The tables of the ledger --------------------------------------------------------------------------------------------

Key = tuple[str, str]
UNKNOWN = "unknown"  # stands for the table of a snapshot whose columns do not tell


class Ledger:
    """What the lake says of snapshots at the start of a run; what another process adds meanwhile comes out when the
    rows are committed.
    """

    def __init__(self, lake: Lake) -> None:
        rows = lake.read("snapshots").select(["sha256", "table", "state", "rows_accepted"]).to_pydict()
        self._seen = {
            (sha, table): (state, accepted) for sha, table, state, accepted in zip(*rows.values(), strict=True)
        }
        self._tables = {name: lake.open(name) for name in {table for _, table in self._seen} & set(INPUT_TABLES)}

    def done(self, sha256: str, table: str, mark: str) -> bool:
        """Whether nothing is left to do: the rows are in the lake, and the ledger says so. A refused snapshot may be
        tried again.
        """
        state, accepted = self._seen.get((sha256, table), ("refused", 0))
        return state != "refused" and (not accepted or self._marked(table, mark))

    def _marked(self, table: str, mark: str) -> bool:
        delta = self._tables[table]
        return delta is not None and delta.transaction_version(mark) is not None


def write_ledger(
    lake: Lake,
    snapshots: Sequence[Mapping[str, object]],
    refusals: Sequence[Mapping[str, object]],
    settled: Iterable[str] = (),
) -> None:
    """Record what became of snapshots: their rows replace what the ledger holds on them, in both tables.

    `settled` names places of the quarantine whose content has now been taken in; they are no longer listed.
    """
    entries = {(str(row["sha256"]), str(row["table"])): row for row in snapshots}
    # A snapshot that could not be told before, and was refused for it, may be another table's now.
    keys = {(sha, table) for sha, of in entries for table in (of, UNKNOWN)}
    listed = {(row["kept_at"], row["column"], row["bound"]): row for row in refusals}
    _replace(lake, "quarantine", list(listed.values()), keys, frozenset(settled))
    _replace(lake, "snapshots", list(entries.values()), keys, frozenset())


def _replace(
    lake: Lake, name: str, rows: Sequence[Mapping[str, object]], keys: set[Key], places: frozenset[str]
) -> None:
    """Put `rows` in the place of all rows of these snapshots and places."""
    fresh = conform(TABLES[name], pa.Table.from_pylist([dict(row) for row in rows], schema=TABLES[name].schema))
    # Two appends do not conflict by themselves; a mark for each snapshot makes the second one look again.
    marks = sorted(f"{sha}:{table}" for sha, table in keys)

    def make(table: TableState) -> Change | None:
        rows_now = table.rows()
        stale = _mask_of_replaced(rows_now, keys, places)
        if stale.any():
            return Change(pa.concat_tables([rows_now.filter(pa.array(~stale)), fresh]), whole=True, marks=marks)
        return Change(fresh, marks=marks) if fresh.num_rows else None

    if rows or lake.version(name) is not None:
        lake.commit(name, make)


def _mask_of_replaced(
    rows: pa.Table, keys: set[Key], places: frozenset[str]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows the new ones replace."""
    same_snapshot = [key in keys for key in zip(rows["sha256"].to_pylist(), rows["table"].to_pylist(), strict=True)]
    if "kept_at" not in rows.column_names or not places:
        return np.array(same_snapshot, bool)
    kept = pc.is_in(rows["kept_at"], value_set=pa.array(sorted(places), pa.string()))
    return np.asarray(np.array(same_snapshot, bool) | kept.to_numpy())


# The files of the quarantine, each beside a <kept>.reason.json -------------------------------------------------------

NAME_LIMIT = 80
HASH_LIMIT = 12


@dataclass(frozen=True, slots=True)
class Content:
    """What is refused: where it was read, the hash of its bytes, and the table that it was meant for."""

    source: str
    name: str
    sha256: str
    table: str


class Quarantine:
    """The quarantine beside a lake. Names derive from the content, so that a refusal that is repeated replaces
    itself.
    """

    def __init__(self, lake_url: str) -> None:
        self.url = sibling(lake_url, "quarantine")

    def keep_file(self, content: Content, data: bytes, faults: Sequence[Fault], now: datetime) -> str:
        """Keep a snapshot that was refused whole; returns where it lies."""
        return self._keep(content, safe_file_name(content.name), data, faults, now)

    def keep_rows(self, content: Content, stage: str, rows: pa.Table, faults: Sequence[Fault], now: datetime) -> str:
        """Keep refused rows as Parquet; returns where they lie."""
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd")
        return self._keep(
            content, f"{stage}-{safe_file_name(Path(content.name).stem)}.parquet", sink.getvalue(), faults, now
        )

    def _keep(self, content: Content, name: str, data: bytes, faults: Sequence[Fault], now: datetime) -> str:
        kept = f"{self.url}/{content.sha256[:HASH_LIMIT]}-{content.table}-{name}"
        if content.source.startswith(f"{self.url}/{content.sha256[:HASH_LIMIT]}-"):
            kept = content.source  # refused once more: it stays where it is
        key = kept.removeprefix(f"{self.url}/")
        store = store_at(self.url)
        obstore.put(store, f"{key}.reason.json", json.dumps(reason_file(content, kept, faults, now), indent=2).encode())
        obstore.put(store, key, data)
        return kept


def reason_file(content: Content, kept_at: str, faults: Sequence[Fault], now: datetime) -> dict[str, object]:
    """The content of a reason file: what was refused, in sentences and in parts."""
    return {
        "summary": [str(fault) for fault in faults],
        "snapshot": excerpt(content.source),
        "sha256": content.sha256,
        "table": content.table,
        "refused_at": now.isoformat(),
        "kept_at": kept_at,
        "faults": [asdict(fault) for fault in faults],
    }


def quarantine_rows(content: Content, kept_at: str, faults: Sequence[Fault], now: datetime) -> list[dict[str, object]]:
    """The faults as rows of the table `quarantine`."""
    whole = {
        "sha256": content.sha256,
        "source": excerpt(content.source),
        "table": content.table,
        "refused_at": now,
        "kept_at": kept_at,
    }
    return [{**whole, **asdict(fault)} for fault in faults]


def safe_file_name(name: str) -> str:
    """A file name of letters, digits, dots, dashes and underscores, short, that neither hides nor climbs."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".-") or "unnamed"
    stem, dot, suffix = plain.rpartition(".")
    return plain if len(plain) <= NAME_LIMIT else f"{(stem or plain)[:NAME_LIMIT]}{dot}{suffix[:10]}"
