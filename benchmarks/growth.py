"""What a day of ticks costs a lake on disk, against its telemetry.

    python -m benchmarks.growth [--sites 500] [--ticks 288]

A simulated network's last day arrives tick by tick in a lake that holds the day before: each is appended, written down
in the ledger and rolled up, and the lake is maintained as `watch` and `demo --live` do it. Ticks come faster than five
minutes apart, so the hour for which superseded files stay readable, and the six for which entries of the log stay, are
counted in ticks.

One JSON line: bytes that the lake grew by, tables and logs, once the day is over (`grown`) and at its worst (`peak`),
`telemetry` the bytes of the day's samples in one file, and seconds a tick. The bar is on `grown`: within three times.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data.lake.maintenance import COMMITS_BETWEEN, LIVE_RETENTION, compact
from data.lake.rollups import refresh_rollups
from data.lake.tables import GROWN_BY_TICKS, LIVE_LOG, Lake
from data.simulator.options import SimulationOptions
from data.simulator.publish import ledger_row, small_table, span_of
from data.simulator.simulation import simulate

BAR = 3.0
TICK = timedelta(minutes=5)
LOG_AGE = timedelta(hours=int(LIVE_LOG.split()[1]))
END = datetime(2026, 5, 2, tzinfo=UTC)


def main() -> None:
    """Measure, and print the line."""
    parser = argparse.ArgumentParser(description="Bytes that a day of ticks costs a lake, against its telemetry.")
    parser.add_argument("--sites", type=int, default=500)
    parser.add_argument("--ticks", type=int, default=288)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as folder:
        figures = measure(Lake(Path(folder) / "lake"), arguments.sites, arguments.ticks)
    sys.stdout.write(json.dumps({"bench": "growth", **vars(arguments), **figures}) + "\n")


def measure(lake: Lake, sites: int, ticks: int) -> dict[str, float]:
    """Let the ticks arrive; bytes and seconds."""
    simulation = simulate(SimulationOptions(end=END, sites=sites, days=2))
    yesterday, today = simulation.telemetry_days()
    for name in ("sites", "capacity", "events"):
        lake.replace(name, small_table(simulation, name))
    lake.append("telemetry", yesterday)
    refresh_rollups(lake)
    before = peak = size_of(lake)
    started, versions = time.monotonic(), dict[str, list[int]]()
    for number, rows in enumerate(_ticks(today, ticks), start=1):
        lake.append("telemetry", rows, marks=[f"tick-{number}"])
        lake.append("snapshots", ledger_row(f"tick-{number}", rows.num_rows, *span_of(rows)))
        refresh_rollups(lake)
        for name in GROWN_BY_TICKS:
            versions.setdefault(name, []).append(lake.version(name) or 0)
        if number % COMMITS_BETWEEN == 0:
            peak = max(peak, size_of(lake))
            compact(lake)
            vacuum_by_ticks(lake, versions)
    seconds = time.monotonic() - started
    grown = size_of(lake) - before - expired_log(lake, versions)
    telemetry = alone(pa.concat_tables(_ticks(today, ticks)), Path(lake.url).parent)
    return {
        "grown": grown,
        "peak": max(peak - before, grown),
        "telemetry": telemetry,
        "ratio": round(grown / telemetry, 2),
        "bar": BAR,
        "seconds_a_tick": round(seconds / ticks, 3),
    }


def vacuum_by_ticks(lake: Lake, versions: dict[str, list[int]]) -> None:
    """Vacuum as `maintain_if_due` does, with as many ticks as fit in its retention for the time."""
    kept = int(LIVE_RETENTION / TICK)
    for name, seen in versions.items():
        table = lake.open(name)
        if table is not None:
            newest = list(range(seen[-kept:][0], table.version() + 1))
            table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, keep_versions=newest)


def expired_log(lake: Lake, versions: dict[str, list[int]]) -> int:
    """Bytes of log entries that would be gone, had the ticks come five minutes apart: those behind a checkpoint that are
    older than the log of a live table goes back.
    """
    kept, expired = int(LOG_AGE / TICK), 0
    for name, seen in versions.items():
        log = Path(lake.url) / name / "_delta_log"
        newest = log / "_last_checkpoint"
        checkpoint = json.loads(newest.read_text(encoding="utf-8"))["version"] if newest.exists() else 0
        oldest = min(checkpoint, seen[-kept:][0])
        entries = [path for path in log.glob("*.*") if path.name[:20].isdigit() and int(path.name[:20]) < oldest]
        expired += sum(path.stat().st_size for path in entries)
    return expired


def size_of(lake: Lake) -> int:
    """Bytes of all files of a lake, logs included."""
    return sum(path.stat().st_size for path in Path(lake.url).rglob("*") if path.is_file())


def alone(rows: pa.Table, folder: Path) -> int:
    """Bytes of the samples in a table of one file."""
    lake = Lake(folder / "alone")
    lake.append("telemetry", rows.sort_by([("site_id", "ascending"), ("ts", "ascending")]))
    return sum(path.stat().st_size for path in Path(lake.url).rglob("*.parquet"))


def _ticks(day: pa.Table, count: int) -> Iterator[pa.Table]:
    """The samples of one interval after another."""
    start = pc.min(day["ts"]).as_py()
    for number in range(count):
        yield day.filter(pc.equal(day["ts"], pa.scalar(start + number * TICK, day["ts"].type)))


if __name__ == "__main__":
    main()
