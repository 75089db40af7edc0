"""One small snapshot of each input table, to read the format from and to try ingest with (data/samples)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from data.simulator.plan import Plan
from data.simulator.publish import SMALL_TABLES, small_table, write_snapshot
from data.simulator.simulation import simulate

# Two days of six sites. With this seed and this much trouble every kind of incident strikes at least once.
SAMPLE_PLAN = Plan(end=datetime(2026, 5, 4, tzinfo=UTC), sites=6, days=2, seed=28, trouble=4.0)


def sample_tables() -> dict[str, pa.Table]:
    """The sample of each input table, by name."""
    simulation = simulate(SAMPLE_PLAN)
    days = list(simulation.days())
    large = {
        "telemetry": pa.concat_tables(day.telemetry for day in days),
        "flows": pa.concat_tables(day.flows for day in days),
    }
    return {name: small_table(simulation, name) for name in SMALL_TABLES} | large


def write_samples(folder: Path) -> list[Path]:
    """Write {table}.parquet for each; the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in sample_tables().items():
        path = folder / f"{name}.parquet"
        write_snapshot(table, path, SAMPLE_PLAN.source)
        written.append(path)
    return written
