"""One UTC day of the whole network: demand, what goes wrong, what is delivered, and what viewers feel (arrays, sites x
288).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from data.simulator.capacity import Step, capacity_on, egress_steps, growth_a_year, ingest_steps
from data.simulator.clock import ticks_of
from data.simulator.demand import Demand, build_demand
from data.simulator.incidents import Incident, incidents, name, surge
from data.simulator.ingest import MEGABITS_A_STREAM, Broadcast, broadcast_day, build_broadcast
from data.simulator.plan import DAY_MINUTES, TICK_MINUTES, TICKS_A_DAY, Plan, draws, minutes
from data.simulator.quality import Quality, build_quality, delivered, staying, strain
from data.simulator.scheduled_events import Happening, happenings, lift
from data.simulator.world import Mask, Real, World, build_world

# Share of a failed site's demand that its neighbours take up; the rest goes away.
TAKEN_OVER = 0.92
# A gain that is smaller than this is lost in the noise, and no label.
LEAST_GAIN = 0.05
# Congestion that is shorter than this is no label; a shorter pause does not end it.
LEAST_CONGESTED_TICKS, LONGEST_PAUSE_TICKS = 3, 6


@dataclass(frozen=True, slots=True)
class Network:
    """A world in motion: everything that a day needs, built once for a plan."""

    plan: Plan
    world: World
    demand: Demand
    quality: Quality
    broadcast: Broadcast
    steps: list[Step]
    response: Real  # how strongly each site's audience follows an event, around 1


@dataclass(frozen=True, slots=True)
class State:
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


def build_network(plan: Plan) -> Network:
    """The sites of a plan, their growth, their capacity and what is typical of each."""
    world, anchor = build_world(plan.sites, plan.seed), minutes(plan.anchored)
    demand = build_demand(world, plan.seed, anchor, growth_a_year(world, plan.seed))
    quality, broadcast = build_quality(world, plan.seed), build_broadcast(world, demand, plan.seed)
    steps = egress_steps(demand, quality.bitrate_mbps) + ingest_steps(
        world, broadcast.peak_streams * MEGABITS_A_STREAM / 1000, plan.seed, anchor
    )
    return Network(
        plan, world, demand, quality, broadcast, steps, draws(plan.seed, "response").uniform(0.75, 1.25, len(world))
    )


def network_day(network: Network, day: int) -> State:
    """The state of a UTC day (days since 1970): a function of the plan's seed, sites, anchor and trouble, and of the
    day alone.
    """
    ticks, world = ticks_of(day).astype(float), network.world
    first, last = day * DAY_MINUTES, (day + 1) * DAY_MINUTES
    struck, known = incidents(network.plan, world, first, last), happenings(network.plan, world, first, last)
    organic, awake = network.demand.day(day)
    lifted = _lift(network, known, awake, ticks)
    wanted = organic * lifted * _surges(struck, ticks, organic.shape)
    availability, outage = _availability(network, struck, known, ticks)
    asked, gained = _moved(wanted, availability, world.takeover)
    capacity = capacity_on(network.steps, world, "egress", first)[:, None]
    load = asked * network.quality.bitrate_mbps[:, None] / 1000.0 / capacity
    strained = strain(load, network.quality.knee[:, None])
    rebuffer, startup, failure = network.quality.day(day, strained, outage)
    sent = broadcast_day(network.broadcast, world, network.steps, organic * np.sqrt(lifted), availability, struck, day)
    labels = _failovers(network, struck, wanted, gained, ticks) + _congestion(network, load, rebuffer, day)
    return State(
        day,
        delivered(load) * capacity,
        asked * staying(strained),
        rebuffer,
        startup,
        failure,
        availability,
        *sent,
        struck,
        labels,
    )


def _lift(network: Network, known: list[Happening], awake: Real, ticks: Real) -> Real:
    """Demand over normal that announced events cause."""
    total, following = np.ones_like(awake), network.response[:, None] * awake * np.sqrt(awake)
    for happening in known:
        if happening.kind == "maintenance":
            continue
        here = np.array([happening.scope in ("global", region.region_id) for region in network.world.regions])
        total[here] += lift(happening, ticks)[None, :] * following[here]
    return total


def _surges(struck: list[Incident], ticks: Real, shape: tuple[int, ...]) -> Real:
    total = np.ones(shape)
    for incident in struck:
        if incident.kind == "surge":
            total[incident.site] += surge(incident, ticks)
    return total


def _availability(network: Network, struck: list[Incident], known: list[Happening], ticks: Real) -> tuple[Real, Real]:
    """Share of each site in service, by maintenance and outage; and by outage alone, which viewers feel."""
    in_service = np.ones((len(network.world), TICKS_A_DAY))
    outage = np.ones_like(in_service)
    for incident in struck:
        if incident.kind == "outage":
            outage[incident.site] *= 1.0 - (1.0 - incident.size) * incident.lasts(ticks)
    for happening in known:
        if happening.kind == "maintenance":
            lasts = (ticks >= happening.start) & (ticks < happening.end)
            in_service[network.world.site_ids.index(happening.scope)] *= np.where(lasts, happening.size, 1.0)
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
                    name("congestion", start, network.world, int(site)),
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
