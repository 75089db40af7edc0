"""What nobody knows ahead: outages, surges, ingest starvation, telemetry gaps and late rows, each with its true
label.
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
from data.simulator.clock import monday_of, ramp, week_of
from data.simulator.metros import REGIONS
from data.simulator.plan import TICK_MINUTES, WEEK_MINUTES, Plan, moment, struck
from data.simulator.world import Mask, Real, Whole, World

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
# How often, by unit and week, where trouble is 1.
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


def incidents(plan: Plan, world: World, first: int, last: int) -> list[Incident]:
    """All incidents that touch [first, last), in order of start."""
    found = [
        i
        for week in range(week_of(first) - 1, week_of(last) + 1)
        for i in _of_week(plan, world, week)
        if i.touches(first, last)
    ]
    return sorted(found, key=lambda i: (i.start, i.incident_id))


def surge(incident: Incident, ticks: Real) -> Real:
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
        known = whole.get(key)
        whole[key] = (
            label
            if known is None
            else replace(
                known,
                start=min(known.start, label.start),
                end=max(known.end, label.end),
                size=max(known.size, label.size),
            )
        )
    return list(whole.values())


def name(kind: str, start: int, world: World, site: int) -> str:
    """An identifier that says what struck where, and when."""
    return f"{kind}-{moment(start):%Y%m%dT%H%M}-{world.sites[site].site_id}"


@lru_cache(maxsize=256)
def _of_week(plan: Plan, world: World, week: int) -> tuple[Incident, ...]:
    """Incidents that begin in a week."""
    return tuple(
        chain.from_iterable(
            make(plan, world, week) for make in (_outages, _site_surges, _region_surges, _starvations, _gaps, _lates)
        )
    )


def _at(rng: np.random.Generator, week: int) -> int:
    """A tick of the week."""
    return monday_of(week) + TICK_MINUTES * int(rng.integers(WEEK_MINUTES // TICK_MINUTES))


def _minutes(rng: np.random.Generator, median: float, low: int, high: int = LONGEST_MINUTES) -> int:
    """A duration in whole ticks; most are short, a few are long."""
    return int(np.clip(TICK_MINUTES * round(median * rng.lognormal(0.0, 0.8) / TICK_MINUTES), low, high))


def _each(
    plan: Plan,
    world: World,
    week: int,
    kind: Kind,
    rate: float,
    detail: Callable[[np.random.Generator], tuple[int, float]],
) -> Iterator[Incident]:
    """Incidents of single sites; `detail` draws a duration and a size."""
    for site, rng in struck(plan.seed, kind, week, len(world), rate * plan.trouble):
        start = _at(rng, week)
        length, size = detail(rng)
        yield Incident(
            name(kind, start, world, site),
            kind,
            site,
            start,
            start + length,
            size,
            written_up=kind == "outage" and rng.random() < WRITTEN_UP,
        )


def _outages(plan: Plan, world: World, week: int) -> Iterator[Incident]:
    return _each(plan, world, week, "outage", OUTAGE_RATE, lambda rng: (_minutes(rng, 40, 10), rng.uniform(0.0, 0.03)))


def _site_surges(plan: Plan, world: World, week: int) -> Iterator[Incident]:
    return _each(
        plan,
        world,
        week,
        "surge",
        SITE_SURGE_RATE,
        lambda rng: (_minutes(rng, 75, 40, 240), 1.0 + rng.uniform(0.35, 1.0)),
    )


def _starvations(plan: Plan, world: World, week: int) -> Iterator[Incident]:
    found = _each(
        plan,
        world,
        week,
        "starvation",
        STARVATION_RATE,
        lambda rng: (_minutes(rng, 70, 30, 240), rng.uniform(0.1, 0.35)),
    )
    return (incident for incident in found if world.sites[incident.site].ingest)


def _gaps(plan: Plan, world: World, week: int) -> Iterator[Incident]:
    return _each(plan, world, week, "gap", GAP_RATE, lambda rng: (_minutes(rng, 50, 10), 0.0))


def _lates(plan: Plan, world: World, week: int) -> Iterator[Incident]:
    return _each(plan, world, week, "late", LATE_RATE, lambda rng: (_minutes(rng, 120, 60, LATEST_MINUTES), 1.0))


def _region_surges(plan: Plan, world: World, week: int) -> Iterator[Incident]:
    """A surge that all sites of a region feel, each in its own measure."""
    for region, rng in struck(plan.seed, "region surge", week, len(REGIONS), REGION_SURGE_RATE * plan.trouble):
        start, length, size = _at(rng, week), _minutes(rng, 80, 40, 240), rng.uniform(0.3, 0.8)
        for site in np.nonzero(world.region == region)[0]:
            mine = 1.0 + size * float(rng.uniform(0.8, 1.2))
            yield Incident(
                name("region-surge", start, world, int(site)), "surge", int(site), start, start + length, mine
            )
