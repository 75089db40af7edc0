"""What is known ahead: tournaments, releases and maintenance, laid out week by week in absolute time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from data.simulator.clock import local_minute, monday_of, ramp, week_of
from data.simulator.metros import CUPS, REGIONS, RELEASES
from data.simulator.plan import DAY_MINUTES, Plan, draws, moment, struck
from data.simulator.world import Real, World

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
class Happening:
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


def lift(happening: Happening, ticks: Real) -> Real:
    """Extra demand over normal at each tick (minutes since 1970), for an audience that is wide awake."""
    into = ticks - happening.start
    edges = ramp(into, SHOULDER_MINUTES) * ramp(happening.end - ticks, SHOULDER_MINUTES)
    if happening.kind == "release":
        return np.asarray(happening.size * edges * np.exp(-np.maximum(into, 0.0) / RELEASE_DECAY_MINUTES))
    # The audience of a match day grows towards its last match.
    progress = np.clip(into / (happening.end - happening.start), 0.0, 1.0)
    return np.asarray(happening.size * edges * (0.55 + 0.45 * progress))


def happenings(plan: Plan, world: World, first: int, last: int) -> list[Happening]:
    """Everything announced that touches [first, last), in order of start."""
    found = [
        h
        for week in range(week_of(first) - 1, week_of(last) + 1)
        for h in _of_week(plan, world, week)
        if h.touches(first, last)
    ]
    return sorted(found, key=lambda h: (h.start, h.event_id))


@lru_cache(maxsize=256)
def _of_week(plan: Plan, world: World, week: int) -> tuple[Happening, ...]:
    """Everything announced that begins in a week."""
    return (*_cups(plan.seed, world, week), *_releases(plan.seed, week), *_maintenance(plan, world, week))


def _cups(seed: int, world: World, week: int) -> Iterator[Happening]:
    """Two to four match days up to a Sunday, each larger than the one before."""
    rng = draws(seed, "cups", week)
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
        name = "final" if number == days - 1 else f"day {number + 1}"
        yield Happening(
            f"cup-{moment(begin):%Y%m%d}-{scope}",
            "tournament",
            f"{title}, {name}",
            start,
            start + hours * 60,
            scope,
            final * (0.55 + 0.45 * (number + 1) / days),
        )


def _releases(seed: int, week: int) -> Iterator[Happening]:
    """A game comes out on a Tuesday to Thursday at 17:00 UTC, everywhere at once."""
    if week % RELEASE_EVERY != (seed + 2) % RELEASE_EVERY:
        return
    rng = draws(seed, "releases", week)
    start = monday_of(week) + int(rng.integers(1, 4)) * DAY_MINUTES + 17 * 60
    yield Happening(
        f"release-{moment(start):%Y%m%d}",
        "release",
        f"{rng.choice(RELEASES)} release",
        start,
        start + RELEASE_HOURS * 60,
        "global",
        rng.uniform(*RELEASE),
    )


def _maintenance(plan: Plan, world: World, week: int) -> Iterator[Happening]:
    """A site is drained for hours of a weekday night."""
    for position, rng in struck(plan.seed, "maintenance", week, len(world), MAINTENANCE_A_SITE_WEEK * plan.trouble):
        site = world.sites[position]
        begin = monday_of(week) + int(rng.integers(1, 5)) * DAY_MINUTES + 60 * int(rng.integers(1, 4))
        start = local_minute(site.timezone, begin)
        yield Happening(
            f"maintenance-{moment(start):%Y%m%dT%H%M}-{site.site_id}",
            "maintenance",
            f"Maintenance in {site.city}",
            start,
            start + 60 * int(rng.integers(1, 4)),
            site.site_id,
            rng.uniform(0.15, 0.4),
        )
