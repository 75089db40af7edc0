"""What the commands print: what became of snapshots, and the state of a lake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from data.ingest.ledger import Outcome, OutcomeState
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.queries import extent, snapshots, table_versions
from data.schema.validation import EXCERPT, excerpt

# Problems that are told in full; a folder of a thousand damaged files needs no thousand paragraphs.
MOST_PROBLEMS = 20
STATES: dict[OutcomeState, str] = {
    "accepted": "taken in",
    "partial": "taken in but for some rows",
    "refused": "refused",
    "known": "known already",
    "unreadable": "unreadable",
}


def report(outcomes: Sequence[Outcome], *, dry_run: bool = False) -> Iterator[str]:
    """Lines that tell what became of snapshots, the problems first."""
    faulty = [outcome for outcome in outcomes if not outcome.clean]
    for outcome in faulty[:MOST_PROBLEMS]:
        yield from _problem(outcome)
    if len(faulty) > MOST_PROBLEMS:
        yield f"... and {len(faulty) - MOST_PROBLEMS} more snapshots with faults"
    for table in dict.fromkeys(outcome.table for outcome in outcomes if outcome.accepted):
        yield _of_table(
            table, [outcome for outcome in outcomes if outcome.table == table and outcome.accepted], dry_run=dry_run
        )
    counts = Counter(outcome.state for outcome in outcomes)
    words: dict[OutcomeState, str] = (
        {**STATES, "accepted": "sound", "partial": "sound but for some rows"} if dry_run else STATES
    )
    yield f"{_count(len(outcomes), 'snapshot')}: " + (
        ", ".join(f"{counts[state]} {words[state]}" for state in STATES if counts[state]) or "nothing to do"
    )


def _problem(outcome: Outcome) -> Iterator[str]:
    yield f"{shortened(outcome.source.url)}: {outcome.table}, {STATES[outcome.state]}"
    if outcome.error:
        yield f"  {outcome.error}"
    for fault in outcome.faults:
        yield f"  {fault}"
    for place in outcome.kept_at:
        yield f"  kept at {place}"


def shortened(url: str) -> str:
    """Where a snapshot was read, in printable characters; of a long path its end, which names the file."""
    return excerpt(url if len(url) <= EXCERPT else f"...{url[3 - EXCERPT :]}")


def _of_table(table: str, outcomes: Iterable[Outcome], *, dry_run: bool) -> str:
    outcomes = list(outcomes)
    stamps = [stamp for outcome in outcomes for stamp in (outcome.first, outcome.last) if stamp]
    span = f", {min(stamps):%Y-%m-%d %H:%M} to {max(stamps):%Y-%m-%d %H:%M} UTC" if stamps else ""
    extra = {
        "repeated": sum(o.repeated for o in outcomes),
        "absent and taken as zero": sum(o.zeros for o in outcomes),
        "refused": sum(o.quarantined for o in outcomes),
    }
    more = "".join(f"; {_count(count, 'row')} {what}" for what, count in extra.items() if count)
    unused = sorted({name for outcome in outcomes for name in outcome.unused})
    left = f"; columns not used: {excerpt(', '.join(unused))}" if unused else ""
    return f"{table}: {_count(sum(o.accepted for o in outcomes), 'row')} {'sound' if dry_run else 'taken in'}{span}{more}{left}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# The state of a lake -------------------------------------------------------------------------------------------------

LAST_INGESTS = 5


def status(lake: Lake, now: datetime | None = None) -> dict[str, Any]:
    """The state of a lake in plain values, ready for JSON; stamps are ISO 8601."""
    pin = lake.pin()
    telemetry = extent(pin, EVERYTHING)
    refused = lake.read("quarantine")
    return {
        "lake": lake.url,
        "tables": _plain(table_versions(pin, EVERYTHING).to_dict("records")),
        "telemetry": None
        if telemetry is None
        else {
            "first": telemetry.first.isoformat(),
            "newest": telemetry.last.isoformat(),
            "received_at": None if telemetry.received_at is None else telemetry.received_at.isoformat(),
            "age_seconds": ((now or datetime.now(UTC)) - telemetry.now).total_seconds(),
            "sites": telemetry.sites,
            "simulated": telemetry.simulated,
        },
        "ingests": _plain(snapshots(pin, EVERYTHING, LAST_INGESTS).to_dict("records")),
        "quarantine": {
            "snapshots": len({*zip(refused["sha256"].to_pylist(), refused["table"].to_pylist(), strict=True)}),
            "faults": refused.num_rows,
        },
    }


def status_lines(state: Mapping[str, Any]) -> Iterator[str]:
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
