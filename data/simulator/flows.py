"""Where the streams go: hourly flows from ingest sites to the sites that watch them most, and the links between ingest
sites.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data.schema import STAMP, TABLES
from data.simulator.network import State
from data.simulator.plan import DAY_MINUTES, TICKS_A_DAY, draws
from data.simulator.telemetry import MICROSECONDS
from data.simulator.world import Real, Whole, World, distances_km

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


def flows_table(world: World, routes: Routes, state: State, first: int, last: int) -> pa.Table:
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
    sizes = draws(seed, "links").choice(LINK_GBPS, len(pairs))
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
