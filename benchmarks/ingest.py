"""How fast are snapshots taken in, against DuckDB that only reads, sorts and writes the same files?

    python -m benchmarks.ingest [--sites 100] [--days 60] [--runs 5]

One JSON line. `duckdb` reads all files, sorts by site and time, and writes Parquet by date with the lake's compression:
no check, no hash, no upsert, no commit. `ingest` is everything that `python -m data ingest` does to the same files in
an empty lake until the rows are there and written down in the ledger; `rollups` is the hourly and daily figures after
it. Wall-clock medians over runs that take turns, so that whatever else the machine does falls on both. The bar is on
`ingest`: within three times of DuckDB. `ratio_with_rollups` counts the figures too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.ingest.column_mapping import read_options
from data.ingest.run import IngestRun, plan_tasks
from data.ingest.sources import find_snapshots
from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from data.schema import METRICS, STAMP


class Cost(NamedTuple):
    """Seconds that a run took by the clock, and of all processors together."""

    wall: float
    cpu: float


BAR = 3.0
START = datetime(2026, 1, 1, tzinfo=UTC)
TICKS = 288


def main() -> None:
    """Measure, and print the line."""
    parser = argparse.ArgumentParser(
        description="Rows a second into the lake, against a plain DuckDB read, sort and write."
    )
    parser.add_argument("--sites", type=int, default=100)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        rows = write_files(Path(folder) / "in", arguments.sites, arguments.days)
        costs = measure(Path(folder), arguments.sites, arguments.runs)
    sys.stdout.write(json.dumps(summary(arguments, rows, costs)) + "\n")


def write_files(folder: Path, sites: int, days: int) -> int:
    """One Parquet snapshot a day, in the order in which measurements arrive: by time, then by site. Returns the
    rows.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    for day in range(days):
        pq.write_table(
            _day(rng, START + timedelta(days=day), sites), folder / f"telemetry-{day:04d}.parquet", compression="zstd"
        )
    return sites * days * TICKS


def measure(folder: Path, sites: int, runs: int) -> dict[str, list[Cost]]:
    """What each run cost, by what was run."""
    costs: dict[str, list[Cost]] = {"duckdb": [], "ingest": [], "rollups": []}
    for run in range(runs + 1):
        lake = Lake(folder / f"lake-{run}")
        lake.replace("sites", _catalogue(sites))
        timed = {
            "duckdb": _timed(partial(read_sort_write, folder / "in", folder / f"duckdb-{run}")),
            "ingest": _timed(partial(take_in, lake, folder / "in")),
            "rollups": _timed(partial(refresh_rollups, lake)),
        }
        if run:  # the first one warms the libraries and the files
            for name, value in timed.items():
                costs[name].append(value)
    return costs


def read_sort_write(source: Path, target: Path) -> None:
    """The least that anybody could do with the files."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(
            f"COPY (SELECT *, ts::DATE AS date FROM read_parquet('{source}/*.parquet') ORDER BY site_id, ts) TO '{target}' "
            "(FORMAT parquet, PARTITION_BY (date), COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )


def take_in(lake: Lake, source: Path) -> None:
    """What the command does, without its words."""
    outcomes = list(IngestRun(lake).run(plan_tasks(find_snapshots([str(source)]), lambda _: [read_options()])))
    if any(outcome.state != "accepted" for outcome in outcomes):
        raise SystemExit(f"not everything was taken in: {outcomes}")


def summary(arguments: argparse.Namespace, rows: int, costs: dict[str, list[Cost]]) -> dict[str, object]:
    """The figures of the line."""
    middle = {name: statistics.median(cost.wall for cost in of) for name, of in costs.items()}
    ratio = middle["ingest"] / middle["duckdb"]
    return {
        "bench": "ingest",
        "rows": rows,
        "files": arguments.days,
        "runs": arguments.runs,
        "ingest_rows_per_second": round(rows / middle["ingest"]),
        "duckdb_rows_per_second": round(rows / middle["duckdb"]),
        "median_seconds": {name: round(value, 3) for name, value in middle.items()},
        "median_cpu_seconds": {
            name: round(statistics.median(cost.cpu for cost in of), 3) for name, of in costs.items()
        },
        "ratio": round(ratio, 2),
        "bar": BAR,
        "passed": ratio <= BAR,
        "ratio_with_rollups": round((middle["ingest"] + middle["rollups"]) / middle["duckdb"], 2),
    }


def _timed(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _day(rng: np.random.Generator, start: datetime, sites: int) -> pa.Table:
    ticks = np.datetime64(start.replace(tzinfo=None), "us") + np.arange(TICKS) * np.timedelta64(5, "m")
    stamps, count = np.repeat(ticks, sites), TICKS * sites
    # Three decimals, as exporters write them.
    measured = {
        metric.name: np.round(rng.gamma(3.0, min(metric.high, 3000.0) / 30, count).clip(0, metric.high), 3)
        for metric in METRICS
    }
    received = stamps + np.timedelta64(6, "m")
    return pa.table(
        {
            "ts": pa.array(stamps, STAMP),
            "received_at": pa.array(received, STAMP),
            "site_id": np.tile(_names(sites), TICKS),
            **measured,
        }
    )


def _names(sites: int) -> list[str]:
    return [f"site-{i:03d}" for i in range(sites)]


def _catalogue(sites: int) -> pa.Table:
    names = _names(sites)
    return pa.table(
        {
            "site_id": names,
            "name": names,
            "region_id": [f"r{i % 7}" for i in range(sites)],
            "lat": [0.0] * sites,
            "lon": [0.0] * sites,
        }
    )


if __name__ == "__main__":
    main()
