"""What happens to the network: scheduled events, known ahead (tournaments, releases, maintenance), and incidents, which
are not (outages, surges, ingest starvation, telemetry gaps, late rows), each with its true label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Literal

import numpy as np
import pyarrow as pa

from data.schema import TABLES
from data.simulator.demand import local_minute, monday_of, ramp, week_of
from data.simulator.options import (
    DAY_MINUTES,
    TICK_MINUTES,
    WEEK_MINUTES,
    SimulationOptions,
    minutes,
    moment,
    random_stream,
    random_strikes,
)
from data.simulator.world import CUPS, REGIONS, RELEASES, TROUBLED_PARTNER, Mask, Real, Whole, World

# Scheduled events ----------------------------------------------------------------------------------------------------

# Announcements reach this far beyond the end of the telemetry; maintenance is planned less far ahead.
ANNOUNCED_MINUTES = 90 * DAY_MINUTES
MAINTENANCE_AHEAD_MINUTES = 28 * DAY_MINUTES
# A cup every third week, more at random; a release every fifth.
CUP_EVERY, CUP_EXTRA, RELEASE_EVERY = 3, 0.15, 5
GLOBAL_CUP_SHARE = 0.4
CUP_GLOBAL, CUP_REGION, RELEASE = (0.2, 0.36), (0.35, 0.7), (0.16, 0.3)
RELEASE_HOURS, RELEASE_DECAY_MINUTES = 8, 240.0
MAINTENANCE_A_SITE_WEEK = 1 / 40
SHOULDER_MINUTES = 15.0
# An event cannot be felt further than this outside its hours.
REACH_MINUTES = 120


@dataclass(frozen=True, slots=True)
class ScheduledEvent:
    """Something announced: the rows of `events`, and what it does to demand or to a site."""

    event_id: str
    kind: Literal["tournament", "release", "maintenance"]
    title: str
    start: int
    end: int
    scope: str
    size: float  # tournament, release: extra demand over normal; maintenance: share of the site that stays in service

    def touches(self, first: int, last: int) -> bool:
        return self.start - REACH_MINUTES < last and self.end + REACH_MINUTES > first

    def row(self) -> dict[str, object]:
        treatment = "mask" if self.kind == "maintenance" else "regressor"
        return {
            "event_id": self.event_id,
            "kind": self.kind,
            "title": self.title,
            "start": moment(self.start),
            "end": moment(self.end),
            "scope": self.scope,
            "treatment": treatment,
        }


def event_lift(event: ScheduledEvent, ticks: Real) -> Real:
    """Extra demand over normal at each tick (minutes since 1970), for an audience that is wide awake."""
    into = ticks - event.start
    edges = ramp(into, SHOULDER_MINUTES) * ramp(event.end - ticks, SHOULDER_MINUTES)
    if event.kind == "release":
        return np.asarray(event.size * edges * np.exp(-np.maximum(into, 0.0) / RELEASE_DECAY_MINUTES))
    # The audience of a match day grows towards its last match.
    progress = np.clip(into / (event.end - event.start), 0.0, 1.0)
    return np.asarray(event.size * edges * (0.55 + 0.45 * progress))


def scheduled_events(options: SimulationOptions, world: World, first: int, last: int) -> list[ScheduledEvent]:
    """Everything announced that touches [first, last), in order of start."""
    events = [
        event
        for week in range(week_of(first) - 1, week_of(last) + 1)
        for event in _events_of_week(options, world, week)
        if event.touches(first, last)
    ]
    return sorted(events, key=lambda event: (event.start, event.event_id))


@lru_cache(maxsize=256)
def _events_of_week(options: SimulationOptions, world: World, week: int) -> tuple[ScheduledEvent, ...]:
    """Everything announced that begins in a week."""
    return (*_cups(options.seed, world, week), *_releases(options.seed, week), *_maintenance(options, world, week))


def _cups(seed: int, world: World, week: int) -> Iterator[ScheduledEvent]:
    """Two to four match days up to a Sunday, each larger than the one before."""
    rng = random_stream(seed, "cups", week)
    if week % CUP_EVERY != seed % CUP_EVERY and rng.random() > CUP_EXTRA:
        return
    everywhere = rng.random() < GLOBAL_CUP_SHARE
    region = REGIONS[int(rng.choice(np.unique(world.region)))]
    scope = "global" if everywhere else region.region_id
    title, final = str(rng.choice(CUPS)), rng.uniform(*(CUP_GLOBAL if everywhere else CUP_REGION))
    hour, hours, days = int(rng.integers(15, 18)), int(rng.integers(5, 8)), int(rng.integers(2, 5))
    for number in range(days):
        begin = monday_of(week) + (7 - days + number) * DAY_MINUTES + hour * 60
        start = begin if everywhere else local_minute(region.timezone, begin)
        stage = "final" if number == days - 1 else f"day {number + 1}"
        yield ScheduledEvent(
            f"cup-{moment(begin):%Y%m%d}-{scope}",
            "tournament",
            f"{title}, {stage}",
            start,
            start + hours * 60,
            scope,
            final * (0.55 + 0.45 * (number + 1) / days),
        )


def _releases(seed: int, week: int) -> Iterator[ScheduledEvent]:
    """A game comes out on a Tuesday to Thursday at 17:00 UTC, everywhere at once."""
    if week % RELEASE_EVERY != (seed + 2) % RELEASE_EVERY:
        return
    rng = random_stream(seed, "releases", week)
    start = monday_of(week) + int(rng.integers(1, 4)) * DAY_MINUTES + 17 * 60
    yield ScheduledEvent(
        f"release-{moment(start):%Y%m%d}",
        "release",
        f"{rng.choice(RELEASES)} release",
        start,
        start + RELEASE_HOURS * 60,
        "global",
        rng.uniform(*RELEASE),
    )


def _maintenance(options: SimulationOptions, world: World, week: int) -> Iterator[ScheduledEvent]:
    """A site is drained for hours of a weekday night."""
    for position, rng in random_strikes(
        options.seed, "maintenance", week, len(world), MAINTENANCE_A_SITE_WEEK * options.incident_rate
    ):
        site = world.sites[position]
        begin = monday_of(week) + int(rng.integers(1, 5)) * DAY_MINUTES + 60 * int(rng.integers(1, 4))
        start = local_minute(site.timezone, begin)
        yield ScheduledEvent(
            f"maintenance-{moment(start):%Y%m%dT%H%M}-{site.site_id}",
            "maintenance",
            f"Maintenance in {site.city}",
            start,
            start + 60 * int(rng.integers(1, 4)),
            site.site_id,
            rng.uniform(0.15, 0.4),
        )


# Incidents -----------------------------------------------------------------------------------------------------------

Kind = Literal["outage", "surge", "starvation", "gap", "late", "congestion", "failover"]
METRIC_OF: dict[Kind, str | None] = {
    "outage": "egress_gbps",
    "surge": "egress_gbps",
    "failover": "egress_gbps",
    "starvation": "ingest_starved_ratio",
    "congestion": "rebuffer_ratio",
    "gap": None,
    "late": None,
}
# How often, by unit and week, where the incident rate is 1.
OUTAGE_RATE, SITE_SURGE_RATE, REGION_SURGE_RATE, STARVATION_RATE, GAP_RATE, LATE_RATE = (
    1 / 60,
    1 / 50,
    1 / 10,
    1 / 12,
    1 / 20,
    1 / 15,
)
# Operators write up this share of the outages, afterwards, as events.
WRITTEN_UP = 0.6
# Nothing that is longer than this, so a day's incidents began in its week or the one before.
LONGEST_MINUTES = 8 * 60
# Late rows come when the site's backlog is flushed, at most this long after their time.
LATEST_MINUTES = 6 * 60
SURGE_RISE_MINUTES, SURGE_FALL_MINUTES = 6.0, 14.0
# The two incidents that are open when a demo ends: their starved ratios, and how long around midnight of the anchor.
OPEN_STARVED = (0.22, 0.14)
OPEN_SINCE_MINUTES, OPEN_UNTIL_MINUTES = 5 * 60, 30 * 60


@dataclass(frozen=True, slots=True)
class Incident:
    """One true incident at one site (position), from `start` to `end`, minutes since 1970.

    `size` is relative to the normal value: what is left in an outage, the highest multiple in a surge, a failover or
    congestion; for starvation the ratio itself; 0 for a gap, 1 for late rows, whose values are as they should be.
    """

    incident_id: str
    kind: Kind
    site: int
    start: int
    end: int
    size: float
    written_up: bool = False

    def touches(self, first: int, last: int) -> bool:
        return self.start < last and self.end > first

    def lasts(self, ticks: Real | Whole) -> Mask:
        """The ticks (minutes since 1970) at which it lasts."""
        return (ticks >= self.start) & (ticks < self.end)


def incidents(options: SimulationOptions, world: World, first: int, last: int) -> list[Incident]:
    """All incidents that touch [first, last), in order of start."""
    struck = [
        incident
        for week in range(week_of(first) - 1, week_of(last) + 1)
        for incident in _incidents_of_week(options, world, week)
        if incident.touches(first, last)
    ]
    struck += [incident for incident in _open_at_anchor(options, world) if incident.touches(first, last)]
    return sorted(struck, key=lambda incident: (incident.start, incident.incident_id))


def _open_at_anchor(options: SimulationOptions, world: World) -> Iterator[Incident]:
    """Starving ingest at two sites, one of them of the partner in trouble, that goes on all day: a demo ends within the
    day of its anchor, and opens on two incidents that are still on.
    """
    anchor, ingest = minutes(options.anchored), [int(site) for site in world.ingest]
    troubled = [site for site in ingest if world.sites[site].partner == TROUBLED_PARTNER]
    others = [site for site in ingest if site not in troubled]
    for site, size in zip([*troubled[-1:], *others[:1]], OPEN_STARVED, strict=False):
        if options.incident_rate > 0:
            start = anchor - OPEN_SINCE_MINUTES
            end = anchor + OPEN_UNTIL_MINUTES
            yield Incident(incident_id("starvation", start, world, site), "starvation", site, start, end, size)


def surge_lift(incident: Incident, ticks: Real) -> Real:
    """Extra demand over normal: up within minutes, down a little slower."""
    return np.asarray(
        (incident.size - 1.0)
        * ramp(ticks - incident.start - SURGE_RISE_MINUTES, SURGE_RISE_MINUTES)
        * ramp(incident.end - SURGE_FALL_MINUTES - ticks, SURGE_FALL_MINUTES)
    )


def truth_table(labels: Iterable[Incident], world: World, first: int, last: int) -> pa.Table:
    """The contract's `simulated_incidents`, clipped to the span [first, last)."""
    rows = [
        {
            "incident_id": i.incident_id,
            "kind": i.kind,
            "site_id": world.sites[i.site].site_id,
            "metric": METRIC_OF[i.kind],
            "start": moment(max(i.start, first)),
            "end": moment(min(i.end, last)),
            "magnitude": round(i.size, 4),
        }
        for i in sorted(joined(labels), key=lambda i: (i.start, i.incident_id))
        if i.touches(first, last)
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["simulated_incidents"].schema)


