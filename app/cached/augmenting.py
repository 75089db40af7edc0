"""Augment plans, kept: what to buy so that the policy holds, its curve of cost against risk, and the capacity that the
purchases declare.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from app.cached import Pin, Scope, _answer, catalogue
from app.cached.planning import TABLES, PlanQuery, case_of
from data import queries
from data.lake.query import query
from data.schema import Direction
from data.schema.errors import SettingError
from forecasting.planning.augment_programme import AugmentOptions, build_problem
from forecasting.planning.augments import (
    BUDGET,
    AugmentPlan,
    UnmetConstraint,
    additions_of_purchases,
    cost_risk_curve,
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


def offer(pin: Pin, direction: Direction, scope: Scope) -> Offer:
    """Usual sizes at the prices of the lake's own capacity, where enough of it declares its cost; assumed ones where
    not.
    """
    return _answer(_offer, ("capacity", "sites"), pin, scope, direction=direction)


def augment_plan(pin: Pin, question: PlanQuery, wish: AugmentRequest, scope: Scope) -> AugmentPlan | None:
    """The cheapest purchases that keep the policy; None where the newest run has no futures of sites. SettingError for
    a wish that cannot be.
    """
    return _answer(_augment_plan, TABLES, pin, scope, question=question, wish=wish)


def risk_curve(pin: Pin, question: PlanQuery, wish: AugmentRequest, scope: Scope) -> pd.DataFrame:
    """augments.curve of a plan, without its budget; and the plan itself as the row that is `chosen`, where the budget
    makes it another one.
    """
    return _answer(_risk_curve, TABLES, pin, scope, question=question, wish=wish)


def capacity_rows(pin: Pin, question: PlanQuery, plan: AugmentPlan, scope: Scope) -> pd.DataFrame:
    """The rows of the table of capacity that make a plan known to the lake, and what the what-if adds with it."""
    with_it, without = (
        case_of(pin, scope, question._replace(changes=text))
        for text in (question.changes, _without_additions(question))
    )
    if with_it is None or without is None:
        return pd.DataFrame(columns=CAPACITY_COLUMNS)
    return declared_steps((*with_it.added, *additions_of_purchases(plan.purchases)), without.steps, question.direction)


def with_purchases(question: PlanQuery, plan: AugmentPlan) -> str:
    """The what-if of a question with the purchases of a plan, as one change more."""
    return to_text([*_changes(question), CapacityAdded(additions_of_purchases(plan.purchases), question.direction)])


def taken_out(question: PlanQuery) -> str | None:
    """The what-if without the capacity that it adds in the question's direction; None where it adds none."""
    left = _without_additions(question)
    return None if len(_changes(question._replace(changes=left))) == len(_changes(question)) else left


def _changes(question: PlanQuery) -> list[Change]:
    return from_text(question.changes) if question.changes else []


def _without_additions(question: PlanQuery) -> str:
    kept = [
        one
        for one in _changes(question)
        if not (isinstance(one, CapacityAdded) and one.direction == question.direction)
    ]
    return to_text(kept) if kept else ""


def _offer(pin: Pin, scope: Scope, direction: Direction) -> Offer:
    sites = catalogue(pin, scope)
    law = price_law(
        query(pin, "SELECT * FROM capacity", ["capacity"], scope=scope),
        direction,
        dict(zip(sites["site_id"], sites["region_id"], strict=True)),
    )
    rows = usual_steps(law).itertuples(index=False, name=None)
    return Offer(tuple((gbps, month, once, None) for gbps, month, once, _ in rows), law)


def _augment_plan(pin: Pin, scope: Scope, question: PlanQuery, wish: AugmentRequest) -> AugmentPlan | None:
    scene = case_of(pin, scope, question)
    if scene is None:
        return None
    if not wish.steps:
        raise SettingError(
            "There is no step to buy.",
            cause="every row of the catalogue was removed",
            remedy="put a size and a price into the catalogue",
        )
    demand = (
        scene.demand
        if wish.sites is None
        else scene.demand.only([key for key in scene.demand.keys if key in wish.sites])
    )
    offered = at_every_site(pd.DataFrame(wish.steps, columns=STEP_COLUMNS).astype(float), scene.sites)
    held = queries.extent(pin, scope)
    request = AugmentOptions(
        scene.policy,
        q=wish.q,
        months=wish.months,
        n_minus_1=wish.n_minus_1,
        ceiling=scene.ceiling,
        budget_usd=wish.budget_usd,
        seconds=PLAN_SECONDS,
        today=None if held is None else held.now,
    )
    return solve_augments(build_problem(demand, scene.steps, offered, scene.failover.only(demand.keys), request))


def _risk_curve(pin: Pin, scope: Scope, question: PlanQuery, wish: AugmentRequest) -> pd.DataFrame:
    plan = augment_plan(pin, question, wish, scope)
    if plan is None:
        return pd.DataFrame(columns=["q", "cost_usd", "risk", "gap", "chosen"])
    points = cost_risk_curve(replace(plan.problem, request=replace(plan.problem.request, seconds=CURVE_SECONDS)))
    free = points.loc[points["chosen"], "cost_usd"]
    if wish.budget_usd is None or (len(free) and free.iloc[0] <= wish.budget_usd):
        return points
    own = pd.DataFrame([{"q": wish.q, "cost_usd": plan.cost_usd, "risk": plan.risk, "gap": plan.gap, "chosen": True}])
    return pd.concat([points.assign(chosen=False), own], ignore_index=True)
