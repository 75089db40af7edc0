"""A simulation: the small tables at once, the large ones (telemetry, flows, links) day by day."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data.schema import STAMP, TABLES
from data.simulator.capacity import capacity_table
from data.simulator.demand import ticks_of
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
from data.simulator.options import (
    DAY_MINUTES,
    SIMULATOR_MARK,
    TICK_MINUTES,
    TICKS_A_DAY,
    SimulationOptions,
    minutes,
    moment,
    random_stream,
)
from data.simulator.world import Mask, Real, Whole, World, distances_km, sites_table

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


# Telemetry -----------------------------------------------------------------------------------------------------------

# Collectors cut a snapshot this long after the end of its last interval.
CUT_SECONDS = 60
# A measurement arrives within this time of the end of its interval, unless it is late.
DELAY_SECONDS = (2, 45)
# One row in so many is lost on its own.
LOST_ROW = 0.0004
# Decimals reported: a Mbps, a viewer, a thousandth of a percent. They also hide the last bit, in which processors
# differ.
DECIMALS = {
    "ingest_gbps": 3,
    "egress_gbps": 3,
    "streams": 0,
    "viewers": 0,
    "rebuffer_ratio": 5,
    "startup_seconds": 3,
    "playback_failure_ratio": 5,
    "ingest_starved_ratio": 4,
    "transcode_used_ratio": 4,
}
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class RowWindow:
    """Which rows are wanted: `ts` in [first, last) (minutes since 1970), received after one second and up to
    another.
    """

    first: int
    last: int
    received_after: int
    received_until: int


def window_of(first: int, last: int) -> RowWindow:
    """All rows of the span that have arrived when its snapshot is cut."""
    return RowWindow(first, last, -(2**62), last * 60 + CUT_SECONDS)


def telemetry_table(network: Network, state: NetworkState, window: RowWindow) -> pa.Table:
    """The contract's `telemetry` for one day, in order of site_id and ts."""
    stamps = ticks_of(state.day)
    received = _received(network, state, stamps)
    wanted = _reported(network, state) & (stamps >= window.first) & (stamps < window.last)
    wanted &= (received > window.received_after) & (received <= window.received_until)
    site, tick = np.nonzero(wanted)
    names = pa.DictionaryArray.from_arrays(pa.array(site, pa.int32()), network.world.site_ids).cast(pa.string())
    columns: dict[str, pa.Array] = {
        "ts": pa.array(stamps[tick] * 60 * MICROSECONDS).cast(STAMP),
        "received_at": pa.array(received[wanted] * MICROSECONDS).cast(STAMP),
        "site_id": names,
    }
    for name, values in _measured(network, state).items():
        rounded = np.round(values[wanted], DECIMALS[name])
        columns[name] = pa.array(rounded, mask=np.isnan(rounded))
    return pa.table(columns, schema=TABLES["telemetry"].schema)


def _measured(network: Network, state: NetworkState) -> dict[str, Real]:
    """Every metric, (sites, 288); sites that take nothing in report no ingest at all."""
    of_ingest = {
        "ingest_gbps": state.ingest_gbps,
        "streams": state.streams,
        "ingest_starved_ratio": state.starved,
        "transcode_used_ratio": state.transcode,
    }
    spread = {name: np.full(state.viewers.shape, np.nan) for name in of_ingest}
    for name, values in of_ingest.items():
        spread[name][network.world.ingest] = values
    return {
        "ingest_gbps": spread["ingest_gbps"],
        "egress_gbps": state.egress_gbps,
        "streams": spread["streams"],
        "viewers": state.viewers,
        "rebuffer_ratio": state.rebuffer,
        "startup_seconds": state.startup,
        "playback_failure_ratio": state.failure,
        "ingest_starved_ratio": spread["ingest_starved_ratio"],
        "transcode_used_ratio": spread["transcode_used_ratio"],
    }


def _reported(network: Network, state: NetworkState) -> Mask:
    """Which rows are ever sent: not those of a gap, and not the few that are lost."""
    sent = random_stream(network.options.seed, "lost", state.day).random(
        state.viewers.shape, dtype=np.float32
    ) >= LOST_ROW * min(network.options.incident_rate, 1.0)
    for incident in state.incidents:
        if incident.kind == "gap":
            sent[incident.site] &= ~incident.lasts(ticks_of(state.day))
    return np.asarray(sent)