def joined(labels: Iterable[Incident]) -> list[Incident]:
    """Labels with the pieces that midnight cut apart put together: the same id, or congestion of one site that goes
    on.
    """
    whole: dict[str, Incident] = {}
    open_congestion: dict[int, str] = {}
    for label in sorted(labels, key=lambda i: (i.start, i.incident_id)):
        key = label.incident_id
        if label.kind == "congestion":
            before = whole.get(open_congestion.get(label.site, ""))
            key = before.incident_id if before is not None and before.end == label.start else key
            open_congestion[label.site] = key
        before = whole.get(key)
        whole[key] = (
            label
            if before is None
            else replace(
                before,
                start=min(before.start, label.start),
                end=max(before.end, label.end),
                size=max(before.size, label.size),
            )
        )
    return list(whole.values())


def incident_id(kind: str, start: int, world: World, site: int) -> str:
    """An identifier that says what struck where, and when."""
    return f"{kind}-{moment(start):%Y%m%dT%H%M}-{world.sites[site].site_id}"


@lru_cache(maxsize=256)
def _incidents_of_week(options: SimulationOptions, world: World, week: int) -> tuple[Incident, ...]:
    """Incidents that begin in a week."""
    return tuple(
        chain.from_iterable(
            make(options, world, week) for make in (_outages, _site_surges, _region_surges, _starvations, _gaps, _lates)
        )
    )


