"""Augment plans: what to buy so that the policy holds, its curve of cost against risk, and the capacity that the
purchases declare.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from app.cached import Pin, Scope, capacity, catalogue, memoize
from app.cached.planning import PlanQuery, case_of
from data import queries
from data.queries import reads
from data.schema import Direction
from data.schema.errors import SettingError
from forecasting.planning.augment_programme import AugmentOptions, build_problem
from forecasting.planning.augments import (
    BUDGET,
    AugmentPlan,
    UnmetConstraint,
    additions_of_purchases,
    curve_of_plan,
    solve_augments,
)
from forecasting.planning.catalogue import (
    CAPACITY_COLUMNS,
    STEP_COLUMNS,
    PriceLaw,
    at_every_site,
    declared_steps,
    price_law,
    usual_steps,
)
from forecasting.planning.whatif import CapacityAdded, Change, from_text, to_text

__all__ = [
    "BUDGET",
    "AugmentPlan",
    "AugmentRequest",
    "Offer",
    "UnmetConstraint",
    "augment_plan",
    "capacity_rows",
    "offer",
    "risk_curve",
    "taken_out",
    "with_purchases",
]

# The search for the plan, and for all points of its curve together: somebody waits.
PLAN_SECONDS, CURVE_SECONDS = 20.0, 10.0

# One step on offer at every site: Gbps, USD a month, USD once, days of lead time (None: each site's own).
Step = tuple[float, float, float, float | None]


class AugmentRequest(NamedTuple):
    """What to plan for: months, the share of futures in which a site keeps its limit, whether any one site may fail,
    and the steps on offer.

    sites: those that the plan is about, which alone help each other in a failure; None for all. budget_usd: what may be
    spent within the months.
    """

    months: int
    q: float
    n_minus_1: bool
    steps: tuple[Step, ...]
    sites: tuple[str, ...] | None = None
    budget_usd: float | None = None


class Offer(NamedTuple):
    """Steps on offer where nobody has said: usual sizes, and the law that prices them."""

    steps: tuple[Step, ...]
    law: PriceLaw


@memoize
@reads(queries.capacity, queries.catalogue)
def offer(pin: Pin, scope: Scope, direction: Direction) -> Offer:
    """Usual sizes at the prices of the lake's own capacity, where enough of it declares its cost; assumed ones where
    not.
    """
    sites = catalogue(pin, scope)
    regions = dict(zip(sites["site_id"], sites["region_id"], strict=True))
    law = price_law(capacity(pin, scope), direction, regions)
    rows = usual_steps(law).itertuples(index=False, name=None)
    return Offer(tuple((gbps, month, once, None) for gbps, month, once, _ in rows), law)


@memoize
@reads(case_of)
def augment_plan(pin: Pin, scope: Scope, query: PlanQuery, request: AugmentRequest) -> AugmentPlan | None:
    """The cheapest purchases that keep the policy; None where the newest run has no futures of sites. SettingError for
    a request that cannot be.
    """
    case = case_of(pin, scope, query)
    if case is None:
        return None
    if not request.steps:
        raise SettingError(
            "There is no step to buy.",
            cause="every row of the catalogue was removed",
            remedy="put a size and a price into the catalogue",
        )
    sites = [key for key in case.demand.keys if request.sites is None or key in request.sites]
    steps = at_every_site(pd.DataFrame(request.steps, columns=STEP_COLUMNS).astype(float), case.sites)
    options = AugmentOptions(
        case.policy,
        ordering=case.ordering,
        q=request.q,
        months=request.months,
        n_minus_1=request.n_minus_1,
        ceiling=case.ceiling,
        budget_usd=request.budget_usd,
        seconds=PLAN_SECONDS,
        today=case.now,
    )
    return solve_augments(build_problem(case.demand.only(sites), case.steps, steps, case.failover.only(sites), options))


@memoize
@reads(augment_plan)
def risk_curve(pin: Pin, scope: Scope, query: PlanQuery, request: AugmentRequest) -> pd.DataFrame:
    """augments.curve_of_plan: cost against risk, whatever the budget, and which point the plan is."""
    plan = augment_plan(pin, scope, query, request)
    if plan is None:
        return pd.DataFrame(columns=["q", "cost_usd", "risk", "gap", "chosen"])
    return curve_of_plan(plan, CURVE_SECONDS)


@reads(case_of)
def capacity_rows(pin: Pin, scope: Scope, query: PlanQuery, plan: AugmentPlan) -> pd.DataFrame:
    """The rows of the table of capacity that make a plan known to the lake, and what the what-if adds with it."""
    with_it, without = (
        case_of(pin, scope, query._replace(changes=text)) for text in (query.changes, _without_additions(query))
    )
    if with_it is None or without is None:
        return pd.DataFrame(columns=CAPACITY_COLUMNS)
    return declared_steps((*with_it.added, *additions_of_purchases(plan.purchases)), without.steps, query.direction)


def with_purchases(query: PlanQuery, plan: AugmentPlan) -> str:
    """The what-if of a query with the purchases of a plan, as one change more."""
    return to_text([*_changes(query), CapacityAdded(additions_of_purchases(plan.purchases), query.direction)])


def taken_out(query: PlanQuery) -> str | None:
    """The what-if without the capacity that it adds in the query's direction; None where it adds none."""
    left = _without_additions(query)
    return None if len(_changes(query._replace(changes=left))) == len(_changes(query)) else left


def _changes(query: PlanQuery) -> list[Change]:
    return from_text(query.changes) if query.changes else []


def _without_additions(query: PlanQuery) -> str:
    kept = [
        change
        for change in _changes(query)
        if not (isinstance(change, CapacityAdded) and change.direction == query.direction)
    ]
    return to_text(kept) if kept else ""
