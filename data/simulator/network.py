"""One UTC day of the whole network: demand, what goes wrong, what is delivered and taken in, and what viewers feel
(arrays, sites x 288).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np

from data.simulator.capacity import CapacityStep, capacity_on, egress_steps, growth_a_year, ingest_steps
from data.simulator.demand import Demand, Field, Octave, build_demand, ticks_of
from data.simulator.incidents import (
    Incident,
    ScheduledEvent,
    event_lift,
    incident_id,
    incidents,
    scheduled_events,
    surge_lift,
)
from data.simulator.options import DAY_MINUTES, TICK_MINUTES, TICKS_A_DAY, SimulationOptions, minutes, random_stream
from data.simulator.world import Mask, Real, Whole, World, build_world

# Ingest: streams taken in, their bits, their starvation, and their transcoding ---------------------------------------

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
    rng = random_stream(seed, "broadcast")
    peak = _gathered(demand.peak_viewers(demand.anchor), world.served_by, len(world.ingest)) / VIEWERS_A_STREAM
    return Broadcast(
        seed, peak, rng.uniform(*STARVED, len(world.ingest)), peak / rng.uniform(*TRANSCODE_AT_PEAK, len(world.ingest))
    )


def broadcast_day(
    broadcast: Broadcast,
    world: World,
    steps: list[CapacityStep],
    viewers: Real,
    availability: Real,
    struck: list[Incident],
    day: int,
) -> tuple[Real, Real, Real, Real]:
    """Streams, ingest Gbps, starved ratio and transcode use of a day, each (ingest sites, 288); `viewers` is what is
    asked everywhere.
    """
    count = len(world.ingest)
    noise = Field(broadcast.seed, "streams", count, STREAM_NOISE).day(day) + 0.004 * random_stream(
        broadcast.seed, "stream grain", day
    ).standard_normal((count, viewers.shape[1]))
    offered = _gathered(viewers, world.served_by, count) / VIEWERS_A_STREAM * np.exp(noise)
    up = availability[world.ingest]
    streams = (offered + world.ingest_takeover.T @ (offered * (1.0 - up))) * up
    starved = _starved(broadcast, world, struck, day)
    capacity = capacity_on(steps, world, "ingest", day * DAY_MINUTES)[world.ingest, None]
    needed = streams * MEGABITS_A_STREAM / 1000.0 * (1.0 - STARVED_LOSS * starved)
    return (
        streams,
        delivered(needed / capacity) * capacity,
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


# Delivery and quality near capacity ----------------------------------------------------------------------------------
# `load` is demand over capacity. Up to `FULL` a site delivers what is asked; beyond it players step down to lower
# renditions, so egress bends towards, and never reaches, capacity. Stalls begin earlier, at the site's own knee:
# `knee_of` is the truth that a finder of knees is held against.

# Where delivery starts to bend, and what it never exceeds, as shares of capacity.
FULL, CEILING = 0.92, 0.995
KNEE = (0.78, 0.90)
# How sharply strain sets in at the knee, and the load beyond it at which strain is 1.
KNEE_WIDTH, KNEE_REACH, NO_STRAIN = 0.022, 0.10, -9.0
REBUFFER_AT_ONE, STARTUP_AT_ONE, FAILURE_AT_ONE = 0.020, 0.9, 0.014
# Viewers who give up, at a strain of one.
ABANDON_AT_ONE = 0.03
# In an outage a play that is tried at all mostly fails.
OUTAGE_FAILURE, OUTAGE_REBUFFER, OUTAGE_STARTUP = 0.6, 0.08, 6.0
QUALITY_NOISE = (Octave(360, 0.06), Octave(45, 0.06))
BASE_FAILURE = (0.0018, 0.0042)


@dataclass(frozen=True, slots=True)
class Quality:
    """What is typical of each site: its knee, its delivered bitrate, and its quality where nothing is congested."""

    seed: int
    knee: Real
    bitrate_mbps: Real
    rebuffer: Real
    startup: Real
    failure: Real

    def day(self, day: int, strained: Real, availability: Real) -> tuple[Real, Real, Real]:
        """Rebuffer ratio, startup seconds and playback failure ratio, each (sites, 288)."""
        noise = np.exp(Field(self.seed, "quality", len(self.knee), QUALITY_NOISE).day(day))
        grain = np.exp(0.05 * random_stream(self.seed, "quality grain", day).standard_normal(strained.shape))
        down = 1.0 - availability
        rebuffer = rebuffer_ratio(strained, self.rebuffer[:, None] * noise * grain) + OUTAGE_REBUFFER * down
        startup = startup_seconds(strained, self.startup[:, None] * np.sqrt(noise)) + OUTAGE_STARTUP * down
        failure = failure_ratio(strained, self.failure[:, None] * grain) + OUTAGE_FAILURE * down
        return np.minimum(rebuffer, 1.0), startup, np.minimum(failure, 1.0)


def build_quality(world: World, seed: int) -> Quality:
    """The constants of each site, around what is typical of its region."""
    rng = random_stream(seed, "quality")
    spread = rng.uniform(0.85, 1.2, (4, len(world)))
    return Quality(
        seed,
        knee=np.array([knee_of(site_id, seed) for site_id in world.site_ids]),
        bitrate_mbps=np.array([region.bitrate_mbps for region in world.regions]) * rng.uniform(0.95, 1.05, len(world)),
        rebuffer=np.array([region.rebuffer_ratio for region in world.regions]) * spread[0],
        startup=np.array([region.startup_seconds for region in world.regions]) * spread[1],
        failure=rng.uniform(*BASE_FAILURE, len(world)),
    )


def knee_of(site_id: str, seed: int) -> float:
    """The load at which this site's viewers begin to stall: a constant of the site, the truth about it."""
    return float(random_stream(seed, "knee", zlib.crc32(site_id.encode())).uniform(*KNEE))