def _at(rng: np.random.Generator, week: int) -> int:
    """A tick of the week."""
    return monday_of(week) + TICK_MINUTES * int(rng.integers(WEEK_MINUTES // TICK_MINUTES))


def _minutes(rng: np.random.Generator, median: float, low: int, high: int = LONGEST_MINUTES) -> int:
    """A duration in whole ticks; most are short, a few are long."""
    return int(np.clip(TICK_MINUTES * round(median * rng.lognormal(0.0, 0.8) / TICK_MINUTES), low, high))


def _each(
    options: SimulationOptions,
    world: World,
    week: int,
    kind: Kind,
    rate: float,
    detail: Callable[[np.random.Generator], tuple[int, float]],
) -> Iterator[Incident]:
    """Incidents of single sites; `detail` draws a duration and a size."""
    for site, rng in random_strikes(options.seed, kind, week, len(world), rate * options.incident_rate):
        start = _at(rng, week)
        length, size = detail(rng)
        yield Incident(
            incident_id(kind, start, world, site),
            kind,
            site,
            start,
            start + length,
            size,
            written_up=kind == "outage" and rng.random() < WRITTEN_UP,
        )


def _outages(options: SimulationOptions, world: World, week: int) -> Iterator[Incident]:
    return _each(
        options, world, week, "outage", OUTAGE_RATE, lambda rng: (_minutes(rng, 40, 10), rng.uniform(0.0, 0.03))
    )


def _site_surges(options: SimulationOptions, world: World, week: int) -> Iterator[Incident]:
    return _each(
        options,
        world,
        week,
        "surge",
        SITE_SURGE_RATE,
        lambda rng: (_minutes(rng, 75, 40, 240), 1.0 + rng.uniform(0.35, 1.0)),
    )


def _starvations(options: SimulationOptions, world: World, week: int) -> Iterator[Incident]:
    all_incidents = _each(
        options,
        world,
        week,
        "starvation",
        STARVATION_RATE,
        lambda rng: (_minutes(rng, 70, 30, 240), rng.uniform(0.1, 0.35)),
    )
    return (incident for incident in all_incidents if world.sites[incident.site].ingest)


def _gaps(options: SimulationOptions, world: World, week: int) -> Iterator[Incident]:
    return _each(options, world, week, "gap", GAP_RATE, lambda rng: (_minutes(rng, 50, 10), 0.0))


def _lates(options: SimulationOptions, world: World, week: int) -> Iterator[Incident]:
    return _each(options, world, week, "late", LATE_RATE, lambda rng: (_minutes(rng, 120, 60, LATEST_MINUTES), 1.0))


def _region_surges(options: SimulationOptions, world: World, week: int) -> Iterator[Incident]:
    """A surge that all sites of a region feel, each in its own measure."""
    for region, rng in random_strikes(
        options.seed, "region surge", week, len(REGIONS), REGION_SURGE_RATE * options.incident_rate
    ):
        start, length, size = _at(rng, week), _minutes(rng, 80, 40, 240), rng.uniform(0.3, 0.8)
        for site in np.nonzero(world.region == region)[0]:
            mine = 1.0 + size * float(rng.uniform(0.8, 1.2))
            yield Incident(
                incident_id("region-surge", start, world, int(site)), "surge", int(site), start, start + length, mine
            )
