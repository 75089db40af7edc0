"""Going on from a batch: every tick appends what has arrived since the last one, and the values are those of a longer
batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from data.schema.errors import SettingError
from data.simulator.plan import TICK_MINUTES, Plan, floored, minutes, moment, plan_of
from data.simulator.publish import ledger_row, span_of, write_snapshot
from data.simulator.simulation import Simulation
from data.simulator.telemetry import CUT_SECONDS


class Outlet(Protocol):
    """Where ticks go."""

    def put(self, simulation: Simulation, since: int, until: int) -> int:
        """Write what arrived between two cuts (minutes since 1970); returns the rows of telemetry."""
        ...


@dataclass(frozen=True, slots=True)
class LakeOutlet:
    """Appends to a lake, and brings its rollups up to date."""

    lake: Lake

    def put(self, simulation: Simulation, since: int, until: int) -> int:
        telemetry, source = simulation.received(since, until), _source(simulation.plan, until)
        for name, rows in (("telemetry", telemetry), ("flows", simulation.flows_between(since, until))):
            # The mark goes in with the rows: a run that was killed before it wrote the ledger does not append them
            # again.
            if rows.num_rows and not self.lake.marked(name, source):
                self.lake.append(name, rows, marks=[source])
        self._announce(simulation.until(until).events)
        self.lake.append("snapshots", ledger_row(source, telemetry.num_rows, *span_of(telemetry)))
        refresh_rollups(self.lake, pc.unique(telemetry["ts"].cast(pa.date32())).to_pylist())
        return int(telemetry.num_rows)

    def _announce(self, events: pa.Table) -> None:
        """Add the events that the lake does not have yet."""
        known = self.lake.read("events")["event_id"]
        fresh = events.filter(pc.invert(pc.is_in(events["event_id"], value_set=pc.unique(known))))
        if fresh.num_rows:
            self.lake.append("events", fresh)


@dataclass(frozen=True, slots=True)
class FolderOutlet:
    """Writes Parquet snapshots into a folder, for instance an inbox that `python -m data watch` polls."""

    folder: Path

    def put(self, simulation: Simulation, since: int, until: int) -> int:
        telemetry, source = simulation.received(since, until), _source(simulation.plan, until)
        tables = {
            "telemetry": telemetry,
            "flows": simulation.flows_between(since, until),
            "events": simulation.until(until).events,
        }
        for name, table in tables.items():
            if table.num_rows:
                write_snapshot(table, self.folder / f"{name}-{moment(until):%Y-%m-%dT%H%M}.parquet", source)
        return int(telemetry.num_rows)


@dataclass(frozen=True, slots=True)
class Pace:
    """When ticks come: as time passes, or (with a pause) one interval after another; `ticks` ends the run, else Ctrl-C
    does.
    """

    ticks: int | None = None
    pause_seconds: float | None = None

    def due(self, since: int) -> int:
        """The newest interval's end that may be shown now, in minutes since 1970; at least one interval on where a
        pause sets the pace.
        """
        if self.pause_seconds is not None:
            return since + TICK_MINUTES
        return minutes(floored(datetime.now(UTC) - timedelta(seconds=CUT_SECONDS)))

    def wait(self, since: int) -> None:
        """Sleep until the next interval is due."""
        if self.pause_seconds is not None:
            time.sleep(self.pause_seconds)
            return
        due = moment(since + TICK_MINUTES) + timedelta(seconds=CUT_SECONDS)
        time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))


def run_live(simulation: Simulation, outlet: Outlet, pace: Pace, report: Callable[[datetime, int], None]) -> int:
    """Tick until the pace's ticks are spent or Ctrl-C; returns how many ticks were written.

    A run that was away catches up with one larger tick. `report` is told the end of each tick and its rows.
    """
    since, done = simulation.last, 0
    try:
        while pace.ticks is None or done < pace.ticks:
            until = pace.due(since)
            if until > since:
                report(moment(until), outlet.put(simulation, since, until))
                since, done = until, done + 1
            if pace.ticks is None or done < pace.ticks:
                pace.wait(since)
    except KeyboardInterrupt:
        pass
    return done


def resumed(lake: Lake) -> Simulation | None:
    """The simulation that a lake holds, up to its newest tick; None where the ledger names none."""
    plans = []
    for source in lake.read("snapshots")["source"].to_pylist():
        with suppress(SettingError):  # the ledger of a real lake names other producers
            plans.append(plan_of(source))
    return Simulation(max(plans, key=lambda plan: plan.end)) if plans else None


def _source(plan: Plan, until: int) -> str:
    """The ledger's name of a tick: the plan, ended later on the same anchor."""
    return replace(plan, end=moment(until), anchor=plan.anchored).source
