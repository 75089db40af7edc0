"""From what is true to what is reported: telemetry with lost and late rows, hourly flows, and the links between sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data.schema import STAMP, TABLES
from data.simulator.demand import ticks_of
from data.simulator.network import Network, NetworkState
from data.simulator.options import DAY_MINUTES, TICK_MINUTES, TICKS_A_DAY, random_stream
from data.simulator.world import Mask, Real, Whole, World, distances_km

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
