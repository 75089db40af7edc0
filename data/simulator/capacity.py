"""How much each site can carry, in steps, such that a network of 48 teaches what a planner meets: some sites are over
their limit, some too late to order for, some to be ordered for within a quarter; most are sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from data.schema import TABLES, Direction
from data.simulator.demand import YEAR_MINUTES, Demand
from data.simulator.options import DAY_MINUTES, moment, random_stream
from data.simulator.world import TROUBLED_PARTNER, Real, World

# A site has run out where the peak of an ordinary week passes this share of its installed capacity.
RUN_OUT_AT = 0.8
Fate = Literal["over", "late", "due", "sound", "shrinks"]
# What becomes of the sites, dealt in this order to a shuffled list, again and again: in turn to those of the partner in
# trouble, and to all others. Of 48 sites 3 are over, 6 late and 10 due.
TROUBLED_FATES: tuple[Fate, ...] = (
    *("over", "due", "late", "sound", "late", "sound"),
    *("late", "due", "sound", "sound", "late", "sound"),
)
FATES: tuple[Fate, ...] = (
    *("due", "sound", "sound", "over", "shrinks", "sound", "due", "sound", "late", "sound", "due", "sound"),
    *("sound", "sound", "due", "sound", "sound", "sound", "sound", "due", "sound", "shrinks", "sound", "sound"),
)
# Growth of each fate, of the logarithm a year.
GROWTH: dict[Fate, tuple[float, float]] = {
    "over": (0.35, 0.5),
    "late": (0.3, 0.6),
    "due": (0.2, 0.5),
    "sound": (0.02, 0.2),
    "shrinks": (-0.06, -0.02),
}
# What RUN_OUT_AT of the capacity lets through over the ordinary weekly peak at the anchor. A week with a tournament
# peaks at up to 1.9 of an ordinary one, which a sound site carries too.
ROOM: dict[Fate, tuple[float, float]] = {
    "over": (0.84, 0.9),
    "late": (1.09, 1.13),
    "due": (1.75, 2.1),
    "sound": (1.75, 2.2),
    "shrinks": (1.75, 2.0),
}
# A lease of ports ends at the sites that are due: what is left then is full at once. It ends so many days after the
# padded lead time (twice the lead time and five days more), so that an order is due in as many days.
LEASE_ENDS_DAYS, LEASE_LEFT = (8.0, 85.0), (0.95, 1.0)
# One in so many of the sites that are due grows steeply.
STEEP_EVERY, STEEP_GROWTH = 3, (0.7, 0.95)
# The step before the last was taken when the weekly peak stood at this share of the capacity of its day.
AUGMENTED_AT = 0.86
LEAST_STEP = 1.12
# Long before any telemetry.
OPENED_DAYS_AGO = 4000
PLANNED_SHARE = 0.3
# Streams of a site, its bitrate and its ingest capacity hang together: see quality.py. One in so many ingest sites is
# tight.
INGEST_TIGHT_EVERY = 7
INGEST_UTILISATION = (0.3, 0.42)
INGEST_TIGHT_UTILISATION = 0.58
# One partner does not say what it charges.
SILENT_PARTNER = "Pretend Peering"
INGEST_PRICE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class CapacityStep:
    """The capacity of a site in one direction from a minute on (midnight UTC)."""

    site: int
    direction: Direction
    start: int
    gbps: float
    planned: bool = False


def fates(world: World, seed: int) -> list[Fate]:
    """Fate of each site's headroom."""
    order = random_stream(seed, "fates").permutation(len(world))
    dealt: list[Fate] = ["sound"] * len(world)
    for is_troubled, deck in ((True, TROUBLED_FATES), (False, FATES)):
        sites = [int(site) for site in order if (world.sites[site].partner == TROUBLED_PARTNER) == is_troubled]
        for turn, site in enumerate(sites):
            dealt[site] = deck[turn % len(deck)]
    return dealt


def growth_a_year(world: World, seed: int) -> Real:
    """Growth of each site's demand, of the logarithm a year."""
    rng = random_stream(seed, "growth")
    grown = np.array([rng.uniform(*GROWTH[fate]) for fate in fates(world, seed)])
    due = [i for i, fate in enumerate(fates(world, seed)) if fate == "due"]
    for site in due[::STEEP_EVERY]:
        grown[site] = rng.uniform(*STEEP_GROWTH)
    return grown


def egress_steps(demand: Demand, bitrate_mbps: Real) -> list[CapacityStep]:
    """Installed and planned egress capacity of all sites."""
    rng = random_stream(demand.seed, "capacity")
    dealt = fates(demand.world, demand.seed)
    steps: list[CapacityStep] = []
    for site, fate in enumerate(dealt):
        steps += _site_steps(_Peak(demand, bitrate_mbps, site), fate, rng)
    return steps