def strain(load: Real, knee: Real | float) -> Real:
    """How congested: near 0 well below the knee, 1 at `KNEE_REACH` beyond it, then linear; smooth and increasing."""
    beyond = (load - knee) / KNEE_WIDTH
    # Most loads are far below their knee, where the answer is nought to four digits and not worth a logarithm.
    near = beyond > NO_STRAIN
    return KNEE_WIDTH / KNEE_REACH * np.logaddexp(0.0, beyond, where=near, out=np.zeros_like(beyond))


def rebuffer_ratio(strained: Real, base: Real | float) -> Real:
    """Rises faster than the strain; never falls as the load grows."""
    return np.asarray(base + REBUFFER_AT_ONE * strained * np.sqrt(strained))


def startup_seconds(strained: Real, base: Real | float) -> Real:
    """Rises with the strain."""
    return np.asarray(base * (1.0 + STARTUP_AT_ONE * strained))


def failure_ratio(strained: Real, base: Real | float) -> Real:
    """Rises slowly at first; never falls as the load grows."""
    return np.asarray(base + FAILURE_AT_ONE * strained**2)


def delivered(load: Real) -> Real:
    """Egress over capacity for a load: equal up to `FULL`, then bending towards `CEILING`."""
    room = CEILING - FULL
    beyond = np.maximum(load - FULL, 0.0) / room
    return np.minimum(load, FULL) - room * np.expm1(-beyond, where=beyond > 0, out=np.zeros_like(beyond))


def share_staying(strained: Real) -> Real:
    """Share of viewers who do not give up."""
    return np.exp(-ABANDON_AT_ONE * strained)


# A day of the network ------------------------------------------------------------------------------------------------

# Share of a failed site's demand that its neighbours take up; the rest goes away.
TAKEN_OVER = 0.92
# A gain that is smaller than this is lost in the noise, and no label.
LEAST_GAIN = 0.05
# Congestion that is shorter than this is no label; a shorter pause does not end it.
LEAST_CONGESTED_TICKS, LONGEST_PAUSE_TICKS = 3, 6


@dataclass(frozen=True, slots=True)
class Network:
    """A world in motion: everything that a day needs, built once."""

    options: SimulationOptions
    world: World
    demand: Demand
    quality: Quality
    broadcast: Broadcast
    steps: list[CapacityStep]
    response: Real  # how strongly each site's audience follows an event, around 1


@dataclass(frozen=True, slots=True)
class NetworkState:
    """What is true of the network on one day. Arrays are (sites, 288), those of ingest (ingest sites, 288)."""

    day: int
    egress_gbps: Real
    viewers: Real
    rebuffer: Real
    startup: Real
    failure: Real
    availability: Real
    streams: Real
    ingest_gbps: Real
    starved: Real
    transcode: Real
    incidents: list[Incident]
    labels: list[Incident] = field(default_factory=list)  # failovers and congestion, which only the day itself shows


def build_network(options: SimulationOptions) -> Network:
    """The sites of a options, their growth, their capacity and what is typical of each."""
    world, anchor = build_world(options.sites, options.seed), minutes(options.anchored)
    demand = build_demand(world, options.seed, anchor, growth_a_year(world, options.seed))
    quality, broadcast = build_quality(world, options.seed), build_broadcast(world, demand, options.seed)
    steps = egress_steps(demand, quality.bitrate_mbps) + ingest_steps(
        world, broadcast.peak_streams * MEGABITS_A_STREAM / 1000, options.seed, anchor
    )
    return Network(
        options,
        world,
        demand,
        quality,
        broadcast,
        steps,
        random_stream(options.seed, "response").uniform(0.75, 1.25, len(world)),
    )


