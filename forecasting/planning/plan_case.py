"""A scene: everything that a plan is reckoned from, and the numbers that it comes to, quickly enough to turn a knob and
watch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from data.schema import GLOBAL_KEY
from forecasting.planning.augment_problem import AugmentOptions, build_problem
from forecasting.planning.augments import CapacityAddition, added_cost_usd
from forecasting.planning.capacity import Policy, weekly_capacity
from forecasting.planning.crossing import RunOut
from forecasting.planning.demand import Demand, Diversity, Reals
from forecasting.planning.failover import Failover
from forecasting.planning.failures import CEILING, single_failures
from forecasting.planning.runout import group_run_outs, network_run_out, run_outs

# Single failures are played over half a year: beyond it a failure policy is a matter of the augment plan.
FAILURE_WEEKS = 26


@dataclass(frozen=True, slots=True, eq=False)
class PlanCase:
    """Demand against capacity under a policy.

    steps: the contract's `capacity`; sites: the contract's `sites`; failover: with the demand's keys. refused: site_id
    to reason, of sites without a forecast.
    measured: as in run_outs. catalogue: as in augment_problem.build, or None where no step is on offer. diversity: by
    region_id, and "all" for the network, as in Demand.summed. added: what a what-if has added to `steps`, for its cost.
    """

    demand: Demand
    steps: pd.DataFrame
    sites: pd.DataFrame
    policy: Policy
    failover: Failover
    catalogue: pd.DataFrame | None = None
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    diversity: Diversity = field(default_factory=lambda: MappingProxyType({}))
    measured: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    ceiling: float = CEILING
    added: tuple[CapacityAddition, ...] = ()

    @property
    def regions(self) -> dict[str, str]:
        """region_id by site_id."""
        return dict(zip(self.sites["site_id"].astype(str), self.sites["region_id"].astype(str), strict=True))

    def capacity(self, demand: Demand) -> Reals:
        """What is in force in the weeks of some demand, (keys, weeks)."""
        return weekly_capacity(self.steps, demand.keys, demand.direction, demand.weeks, planned=self.policy.planned)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a scene comes to, small enough to keep many.

    safe_until: when the network stops being N-1 safe. cost_usd: what the cheapest single kind of step at each site
    costs within the months of the request, and what a what-if adds; NaN without a catalogue.
    """

    sites: list[RunOut]
    regions: list[RunOut]
    network: RunOut
    safe_until: RunOut
    cost_usd: float

    def all(self) -> dict[tuple[str, str], RunOut]:
        """Every answer by (level, key), and that of N-1 as ("n-1", "all")."""
        found: dict[tuple[str, str], RunOut] = {
            (one.level, one.key): one for one in (*self.sites, *self.regions, self.network)
        }
        return {**found, ("n-1", GLOBAL_KEY): self.safe_until}


def outcome(scene: PlanCase, request: AugmentOptions | None = None) -> Outcome:
    """Run-out of every site, region and the network, N-1 safety and cost."""
    demand, groups = scene.demand, scene.regions
    near = demand.until(FAILURE_WEEKS)
    failures = single_failures(
        near, scene.capacity(near), scene.policy.shares(near.keys), scene.failover, ceiling=scene.ceiling, loads=False
    )
    return Outcome(
        run_outs(demand, scene.steps, scene.policy, refused=scene.refused, measured=scene.measured),
        group_run_outs(demand, scene.steps, scene.policy, groups, refused=scene.refused, diversity=scene.diversity),
        network_run_out(
            demand, scene.steps, scene.policy, refused=scene.refused, diversity=scene.diversity.get(GLOBAL_KEY, 1.0)
        ),
        failures.safe_until(),
        single_step_cost(scene, request or AugmentOptions()),
    )


def single_step_cost(scene: PlanCase, request: AugmentOptions) -> float:
    """USD to keep the limits, buying at each site the one kind of step that comes cheapest there, as soon as it can be
    there: an upper bound on a plan's cost. What a what-if has added is paid for as well.

    It leaves out what only mixing steps, a budget or N-1 would change: augments.plan_augments answers those, in seconds
    rather than at once.
    """
    if scene.catalogue is None:
        return float("nan")
    months = min(request.months, len(scene.demand.weeks.strftime("%Y-%m").unique()))
    asked = replace(
        request,
        policy=scene.policy,
        months=months,
        n_minus_1=False,
        budget_usd=None,
        ceiling=max(scene.ceiling, request.ceiling),
    )
    problem = build_problem(scene.demand, scene.steps, scene.catalogue, None, asked)
    short = np.where(problem.known, problem.need - problem.limits[:, None] * problem.capacity, 0.0)[problem.site]
    served = np.arange(len(problem.months))[None, :] >= problem.first[:, None]
    wanted = np.ceil(np.maximum(short, 0.0) / (problem.limits[problem.site] * problem.gbps)[:, None] - 1e-9)
    units = np.maximum.accumulate(np.where(served, np.minimum(wanted, problem.most[:, None]), 0.0), axis=1)
    costs = pd.Series(units[:, -1] * problem.usd_once + units.sum(axis=1) * problem.usd_month)
    left = pd.Series(
        (np.maximum(short, 0.0) - (problem.limits[problem.site] * problem.gbps)[:, None] * units)
        .clip(min=0.0)
        .sum(axis=1)
        .round(6)
    )
    order = pd.DataFrame({"site": problem.site, "left": left, "cost": costs}).sort_values(["site", "left", "cost"])
    return float(order.drop_duplicates("site")["cost"].sum()) + added_cost_usd(scene.added, problem.months)


def compared(outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Scenarios side by side, each difference against the first.

    Columns: scenario, level, key, answer, reason, p10, p50, p90, horizon, later_days (by the medians; NaN where either
    has none), and, on the row of the network, cost_usd and more_usd. N-1 is a level of its own, "n-1".
    """
    first = next(iter(outcomes.values()))
    base = first.all()
    rows = [
        {
            "scenario": name,
            "level": level,
            "key": key,
            "answer": one.answer,
            "reason": one.reason,
            "p10": one.p10,
            "p50": one.p50,
            "p90": one.p90,
            "horizon": one.horizon,
            "later_days": _later(base.get((level, key)), one),
            "cost_usd": found.cost_usd if level == "global" else np.nan,
            "more_usd": found.cost_usd - first.cost_usd if level == "global" else np.nan,
        }
        for name, found in outcomes.items()
        for (level, key), one in found.all().items()
    ]
    return pd.DataFrame(rows).astype(
        dict.fromkeys(("p10", "p50", "p90", "horizon"), "datetime64[us, UTC]") | {"later_days": float}
    )


def _later(before: RunOut | None, after: RunOut) -> float:
    if before is None or before.p50 is None or after.p50 is None:
        return np.nan
    return float((after.p50 - before.p50) / pd.Timedelta(days=1))
