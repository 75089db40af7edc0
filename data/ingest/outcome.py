"""What became of a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.check import Checked
from data.ingest.sources import Source
from data.schema.validation import Fault

State = Literal["accepted", "partial", "refused", "known", "unreadable"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a snapshot, with the contract's words for it and two more.

    `known` was taken in before; `unreadable` could not be read at all, `trouble` says why. Of the `rows` read, some
    were `accepted`, some `quarantined`, some only `repeated` others; `zeros` were added; `unused` are columns that
    nothing asked for.
    """

    source: Source
    table: str
    state: State
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
    trouble: str = ""

    @property
    def clean(self) -> bool:
        """Whether there is nothing that somebody should look at."""
        return self.state in ("accepted", "known")

    def entry(self, now: datetime) -> dict[str, object]:
        """The row of the ledger."""
        return {
            "sha256": self.sha256,
            "source": self.origin or self.source.url,
            "table": self.table,
            "ingested_at": now,
            "state": self.state,
            "rows": self.rows,
            "rows_accepted": self.accepted,
            "rows_quarantined": self.quarantined,
            "first_ts": self.first,
            "last_ts": self.last,
        }


def of_checked(source: Source, sha256: str, checked: Checked) -> Outcome:
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
    )


def _span(rows: pa.Table) -> tuple[datetime | None, datetime | None]:
    if "ts" not in rows.column_names or not rows.num_rows:
        return None, None
    ends = pc.min_max(rows["ts"]).as_py()
    return ends["min"], ends["max"]