def ingest_steps(world: World, peak_gbps: Real, seed: int, anchor: int) -> list[CapacityStep]:
    """Ingest capacity of the ingest sites; `peak_gbps` is the ordinary weekly peak of each at the anchor."""
    rng = random_stream(seed, "ingest capacity")
    steps = []
    for turn, (site, peak) in enumerate(zip(world.ingest, peak_gbps, strict=True)):
        share = INGEST_TIGHT_UTILISATION if turn % INGEST_TIGHT_EVERY == 0 else rng.uniform(*INGEST_UTILISATION)
        steps.append(CapacityStep(int(site), "ingest", anchor - OPENED_DAYS_AGO * DAY_MINUTES, _sold(peak / share)))
    return steps


def capacity_on(steps: list[CapacityStep], world: World, direction: Direction, minute: int) -> Real:
    """Capacity of each site at a minute, Gbps; infinite where no step says."""
    capacity = np.full(len(world), np.inf)
    for step in sorted(steps, key=lambda step: step.start):
        if step.direction == direction and step.start <= minute:
            capacity[step.site] = step.gbps
    return capacity


def capacity_table(steps: list[CapacityStep], world: World) -> pa.Table:
    """The contract's `capacity`; a planned step is one that takes effect after the anchor."""
    rows = [
        {
            "site_id": world.sites[s.site].site_id,
            "direction": s.direction,
            "effective_from": moment(s.start),
            "capacity_gbps": s.gbps,
            "status": "planned" if s.planned else "installed",
            "cost_usd_month": _cost(world, s),
        }
        for s in sorted(steps, key=lambda s: (s.site, s.direction, s.start))
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["capacity"].schema)


@dataclass(frozen=True, slots=True)
class _Peak:
    """The ordinary weekly peak of one site's egress, Gbps, at any time."""

    demand: Demand
    bitrate_mbps: Real
    site: int

    def gbps(self, minute: float) -> float:
        return float(self.demand.peak_viewers(round(minute))[self.site] * self.bitrate_mbps[self.site] / 1000.0)

    def after(self, days: float) -> int:
        """Midnight so many days after the anchor."""
        return self.demand.anchor + round(days) * DAY_MINUTES


def _site_steps(peak: _Peak, fate: Fate, rng: np.random.Generator) -> list[CapacityStep]:
    """What was installed, when it was last augmented, and what is planned: an augment, or the end of a lease."""
    room, augmented, ahead, planned, more, left, lease_days = (
        rng.uniform(*ROOM[fate]),
        rng.uniform(35, 160),
        rng.uniform(20, 120),
        rng.random(),
        rng.uniform(1.25, 1.6),
        rng.uniform(*LEASE_LEFT),
        rng.uniform(*LEASE_ENDS_DAYS),
    )
    ordinary = peak.gbps(peak.demand.anchor) / RUN_OUT_AT
    installed = _sold(ordinary * room)
    opened = CapacityStep(peak.site, "egress", peak.after(-OPENED_DAYS_AGO), installed)
    steps = [opened]
    earlier = _sold(peak.gbps(peak.after(-augmented)) / AUGMENTED_AT)
    if fate in ("late", "due") and earlier * LEAST_STEP <= installed:
        steps = [
            CapacityStep(peak.site, "egress", opened.start, earlier),
            CapacityStep(peak.site, "egress", peak.after(-augmented), installed),
        ]
    if fate in ("over", "sound") and planned < PLANNED_SHARE:
        steps.append(CapacityStep(peak.site, "egress", peak.after(ahead), _sold(installed * more), planned=True))
    if fate == "due":
        ends = 2 * peak.demand.world.sites[peak.site].lead_time_days + 5 + lease_days
        steps.append(CapacityStep(peak.site, "egress", peak.after(ends), _sold(ordinary * left), planned=True))
    return steps


def _sold(gbps: float) -> float:
    """Capacity as it is sold: steps of about one percent, in whole Gbps where the site is large enough."""
    size = 5.0 if gbps >= 250 else 1.0 if gbps >= 50 else 0.1
    return round(float(np.ceil(gbps / size) * size), 1)


def _cost(world: World, step: CapacityStep) -> float | None:
    site = world.sites[step.site]
    if site.partner == SILENT_PARTNER:
        return None
    share = INGEST_PRICE_SHARE if step.direction == "ingest" else 1.0
    # Larger commitments are cheaper by the Gbps.
    return float(round(share * world.regions[step.site].usd_a_gbps * step.gbps**0.92 / 10) * 10)


def runs_out_on(demand: Demand, bitrate_mbps: Real, steps: list[CapacityStep], site: int) -> float | None:
    """Days from the anchor until the trend passes `RUN_OUT_AT` of the installed egress capacity; None where it never
    does.

    The answer that a run-out forecast is held against: planned augments do not count.
    """
    installed = max(
        (s for s in steps if s.site == site and s.direction == "egress" and not s.planned), key=lambda s: s.start
    )
    growth = float(demand.growth_a_year[site])
    peak = _Peak(demand, bitrate_mbps, site).gbps(demand.anchor)
    over = float(np.log(RUN_OUT_AT * installed.gbps / peak))
    if growth <= 0:
        return 0.0 if over <= 0 else None
    return over / growth * YEAR_MINUTES / DAY_MINUTES
