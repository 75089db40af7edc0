"""Where refused snapshots and rows are kept, each beside a file that says why: <kept>.reason.json."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import obstore
import pyarrow as pa
import pyarrow.parquet as pq

from data.lake.object_store import store_at
from data.lake.tables import sibling
from data.schema.validation import Fault, excerpt

NAME_LIMIT = 80
HASH_LIMIT = 12


@dataclass(frozen=True, slots=True)
class Subject:
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

    def keep_file(self, subject: Subject, data: bytes, faults: Sequence[Fault], now: datetime) -> str:
        """Keep a snapshot that was refused whole; returns where it lies."""
        return self._keep(subject, safe(subject.name), data, faults, now)

    def keep_rows(self, subject: Subject, stage: str, rows: pa.Table, faults: Sequence[Fault], now: datetime) -> str:
        """Keep refused rows as Parquet; returns where they lie."""
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd")
        return self._keep(subject, f"{stage}-{safe(Path(subject.name).stem)}.parquet", sink.getvalue(), faults, now)

    def _keep(self, subject: Subject, name: str, data: bytes, faults: Sequence[Fault], now: datetime) -> str:
        kept = f"{self.url}/{subject.sha256[:HASH_LIMIT]}-{subject.table}-{name}"
        if subject.source.startswith(f"{self.url}/{subject.sha256[:HASH_LIMIT]}-"):
            kept = subject.source  # refused once more: it stays where it is
        key = kept.removeprefix(f"{self.url}/")
        store = store_at(self.url)
        obstore.put(store, f"{key}.reason.json", json.dumps(reason(subject, kept, faults, now), indent=2).encode())
        obstore.put(store, key, data)
        return kept


def reason(subject: Subject, kept_at: str, faults: Sequence[Fault], now: datetime) -> dict[str, object]:
    """The content of a reason file: what was refused, in sentences and in parts."""
    return {
        "summary": [str(fault) for fault in faults],
        "snapshot": excerpt(subject.source),
        "sha256": subject.sha256,
        "table": subject.table,
        "refused_at": now.isoformat(),
        "kept_at": kept_at,
        "faults": [asdict(fault) for fault in faults],
    }


def rows_of(subject: Subject, kept_at: str, faults: Sequence[Fault], now: datetime) -> list[dict[str, object]]:
    """The faults as rows of the table `quarantine`."""
    whole = {
        "sha256": subject.sha256,
        "source": excerpt(subject.source),
        "table": subject.table,
        "refused_at": now,
        "kept_at": kept_at,
    }
    return [{**whole, **asdict(fault)} for fault in faults]


def safe(name: str) -> str:
    """A file name of letters, digits, dots, dashes and underscores, short, that neither hides nor climbs."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".-") or "unnamed"
    stem, dot, suffix = plain.rpartition(".")
    return plain if len(plain) <= NAME_LIMIT else f"{(stem or plain)[:NAME_LIMIT]}{dot}{suffix[:10]}"
