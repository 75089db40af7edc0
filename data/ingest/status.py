"""What the lake holds, how fresh it is, what came in last, and how much lies in quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.queries import extent, snapshots, table_versions

LAST = 5


def status(lake: Lake, now: datetime | None = None) -> dict[str, Any]:
    """The state of a lake in plain values, ready for JSON; stamps are ISO 8601."""
    pin = lake.pin()
    held = extent(pin, EVERYTHING)
    refused = lake.read("quarantine")
    return {
        "lake": lake.url,
        "tables": _plain(table_versions(pin, EVERYTHING).to_dict("records")),
        "telemetry": None
        if held is None
        else {
            "first": held.first.isoformat(),
            "newest": held.last.isoformat(),
            "received_at": None if held.received_at is None else held.received_at.isoformat(),
            "age_seconds": ((now or datetime.now(UTC)) - held.now).total_seconds(),
            "sites": held.sites,
            "simulated": held.simulated,
        },
        "ingests": _plain(snapshots(pin, EVERYTHING, LAST).to_dict("records")),
        "quarantine": {
            "snapshots": len({*zip(refused["sha256"].to_pylist(), refused["table"].to_pylist(), strict=True)}),
            "faults": refused.num_rows,
        },
    }


def lines(state: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person."""
    yield f"lake {state['lake']}"
    if not state["tables"]:
        yield "  holds nothing yet: take snapshots in with `python -m data ingest PATH`, or make a simulated one with `python -m data demo`"
    for table in state["tables"]:
        yield f"  {table['table']:<20} version {table['version']:>6}  {table['rows']:>14,} rows  {table['files']:>6,} files  {table['bytes'] / 1e6:>10,.1f} MB"
    if telemetry := state["telemetry"]:
        simulated = ", simulated" if telemetry["simulated"] else ""
        span = f"{_short(telemetry['first'])} to {_short(telemetry['newest'])} UTC"
        yield f"telemetry {span}, {_age(telemetry['age_seconds'])} old, {telemetry['sites']} sites{simulated}"
    for entry in state["ingests"]:
        yield f"  {_short(entry['ingested_at'])}  {entry['state']:<8}  {entry['rows_accepted']:>12,} rows into {entry['table']} from {entry['source']}"
    yield f"quarantine: {state['quarantine']['snapshots']} snapshots, {state['quarantine']['faults']} faults"


def _plain(records: list[dict[Any, Any]]) -> list[dict[str, Any]]:
    """Records with stamps as text and missing values as None."""
    return [{str(name): _value(value) for name, value in record.items()} for record in records]


def _value(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.isoformat() if isinstance(value, datetime) else value.item() if hasattr(value, "item") else value


def _short(stamp: str) -> str:
    return stamp[:16].replace("T", " ")


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
