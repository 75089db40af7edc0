"""Augments: what to buy where and when, why, and what it is worth; the curve of cost against risk; purchases as additions
to capacity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.schema import Direction
from data.schema.errors import SettingError
from forecasting.planning.augment_programme import (
    GAP,
    AugmentOptions,
    AugmentProblem,
    Exposure,
    Violation,
    build_problem,
    risk,
    solve_programme,
    violations,
)
from forecasting.planning.capacity import DAY, apply_augments, counts
from forecasting.planning.demand import Demand, Reals
from forecasting.planning.failover import NOTHING_GBPS, Failover

# From an even chance that each site keeps its limit to near certainty.
CURVE: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
PURCHASE_COLUMNS = [
    "rank",
    "site_id",
    "in_service",
    "order_by",
    "gbps",
    "units",
    "cost_usd",
    "usd_month",
    "risk_removed",
    "risk_per_kusd",
    "reason",
]

# The bound to blame where everything on offer together would keep a constraint.
BUDGET = "the budget does not reach so far"

# site_id to the name that people use; a site without one is told by its site_id.
Names = Mapping[str, str]
NO_NAMES: Names = MappingProxyType({})


class PurchaseReason(NamedTuple):
    """Why something is bought: the first constraint that breaks without it, and its month; None where it only brings
    one nearer. share: the limit there.
    """

    violation: Violation | None
    month: pd.Timestamp
    share: float

    def words(self, names: Names = NO_NAMES) -> str:
        """The reason in a clause."""
        lost = self.violation
        if lost is None:
            return "brings a constraint that cannot be kept nearer"
        name, month = names.get(lost.key, lost.key), f"{self.month:%Y-%m}"
        if lost.kind == "limit":
            return f"keeps {name} at or below {100 * self.share:.0f} % of its capacity in {month}: {lost.short_gbps:.1f} Gbps too much without it"
        return f"takes over if {name} fails in {month}: {lost.short_gbps:.1f} Gbps would be shed without it"


class Purchase(NamedTuple):
    """Units of one step that come into service together.

    cost_usd is what they cost within the months planned, usd_month each month and usd_once when they come; risk_removed
    the Gbps-months that come back without them.
    """

    site_id: str
    in_service: pd.Timestamp
    order_by: pd.Timestamp
    gbps: float
    units: int
    cost_usd: float
    risk_removed: float
    reason: PurchaseReason
    usd_month: float
    usd_once: float

    @property
    def worth(self) -> float:
        """Risk removed for each USD; infinite where it is for free."""
        return self.risk_removed / self.cost_usd if self.cost_usd > 0.0 else np.inf


class UnmetConstraint(NamedTuple):
    """A constraint that no plan keeps, with what it lacks and which bound is to blame."""

    violation: Violation
    month: pd.Timestamp
    cause: str

    def words(self, names: Names = NO_NAMES) -> str:
        """The constraint, what it lacks, and why."""
        what, name = (
            "its limit" if self.violation.kind == "limit" else "the failure of it",
            names.get(self.violation.key, self.violation.key),
        )
        return f"{name}, {what}, {self.month:%Y-%m}: {self.violation.short_gbps:.1f} Gbps short; {self.cause}"

    def __str__(self) -> str:
        return self.words()


@dataclass(frozen=True, slots=True, eq=False)
class AugmentPlan:
    """The cheapest plan found. units: (options, months) in service. purchases: most risk removed for a USD first.
    bound: no plan costs less, USD.

    broken: what could not be kept; the plan then falls short by as little as can be, but for the share `avoidable` of
    it at most. unbound_usd: what it costs without the budget, where that does not pay for it. An empty plan with the
    reason `refused` was not found in the time given.
    """

    problem: AugmentProblem
    units: Reals
    purchases: tuple[Purchase, ...]
    cost_usd: float
    bound_usd: float
    risk: float
    risk_without: float
    broken: tuple[UnmetConstraint, ...]
    refused: str = ""
    avoidable: float = 0.0
    unbound_usd: float | None = None

    @property
    def gap(self) -> float:
        """Optimality gap: how much cheaper, as a share of its cost, the cheapest plan might be at most; NaN where no plan was
        found.
        """
        if self.refused:
            return float("nan")
        return max((self.cost_usd - self.bound_usd) / self.cost_usd, 0.0) if self.cost_usd > 0.0 else 0.0

    @property
    def proved(self) -> bool:
        """Whether it is proved that no plan falls less short, and none that falls as little short is cheaper, to a
        hundredth of a percent.
        """
        return self.gap <= 2.0 * GAP and self.avoidable <= 2.0 * GAP

    def unmet(self) -> pd.DataFrame:
        """The constraints that no plan keeps together: a row for each key, kind (limit, n-1) and cause, with first and last
        (the months) and short_gbps, the most; what lasts longest first.
        """
        rows = pd.DataFrame(
            [
                (each.violation.key, each.violation.kind, each.cause, each.month, each.violation.short_gbps)
                for each in self.broken
            ],
            columns=["key", "kind", "cause", "month", "short_gbps"],
        )
        spans = rows.groupby(["key", "kind", "cause"], as_index=False).agg(
            first=("month", "min"), last=("month", "max"), short_gbps=("short_gbps", "max")
        )
        return spans.sort_values(["kind", "last", "short_gbps"], ascending=[True, False, False], ignore_index=True)

    def frame(self, names: Names = NO_NAMES) -> pd.DataFrame:
        """The purchases as a table, ranked; risk_per_kusd is the risk removed for each thousand USD. Reasons call sites
        by their `names`.
        """
        rows = [
            {
                **purchase._asdict(),
                "rank": rank,
                "risk_per_kusd": purchase.worth * 1000.0,
                "reason": purchase.reason.words(names),
            }
            for rank, purchase in enumerate(self.purchases, start=1)
        ]
        return pd.DataFrame(rows, columns=PURCHASE_COLUMNS).astype(
            dict.fromkeys(("in_service", "order_by"), "datetime64[us, UTC]")
        )


def plan_augments(
    demand: Demand,
    steps: pd.DataFrame,
    catalogue: pd.DataFrame,
    failover: Failover | None = None,
    request: AugmentOptions | None = None,
) -> AugmentPlan:
    """The cheapest purchases that keep the policy in every month, as build_problem describes its inputs."""
    return solve_augments(build_problem(demand, steps, catalogue, failover, request or AugmentOptions()))


def solve_augments(problem: AugmentProblem) -> AugmentPlan:
    """Solve a problem and explain the answer."""
    nothing = np.zeros((len(problem.site), len(problem.months)))
    solution, without = solve_programme(problem), risk(problem, nothing)
    if solution is None:
        return AugmentPlan(
            problem,
            nothing,
            (),
            0.0,
            0.0,
            without,
            without,
            (),
            f"no plan was found within {problem.request.seconds:g} s",
        )
    cost, exposure, lacking = (
        problem.cost(solution.units),
        Exposure.of(problem, solution.units),
        violations(problem, solution.units),
    )
    purchases = sorted(
        _purchases(exposure, solution.units, lacking),
        key=lambda purchase: (-purchase.worth, purchase.in_service, purchase.site_id),
    )
    avoidable, broken = (
        solution.avoidable_gbps / max(solution.short_gbps, NOTHING_GBPS),
        tuple(_broken(problem, lacking)),
    )
    return AugmentPlan(
        problem,
        solution.units,
        tuple(purchases),
        cost,
        min(solution.bound, cost),
        exposure.total,
        without,
        broken,
        avoidable=avoidable if broken else 0.0,
        unbound_usd=solution.unbound_usd,
    )


def curve_of_plan(plan: AugmentPlan, seconds: float) -> pd.DataFrame:
    """cost_risk_curve of a plan's problem, searched for so many seconds in all. Where the budget makes the plan another one
    than its q without a budget, the plan is a row of its own, which alone is `chosen`.
    """
    options = plan.problem.request
    points = cost_risk_curve(replace(plan.problem, request=replace(options, seconds=seconds)))
    free = points.loc[points["chosen"], "cost_usd"]
    if options.budget_usd is None or (len(free) and free.iloc[0] <= options.budget_usd):
        return points
    own = [{"q": options.q, "cost_usd": plan.cost_usd, "risk": plan.risk, "gap": plan.gap, "chosen": True}]
    return pd.concat([points.assign(chosen=False), pd.DataFrame(own)], ignore_index=True)


def cost_risk_curve(problem: AugmentProblem, quantiles: Sequence[float] = CURVE) -> pd.DataFrame:
    """Cost against risk: q, cost_usd, risk, gap and whether it is the one `chosen`, for plans that keep the policy with
    rising probability, from buying nothing (q missing) on, whatever the budget. A plan that was not found in its time
    is not among them; the time of the request is spread over all.
    """
    chosen = replace(problem.request, budget_usd=None)
    levels = sorted({*quantiles, chosen.q})
    rows: list[dict[str, object]] = [
        {"q": np.nan, "cost_usd": 0.0, "risk": risk(problem, np.zeros((len(problem.site), len(problem.months))))}
    ]
    for q in levels:
        request = replace(chosen, q=q, seconds=chosen.seconds / len(levels))
        problem_at = replace(problem, request=request, need=np.quantile(problem.peaks, q, axis=2))
        if (solution := solve_programme(problem_at)) is not None:
            cost = problem_at.cost(solution.units)
            rows.append(
                {
                    "q": q,
                    "cost_usd": cost,
                    "risk": risk(problem_at, solution.units),
                    "gap": max(cost - solution.bound, 0.0) / max(cost, 1.0),
                }
            )
    frame = pd.DataFrame(rows, columns=["q", "cost_usd", "risk", "gap"]).fillna({"gap": 0.0})
    return frame.assign(chosen=frame["q"] == chosen.q)


def _purchases(exposure: Exposure, units: Reals, lacking: Sequence[Violation]) -> Iterator[Purchase]:
    """Each rise of the units in service."""
    problem, rises = exposure.problem, np.diff(units, axis=1, prepend=0.0)
    already_broken, serving = {violation[:3] for violation in lacking}, np.arange(len(problem.months))
    for option, month in np.argwhere(rises > 0.5):
        site, withdrawn = int(problem.site[option]), np.where(serving >= month, rises[option, month], 0.0)
        without = units.copy()
        without[option] -= withdrawn
        lost = [violation for violation in violations(problem, without) if violation[:3] not in already_broken]
        yield Purchase(
            problem.keys[site],
            problem.months[month],
            problem.months[month] - np.ceil(problem.padded_days[option]) * DAY,
            float(problem.gbps[option]),
            round(rises[option, month]),
            problem.cost(units) - problem.cost(without),
            exposure.more_without(site, withdrawn * problem.gbps[option]),
            _reason(problem, lost, problem.keys[site], int(month)),
            rises[option, month] * float(problem.usd_month[option]),
            rises[option, month] * float(problem.usd_once[option]),
        )


def _reason(problem: AugmentProblem, lost: Sequence[Violation], site: str, month: int) -> PurchaseReason:
    """The first constraint that breaks without a purchase of this month, its own site's limit before the failures of
    others.
    """
    own = [violation for violation in lost if violation.kind == "limit" and violation.key == site]
    first = min(own or lost, key=lambda violation: (violation.month, -violation.short_gbps), default=None)
    at = month if first is None else first.month
    return PurchaseReason(
        first, problem.months[at], float(problem.limits[problem.keys.index(site if first is None else first.key)])
    )


def _broken(problem: AugmentProblem, lacking: Sequence[Violation]) -> Iterator[UnmetConstraint]:
    """Each constraint that is not kept with the bound that is to blame."""
    most = np.where(np.arange(len(problem.months))[None, :] >= problem.first[:, None], problem.most[:, None], 0.0)
    hopeless = {violation[:3] for violation in violations(problem, most)} if lacking else set()
    return (
        UnmetConstraint(
            violation, problem.months[violation.month], _cause(problem, violation, hopeless=violation[:3] in hopeless)
        )
        for violation in lacking
    )


def _cause(problem: AugmentProblem, violation: Violation, *, hopeless: bool) -> str:
    """Reach, catalogue, lead time, or, where all that can be bought would keep it, the budget."""
    site = problem.keys.index(violation.key)
    helpers = [site] if violation.kind == "limit" else list(np.flatnonzero(problem.allowed[site]))
    if not helpers:
        return "no other site is within reach"
    mine = np.isin(problem.site, helpers)
    if not mine.any():
        return (
            "the catalogue has no step for it"
            if violation.kind == "limit"
            else "the catalogue has no step for the sites within reach"
        )
    if not hopeless:
        return BUDGET if problem.request.budget_usd is not None else "what would keep it is bought where it mends more"
    first = int(problem.first[mine].min())
    if (problem.first[mine] > violation.month).any():
        return "lead time: " + (
            f"steps come into service from {problem.months[first]:%Y-%m}"
            if first < len(problem.months)
            else "no step is there in time"
        )
    return "the catalogue allows no more units"


def added_by_site(plans: Mapping[Direction, AugmentPlan]) -> pd.DataFrame:
    """key, direction, add_gbps and cost_usd_month of all that plans add by their last month."""
    rows = []
    for direction, plan in plans.items():
        problem, units = plan.problem, plan.units[:, -1]
        rows += [
            (problem.keys[site], direction, count * gbps, count * usd)
            for site, gbps, usd, count in zip(problem.site, problem.gbps, problem.usd_month, units, strict=True)
            if count > 0.0
        ]
    frame = pd.DataFrame(rows, columns=["key", "direction", "add_gbps", "cost_usd_month"])
    return frame.groupby(["key", "direction"], as_index=False)[["add_gbps", "cost_usd_month"]].sum()


def all_purchases(plans: Mapping[Direction, AugmentPlan]) -> pd.DataFrame:
    """The purchases of plans, ranked by direction: as AugmentPlan.frame, with direction."""
    frames = [plan.frame().assign(direction=direction) for direction, plan in plans.items()]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*PURCHASE_COLUMNS, "direction"])


def with_risk_per_usd(purchases: pd.DataFrame) -> pd.DataFrame:
    """Purchases as a store keeps them, with risk_per_kusd: the risk removed for each thousand USD; NaN where it is free."""
    cost = purchases["cost_usd"].where(purchases["cost_usd"] > 0.0)
    return purchases.assign(risk_per_kusd=1000.0 * purchases["risk_removed"] / cost)


VALUES_LEAST, VALUES_MOST = 3, 5
NAMED_AT_MOST = 3


def stamp(text: str) -> pd.Timestamp:
    """A day or moment, UTC where it names no zone. SettingError where it is none."""
    try:
        moment = pd.Timestamp(text)
    except ValueError as error:
        raise SettingError(f"{text!r} is not a date.", remedy="write it as 2027-05-31") from error
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")


class CapacityAddition(NamedTuple):
    """Gbps more at a site from a day on. USD a month and once: 0 where it costs nothing, or nobody said."""

    site_id: str
    start: str
    gbps: float
    usd_month: float = 0.0
    usd_once: float = 0.0

    @property
    def day(self) -> pd.Timestamp:
        """The day on which it comes into service; SettingError where `start` is no date."""
        return stamp(self.start)


def parse_addition(values: object) -> CapacityAddition:
    """One from a list of its values; ValueError where it is none."""
    if not isinstance(values, list | tuple) or not VALUES_LEAST <= len(values) <= VALUES_MOST:
        raise ValueError(f"{values!r} is not a site, a day, Gbps, USD a month and USD once")
    site, start, *numbers = values
    amounts = [float(str(number)) for number in numbers]
    if not (all(map(math.isfinite, amounts)) and amounts[0] > 0.0 and min(amounts) >= 0.0):
        raise ValueError(f"{values!r} needs more than 0 Gbps, and at least 0 USD")
    return CapacityAddition(str(site), str(start), *amounts)


def additions_of_purchases(purchases: Iterable[Purchase]) -> tuple[CapacityAddition, ...]:
    """The purchases of a plan as additions, by day and site; steps that come into service together are one."""
    rows = [
        (purchase.in_service, purchase.site_id, purchase.gbps * purchase.units, purchase.usd_month, purchase.usd_once)
        for purchase in purchases
    ]
    sums = (
        pd.DataFrame(rows, columns=["day", "site", "gbps", "month", "once"])
        .groupby(["day", "site"], as_index=False)
        .sum()
    )
    return tuple(
        CapacityAddition(purchase.site, f"{purchase.day:%Y-%m-%d}", purchase.gbps, purchase.month, purchase.once)
        for purchase in sums.itertuples(index=False)
    )


def additions_frame(added: Iterable[CapacityAddition]) -> pd.DataFrame:
    """site_id, effective_from, gbps and usd, a month, as capacity.apply_augments takes them."""
    return pd.DataFrame(
        [(addition.site_id, addition.day, addition.gbps, addition.usd_month) for addition in added],
        columns=["site_id", "effective_from", "gbps", "usd"],
    )


def with_additions(
    steps: pd.DataFrame, added: Sequence[CapacityAddition], direction: Direction, now: pd.Timestamp, *, planned: bool
) -> pd.DataFrame:
    """The contract's `capacity` with additions, on top of what is in force, planned steps among it where they count;
    what is added counts in any case, before `now` as installed.

    SettingError for a site that declares no such capacity.
    """
    bought = additions_frame(added)
    counted = (steps["direction"] == direction) & counts(steps, now, planned=planned)
    own_steps = steps[counted & steps["site_id"].isin(bought["site_id"])]
    if unknown := sorted(set(bought["site_id"]).difference(own_steps["site_id"])):
        raise SettingError(
            f"{', '.join(unknown[:NAMED_AT_MOST])} declares no {direction} capacity that could be added to.",
            cause="another lake, or a typing error",
            remedy="name sites of the table of capacity",
        )
    raised, names = (
        apply_augments(own_steps, bought, "planned" if planned else "installed"),
        ["site_id", "effective_from"],
    )
    raised = raised.assign(status=raised["status"].where(raised["effective_from"] > now, "installed"))
    replaced = counted & pd.MultiIndex.from_frame(steps[names]).isin(pd.MultiIndex.from_frame(raised[names]))
    return pd.concat([steps[~replaced], raised], ignore_index=True)


def added_cost_usd(added: Iterable[CapacityAddition], months: pd.DatetimeIndex) -> float:
    """USD within some months, by the days on which they begin: each addition once, and for each month that it is in
    service.
    """
    in_service = ((addition, int((months >= addition.day).sum())) for addition in added)
    return sum(count * addition.usd_month + addition.usd_once for addition, count in in_service if count)