def network_day(network: Network, day: int) -> NetworkState:
    """The state of a UTC day (days since 1970): a function of the seed, sites, anchor and incident rate, and of the
    day alone.
    """
    ticks, world = ticks_of(day).astype(float), network.world
    first, last = day * DAY_MINUTES, (day + 1) * DAY_MINUTES
    strikes, events = (
        incidents(network.options, world, first, last),
        scheduled_events(network.options, world, first, last),
    )
    organic, awake = network.demand.day(day)
    lifted = _lift(network, events, awake, ticks)
    wanted = organic * lifted * _surges(strikes, ticks, organic.shape)
    availability, outage = _availability(network, strikes, events, ticks)
    demanded, gained = _moved(wanted, availability, world.takeover)
    capacity = capacity_on(network.steps, world, "egress", first)[:, None]
    load = demanded * network.quality.bitrate_mbps[:, None] / 1000.0 / capacity
    strained = strain(load, network.quality.knee[:, None])
    rebuffer, startup, failure = network.quality.day(day, strained, outage)
    sent = broadcast_day(network.broadcast, world, network.steps, organic * np.sqrt(lifted), availability, strikes, day)
    labels = _failovers(network, strikes, wanted, gained, ticks) + _congestion(network, load, rebuffer, day)
    return NetworkState(
        day,
        delivered(load) * capacity,
        demanded * share_staying(strained),
        rebuffer,
        startup,
        failure,
        availability,
        *sent,
        strikes,
        labels,
    )


def _lift(network: Network, events: list[ScheduledEvent], awake: Real, ticks: Real) -> Real:
    """Demand over normal that announced events cause."""
    total, following = np.ones_like(awake), network.response[:, None] * awake * np.sqrt(awake)
    for event in events:
        if event.kind == "maintenance":
            continue
        in_scope = np.array([event.scope in ("global", region.region_id) for region in network.world.regions])
        total[in_scope] += event_lift(event, ticks)[None, :] * following[in_scope]
    return total


def _surges(struck: list[Incident], ticks: Real, shape: tuple[int, ...]) -> Real:
    total = np.ones(shape)
    for incident in struck:
        if incident.kind == "surge":
            total[incident.site] += surge_lift(incident, ticks)
    return total


def _availability(
    network: Network, strikes: list[Incident], events: list[ScheduledEvent], ticks: Real
) -> tuple[Real, Real]:
    """Share of each site in service, by maintenance and outage; and by outage alone, which viewers feel."""
    in_service = np.ones((len(network.world), TICKS_A_DAY))
    outage = np.ones_like(in_service)
    for incident in strikes:
        if incident.kind == "outage":
            outage[incident.site] *= 1.0 - (1.0 - incident.size) * incident.lasts(ticks)
    for event in events:
        if event.kind == "maintenance":
            lasts = (ticks >= event.start) & (ticks < event.end)
            in_service[network.world.site_ids.index(event.scope)] *= np.where(lasts, event.size, 1.0)
    return in_service * outage, outage


def _moved(wanted: Real, availability: Real, takeover: Real) -> tuple[Real, Real]:
    """Demand after sites out of service have passed theirs to their neighbours; and what each site gained."""
    lost = wanted * (1.0 - availability)
    failing = np.nonzero(lost.any(axis=1))[0]
    gained = TAKEN_OVER * takeover[failing].T @ lost[failing]
    return (wanted + gained) * availability, gained


def _failovers(network: Network, struck: list[Incident], wanted: Real, gained: Real, ticks: Real) -> list[Incident]:
    """Labels of the neighbours that visibly gain while a site is out."""
    labels = []
    for outage in (i for i in struck if i.kind == "outage"):
        during = outage.lasts(ticks)
        for helper in np.nonzero(network.world.takeover[outage.site])[0]:
            gain = float(gained[helper, during].mean() / wanted[helper, during].mean())
            if gain >= LEAST_GAIN:
                labels.append(
                    Incident(
                        f"{outage.incident_id}-to-{network.world.sites[helper].site_id}",
                        "failover",
                        int(helper),
                        outage.start,
                        outage.end,
                        1.0 + gain,
                    )
                )
    return labels


def _congestion(network: Network, load: Real, rebuffer: Real, day: int) -> list[Incident]:
    """Labels of the spans in which a site's load is above its knee."""
    above = load > network.quality.knee[:, None]
    labels = []
    for site in np.nonzero(above.any(axis=1))[0]:
        for begin, end in congested_spans(above[site]):
            start = day * DAY_MINUTES + TICK_MINUTES * begin
            size = float(rebuffer[site, begin:end].max() / network.quality.rebuffer[site])
            labels.append(
                Incident(
                    incident_id("congestion", start, network.world, int(site)),
                    "congestion",
                    int(site),
                    start,
                    start + TICK_MINUTES * (end - begin),
                    size,
                )
            )
    return labels


def congested_spans(above: Mask) -> list[tuple[int, int]]:
    """Half-open spans of ticks above the knee: short pauses are bridged, short spans left out unless they touch
    midnight.
    """
    edges = np.flatnonzero(np.diff(above.astype(np.int8), prepend=0, append=0))
    spans: list[tuple[int, int]] = []
    for begin, end in edges.reshape(-1, 2).tolist():
        if spans and begin - spans[-1][1] < LONGEST_PAUSE_TICKS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return [(b, e) for b, e in spans if e - b >= LEAST_CONGESTED_TICKS or b == 0 or e == len(above)]
