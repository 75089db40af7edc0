"""Snapshots for the tests of ingest, and the short way to take them in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.ingest.column_mapping import read_options
from data.ingest.ledger import Outcome
from data.ingest.run import IngestRun, plan_tasks
from data.ingest.sources import find_snapshots
from data.lake.tables import Lake
from data.schema import STAMP

START = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
TICK = timedelta(minutes=5)


def sites(*names: str) -> pa.Table:
    """A catalogue of these sites, all in one region."""
    count = len(names)
    return pa.table(
        {
            "site_id": list(names),
            "name": [name.upper() for name in names],
            "region_id": ["eu"] * count,
            "lat": [1.0] * count,
            "lon": [2.0] * count,
        }
    )


def telemetry(
    site: str = "a",
    count: int = 3,
    *,
    start: datetime = START,
    egress: float = 10.0,
    received: timedelta | None = timedelta(minutes=6),
) -> pa.Table:
    """`count` rows of one site, five minutes apart; `received` after their stamp, or without that column."""
    stamps = [start + TICK * i for i in range(count)]
    columns: dict[str, Any] = {"ts": pa.array(stamps, STAMP), "site_id": [site] * count}
    if received is not None:
        columns["received_at"] = pa.array([stamp + received for stamp in stamps], STAMP)
    return pa.table(
        {**columns, "ingest_gbps": [egress / 10] * count, "egress_gbps": [egress + i for i in range(count)]}
    )


def rows(*each: tuple[str, datetime, datetime | None, float]) -> pa.Table:
    """Telemetry row by row: site, stamp, received, egress."""
    columns = list(zip(*each, strict=True))
    return pa.table(
        {
            "site_id": columns[0],
            "ts": pa.array(columns[1], STAMP),
            "received_at": pa.array(columns[2], STAMP),
            "ingest_gbps": [1.0] * len(each),
            "egress_gbps": columns[3],
        }
    )


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with a column replaced, or added."""
    column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    return (
        table.set_column(table.column_names.index(name), name, column)
        if name in table.column_names
        else table.append_column(name, column)
    )


def write(path: Path, table: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def lake_of(folder: Path, *names: str) -> Lake:
    """A lake that knows these sites."""
    lake = Lake(folder / "lake")
    if names:
        lake.replace("sites", sites(*names))
    return lake


def take(lake: Lake, *paths: Path | str, now: datetime = NOW, move: bool = False, **how: Any) -> list[Outcome]:
    """Take snapshots in, without the hourly and daily figures."""
    one = read_options(**how)
    return list(IngestRun(lake, now=now, move=move).run(plan_tasks(find_snapshots(map(str, paths)), lambda _: [one])))


def held(lake: Lake, columns: Sequence[str] = ("site_id", "ts", "egress_gbps")) -> list[tuple[Any, ...]]:
    """Rows of telemetry in the lake, by site and stamp."""
    table = lake.read("telemetry").sort_by([("site_id", "ascending"), ("ts", "ascending")])
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))