def _received(network: Network, state: NetworkState, stamps: Whole) -> Whole:
    """When each row arrives, in seconds since 1970; those of a late spell arrive together when it ends."""
    delay = random_stream(network.options.seed, "delay", state.day).integers(
        *DELAY_SECONDS, (len(network.world), TICKS_A_DAY)
    )
    received = np.asarray((stamps + TICK_MINUTES)[None, :] * 60 + delay)
    for incident in state.incidents:
        if incident.kind == "late":
            is_late = incident.lasts(stamps)
            received[incident.site, is_late] = (incident.end + TICK_MINUTES) * 60 + delay[incident.site, is_late]
    return received


# Flows and links -----------------------------------------------------------------------------------------------------

# Each ingest site's streams are followed to this many other sites.
TARGETS = 6
# Interest in a site's streams falls with distance (language, time of day) over this scale.
INTEREST_KM = 7000.0
MOST_WATCHED, LEAST_WATCHED = 0.85, 0.05
LINKS_A_SITE = 2
LINK_GBPS = (200.0, 400.0, 800.0)
HOURS = 24


@dataclass(frozen=True, slots=True)
class Routes:
    """Which flows are reported: row in `World.ingest`, position of the target, and the share of the streams that it
    pulls.
    """

    source: Whole
    target: Whole
    pull: Real


def build_routes(world: World) -> Routes:
    """The sites that pull most from each ingest site: large ones, and near ones."""
    km = distances_km(world.sites)[world.ingest]
    pull = np.sqrt(world.weight / world.weight.max())[None, :] * np.exp(-km / INTEREST_KM) * MOST_WATCHED
    pull[np.arange(len(world.ingest)), world.ingest] = -1.0
    best = np.argsort(-pull, axis=1, kind="stable")[:, : min(TARGETS, len(world) - 1)]
    source = np.repeat(np.arange(len(world.ingest)), best.shape[1])
    return Routes(source, best.ravel(), np.maximum(pull[source, best.ravel()], LEAST_WATCHED))


def flows_table(world: World, routes: Routes, state: NetworkState, first: int, last: int) -> pa.Table:
    """The contract's `flows` of the whole hours of one day that lie in [first, last)."""
    hours = state.day * DAY_MINUTES + 60 * np.arange(HOURS)
    whole = (hours >= first) & (hours + 60 <= last)
    carried = state.ingest_gbps[routes.source] * state.availability[routes.target] * routes.pull[:, None]
    gbps = carried.reshape(len(routes.source), HOURS, TICKS_A_DAY // HOURS).mean(axis=2)[:, whole]
    ids = np.array(world.site_ids, dtype=object)
    columns = {
        "ts": pa.array(np.tile(hours[whole], len(routes.source)) * 60 * MICROSECONDS).cast(STAMP),
        "source_site_id": pa.array(np.repeat(ids[world.ingest[routes.source]], whole.sum()), pa.string()),
        "target_site_id": pa.array(np.repeat(ids[routes.target], whole.sum()), pa.string()),
        "gbps": pa.array(np.round(gbps.ravel(), 3)),
    }
    return pa.table(columns, schema=TABLES["flows"].schema)


def links_table(world: World, seed: int) -> pa.Table:
    """The contract's `links`: each ingest site with its nearest fellows."""
    km = distances_km(world.sites)[np.ix_(world.ingest, world.ingest)]
    nearest = np.argsort(km, axis=1, kind="stable")[:, 1 : 1 + LINKS_A_SITE]
    pairs = sorted({(min(i, int(j)), max(i, int(j))) for i, row in enumerate(nearest) for j in row})
    sizes = random_stream(seed, "links").choice(LINK_GBPS, len(pairs))
    ids = [world.sites[i].site_id for i in world.ingest]
    rows = [
        {
            "link_id": f"{ids[a]}--{ids[b]}",
            "source_site_id": ids[a],
            "target_site_id": ids[b],
            "capacity_gbps": float(size),
        }
        for (a, b), size in zip(pairs, sizes, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["links"].schema)
