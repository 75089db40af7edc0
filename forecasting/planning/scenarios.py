"""Scenarios: what a plan case comes to beside its plan (N-1 safety, cost), and several of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from data.schema import GLOBAL_KEY
from forecasting.planning.augment_problem import AugmentOptions, build_problem
from forecasting.planning.augments import added_cost_usd
from forecasting.planning.failures import single_failures
from forecasting.planning.plan import DATES, Plan, solve
from forecasting.planning.plan_case import PlanCase
from forecasting.planning.runout import RunOut

# Single failures are played over half a year: beyond it a failure policy is a matter of the augment plan.
FAILURE_WEEKS = 26


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioResult:
    """What a case comes to, small enough to keep many.

    safe_until: when the network stops being N-1 safe. cost_usd: what the cheapest single kind of step at each site
    costs within the months of the options, and what a what-if adds; NaN without a catalogue.
    """

    plan: Plan
    safe_until: RunOut
    cost_usd: float

    def run_outs(self) -> dict[tuple[str, str], RunOut]:
        """Every run-out by (level, key), and that of N-1 as ("n-1", "all")."""
        found: dict[tuple[str, str], RunOut] = {
            (level, key): run_out for (_, level, key), run_out in self.plan.run_outs.items()
        }
        return {**found, ("n-1", GLOBAL_KEY): self.safe_until}


def evaluate_scenario(case: PlanCase, request: AugmentOptions | None = None) -> ScenarioResult:
    """The plan of a case, its N-1 safety and its cost."""
    near = case.demand.until(FAILURE_WEEKS)
    failures = single_failures(
        near, case.capacity(near), case.policy.shares(near.keys), case.failover, ceiling=case.ceiling, loads=False
    )
    return ScenarioResult(solve(case), failures.safe_until(), single_step_cost(case, request or AugmentOptions()))


def single_step_cost(case: PlanCase, request: AugmentOptions) -> float:
    """USD to keep the limits, buying at each site the one kind of step that comes cheapest there, as soon as it can be
    there: an upper bound on a plan's cost. What a what-if has added is paid for as well.

    It leaves out what only mixing steps, a budget or N-1 would change: augments.plan_augments answers those, in seconds
    rather than at once.
    """
    if case.catalogue is None:
        return float("nan")
    months = min(request.months, len(case.demand.weeks.strftime("%Y-%m").unique()))
    asked = replace(
        request,
        policy=case.policy,
        months=months,
        n_minus_1=False,
        budget_usd=None,
        today=request.today or case.now,
        ceiling=max(case.ceiling, request.ceiling),
    )
    problem = build_problem(case.demand, case.steps, case.catalogue, None, asked)
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
    return float(order.drop_duplicates("site")["cost"].sum()) + added_cost_usd(case.added, problem.months)


def compare_scenarios(results: Mapping[str, ScenarioResult]) -> pd.DataFrame:
    """Scenarios side by side, each difference against the first.

    Columns: scenario, level, key, answer, reason, run_out_p10, run_out_p50, run_out_p90, horizon, later_days (by the medians; NaN where either
    has none), and, on the row of the network, cost_usd and more_usd. N-1 is a level of its own, "n-1".
    """
    first = next(iter(results.values()))
    base = first.run_outs()
    rows = [
        {
            "scenario": name,
            "level": level,
            "key": key,
            "answer": one.answer,
            "reason": one.reason,
            "run_out_p10": one.p10,
            "run_out_p50": one.p50,
            "run_out_p90": one.p90,
            "horizon": one.horizon,
            "later_days": _later(base.get((level, key)), one),
            "cost_usd": found.cost_usd if level == "global" else np.nan,
            "more_usd": found.cost_usd - first.cost_usd if level == "global" else np.nan,
        }
        for name, found in results.items()
        for (level, key), one in found.run_outs().items()
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys((*DATES, "horizon"), "datetime64[us, UTC]") | {"later_days": float})


def _later(before: RunOut | None, after: RunOut) -> float:
    if before is None or before.p50 is None or after.p50 is None:
        return np.nan
    return float((after.p50 - before.p50) / pd.Timedelta(days=1))
