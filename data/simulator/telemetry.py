"""From what is true to what is reported: rounding, missing rows, late rows, and the contract's columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data.schema import STAMP, TABLES
from data.simulator.clock import ticks_of
from data.simulator.network import Network, State
from data.simulator.plan import TICK_MINUTES, TICKS_A_DAY, draws
from data.simulator.world import Mask, Real, Whole

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
class Window:
    """Which rows are wanted: `ts` in [first, last) (minutes since 1970), received after one second and up to
    another.
    """

    first: int
    last: int
    received_after: int
    received_until: int


def window_of(first: int, last: int) -> Window:
    """All rows of the span that have arrived when its snapshot is cut."""
    return Window(first, last, -(2**62), last * 60 + CUT_SECONDS)


def telemetry_table(network: Network, state: State, window: Window) -> pa.Table:
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


def _measured(network: Network, state: State) -> dict[str, Real]:
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


def _reported(network: Network, state: State) -> Mask:
    """Which rows are ever sent: not those of a gap, and not the few that are lost."""
    sent = draws(network.plan.seed, "lost", state.day).random(state.viewers.shape, dtype=np.float32) >= LOST_ROW * min(
        network.plan.trouble, 1.0
    )
    for incident in state.incidents:
        if incident.kind == "gap":
            sent[incident.site] &= ~incident.lasts(ticks_of(state.day))
    return np.asarray(sent)


def _received(network: Network, state: State, stamps: Whole) -> Whole:
    """When each row arrives, in seconds since 1970; those of a late spell arrive together when it ends."""
    delay = draws(network.plan.seed, "delay", state.day).integers(*DELAY_SECONDS, (len(network.world), TICKS_A_DAY))
    received = np.asarray((stamps + TICK_MINUTES)[None, :] * 60 + delay)
    for incident in state.incidents:
        if incident.kind == "late":
            held = incident.lasts(stamps)
            received[incident.site, held] = (incident.end + TICK_MINUTES) * 60 + delay[incident.site, held]
    return received
