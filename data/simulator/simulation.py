"""A simulation: the small tables at once, the large ones day by day."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass

import pyarrow as pa

from data.schema import TABLES
from data.simulator.capacity import capacity_table
from data.simulator.incidents import (
    ANNOUNCED_MINUTES,
    LATEST_MINUTES,
    MAINTENANCE_AHEAD_MINUTES,
    Incident,
    incidents,
    scheduled_events,
    truth_table,
)
from data.simulator.network import Network, NetworkState, build_network, network_day
from data.simulator.options import DAY_MINUTES, SIMULATOR_MARK, SimulationOptions, minutes, moment
from data.simulator.telemetry import (
    CUT_SECONDS,
    Routes,
    RowWindow,
    build_routes,
    flows_table,
    links_table,
    telemetry_table,
    window_of,
)
from data.simulator.world import sites_table

# NumPy lets go of the interpreter in its loops, so threads help; more than four do not.
WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day: its telemetry and flows in the contract's columns, and its true labels, not yet joined across
    midnight.
    """

    day: int
    telemetry: pa.Table
    flows: pa.Table
    labels: list[Incident]


class Simulation:
    """The tables of a simulation. Days are made anew each time they are asked for, and are the same each time."""

    def __init__(self, options: SimulationOptions) -> None:
        self.options = options
        self.network: Network = build_network(options)
        self.first, self.last = minutes(options.start), minutes(options.end)
        self._routes: Routes = build_routes(self.network.world)
        self._kept: dict[int, NetworkState] = {}

    @property
    def sites(self) -> pa.Table:
        return sites_table(self.network.world)

    @property
    def capacity(self) -> pa.Table:
        return capacity_table(self.network.steps, self.network.world)

    @property
    def links(self) -> pa.Table:
        return links_table(self.network.world, self.options.seed)

    @property
    def events(self) -> pa.Table:
        """What was announced up to 90 days ahead, and what operators wrote up afterwards."""
        rows = [*self._announced(), *self._outages_written_up(), *self._augments()]
        ordered = sorted(
            ({**row, "author": SIMULATOR_MARK} for row in rows), key=lambda row: (row["start"], row["event_id"])
        )
        return pa.Table.from_pylist(ordered, schema=TABLES["events"].schema)

    @property
    def day_numbers(self) -> range:
        """Every UTC day that the span touches, the first and the last in part (days since 1970)."""
        return range(self.first // DAY_MINUTES, (self.last - 1) // DAY_MINUTES + 1)

    def days(self, numbers: range | None = None) -> Iterator[Day]:
        """The days of the span, or some of them, in order; they are made side by side, a few ahead."""
        with ThreadPoolExecutor(WORKERS) as pool:
            ahead: deque[Future[Day]] = deque()
            for day in numbers or self.day_numbers:
                ahead.append(pool.submit(self._day, day))
                if len(ahead) > 2 * WORKERS:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _day(self, day: int) -> Day:
        state = network_day(self.network, day)
        flows = flows_table(self.network.world, self._routes, state, self.first, self.last)
        return Day(day, telemetry_table(self.network, state, window_of(self.first, self.last)), flows, state.labels)

    def telemetry_days(self) -> Iterator[pa.Table]:
        return (day.telemetry for day in self.days())

    def flows_days(self) -> Iterator[pa.Table]:
        return (day.flows for day in self.days())

    def truth(self, labels: Iterable[Incident] | None = None) -> pa.Table:
        """The contract's `simulated_incidents`; `labels` are those of all days, where the caller has been through
        them.
        """
        labels = list(labels) if labels is not None else [label for day in self.days() for label in day.labels]
        strikes = incidents(self.options, self.network.world, self.first, self.last)
        return truth_table([*strikes, *labels], self.network.world, self.first, self.last)

    def until(self, last: int) -> Simulation:
        """The same simulation, ended later (minutes since 1970): what a live run shows."""
        longer = copy(self)
        longer.last = last
        return longer

    def received(self, since: int, until: int) -> pa.Table:
        """Telemetry that arrives between the cuts of two ticks (minutes since 1970): the newest interval, and what was
        late.

        The ticks of a live run and its batch together hold exactly the rows of a batch that ends later.
        """
        window = RowWindow(self.first, until, since * 60 + CUT_SECONDS, until * 60 + CUT_SECONDS)
        days = range((since - LATEST_MINUTES - DAY_MINUTES // 24) // DAY_MINUTES, (until - 1) // DAY_MINUTES + 1)
        return pa.concat_tables(telemetry_table(self.network, self._state(day), window) for day in days)

    def flows_between(self, since: int, until: int) -> pa.Table:
        """Flows of the whole hours that end after `since` and by `until`."""
        first = max(self.first, since - since % 60)
        days = range(first // DAY_MINUTES, (until - 1) // DAY_MINUTES + 1)
        return pa.concat_tables(
            flows_table(self.network.world, self._routes, self._state(day), first, until) for day in days
        )

    def _state(self, day: int) -> NetworkState:
        """The state of a day; a live run asks for the same one or two days over and over."""
        if day not in self._kept:
            if len(self._kept) > 1:
                self._kept.clear()
            self._kept[day] = network_day(self.network, day)
        return self._kept[day]

    def _announced(self) -> Iterator[dict[str, object]]:
        for happening in scheduled_events(self.options, self.network.world, self.first, self.last + ANNOUNCED_MINUTES):
            if happening.kind != "maintenance" or happening.start < self.last + MAINTENANCE_AHEAD_MINUTES:
                yield happening.row()

    def _outages_written_up(self) -> Iterator[dict[str, object]]:
        for outage in incidents(self.options, self.network.world, self.first, self.last):
            if outage.written_up and outage.end <= self.last:
                site = self.network.world.sites[outage.site]
                yield {
                    "event_id": outage.incident_id,
                    "kind": "outage",
                    "title": f"Outage in {site.city}",
                    "start": moment(outage.start),
                    "end": moment(outage.end),
                    "scope": site.site_id,
                    "treatment": "mask",
                }

    def _augments(self) -> Iterator[dict[str, object]]:
        """Capacity that came into service within the span, as a note."""
        for step in self.network.steps:
            if self.first < step.start <= self.last:
                site = self.network.world.sites[step.site]
                yield {
                    "event_id": f"augment-{moment(step.start):%Y%m%d}-{site.site_id}",
                    "kind": "change",
                    "title": f"{site.city} grows to {step.gbps:g} Gbps",
                    "start": moment(step.start),
                    "end": moment(step.start + 60),
                    "scope": site.site_id,
                    "treatment": "note",
                }


def simulate(options: SimulationOptions) -> Simulation:
    """The simulation of these options: pure, and reproducible to the last byte of what it writes."""
    return Simulation(options)
