"""The broadcasters' side: streams taken in, their bits, their starvation, and the transcoding they need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.simulator.capacity import Step, capacity_on
from data.simulator.clock import ticks_of
from data.simulator.demand import Demand
from data.simulator.incidents import Incident
from data.simulator.noise import Field, Octave
from data.simulator.plan import DAY_MINUTES, draws
from data.simulator.quality import delivered
from data.simulator.world import Real, Whole, World

# Viewers of a stream, on average: with 3.5 Mbps out and this many in, egress is about 16 times ingest.
VIEWERS_A_STREAM = 24.0
MEGABITS_A_STREAM = 5.2
STREAM_NOISE = (Octave(2 * DAY_MINUTES, 0.02), Octave(240, 0.02), Octave(30, 0.008))
STARVED = (0.008, 0.02)
# A starving stream still sends some of what it announced.
STARVED_LOSS = 0.6
TRANSCODE_AT_PEAK = (0.55, 0.82)


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What is typical of each ingest site (in the order of `World.ingest`)."""

    seed: int
    peak_streams: Real  # of an ordinary week at the anchor
    starved: Real
    transcode_streams: Real  # what the site's transcoding can take


def build_broadcast(world: World, demand: Demand, seed: int) -> Broadcast:
    """Streams follow the viewers of the sites that an ingest site is nearest to."""
    rng = draws(seed, "broadcast")
    peak = _gathered(demand.peak_viewers(demand.anchor), world.served_by, len(world.ingest)) / VIEWERS_A_STREAM
    return Broadcast(
        seed, peak, rng.uniform(*STARVED, len(world.ingest)), peak / rng.uniform(*TRANSCODE_AT_PEAK, len(world.ingest))
    )


def broadcast_day(
    broadcast: Broadcast,
    world: World,
    steps: list[Step],
    viewers: Real,
    availability: Real,
    struck: list[Incident],
    day: int,
) -> tuple[Real, Real, Real, Real]:
    """Streams, ingest Gbps, starved ratio and transcode use of a day, each (ingest sites, 288); `viewers` is what is
    asked everywhere.
    """
    count = len(world.ingest)
    noise = Field(broadcast.seed, "streams", count, STREAM_NOISE).day(day) + 0.004 * draws(
        broadcast.seed, "stream grain", day
    ).standard_normal((count, viewers.shape[1]))
    offered = _gathered(viewers, world.served_by, count) / VIEWERS_A_STREAM * np.exp(noise)
    up = availability[world.ingest]
    streams = (offered + world.ingest_takeover.T @ (offered * (1.0 - up))) * up
    starved = _starved(broadcast, world, struck, day)
    capacity = capacity_on(steps, world, "ingest", day * DAY_MINUTES)[world.ingest, None]
    asked = streams * MEGABITS_A_STREAM / 1000.0 * (1.0 - STARVED_LOSS * starved)
    return (
        streams,
        delivered(asked / capacity) * capacity,
        starved,
        np.minimum(streams / broadcast.transcode_streams[:, None], 1.0),
    )


def _gathered(values: Real, served_by: Whole, count: int) -> Real:
    """Sums over the sites that each ingest site serves."""
    return np.stack([values[served_by == row].sum(axis=0) for row in range(count)])


def _starved(broadcast: Broadcast, world: World, struck: list[Incident], day: int) -> Real:
    noise = Field(broadcast.seed, "starved", len(world.ingest), (Octave(60, 0.25),)).day(day)
    ratio = broadcast.starved[:, None] * np.exp(noise)
    for incident in struck:
        if incident.kind == "starvation":
            row = int(np.searchsorted(world.ingest, incident.site))
            ratio[row] = np.maximum(
                ratio[row], incident.size * np.exp(0.2 * noise[row]) * incident.lasts(ticks_of(day))
            )
    return np.minimum(ratio, 1.0)
