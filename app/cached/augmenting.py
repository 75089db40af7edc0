"""Augment plans, kept: what to buy so that the policy holds, its curve of cost against risk, and the capacity that the purchases declare."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from app.cached import Pin, Scope, _answer, catalogue
from app.cached.planning import TABLES, Question, scene_of
from data import queries
from data.contract import Direction
from data.duck import ask
from data.errors import SettingError
from forecasting.planning.augment_problem import Request, build
from forecasting.planning.augments import AugmentPlan, Broken, curve, planned
from forecasting.planning.catalogue import STEP_COLUMNS, PriceLaw, at_every_site, declared_steps, price_law, usual_steps

__all__ = ["AugmentPlan", "Broken", "Found", "Offer", "Wish", "augment_plan", "offer"]

# The search for the plan, and for all points of its curve together: somebody waits.
PLAN_SECONDS, CURVE_SECONDS = 20.0, 10.0

# One step on offer at every site: Gbps, USD a month, USD once, days of lead time (None: each site's own).
Step = tuple[float, float, float, float | None]


class Wish(NamedTuple):
    """What to plan for: months, the share of futures in which a site keeps its limit, whether any one site may fail, and the steps on offer.

    sites: those that the plan is about, which alone help each other in a failure; None for all.
    """

    months: int
    q: float
    n_minus_1: bool
    steps: tuple[Step, ...]
    sites: tuple[str, ...] | None = None


class Offer(NamedTuple):
    """Steps on offer where nobody has said: usual sizes, and the law that prices them."""

    steps: tuple[Step, ...]
    law: PriceLaw


class Found(NamedTuple):
    """The plan; cost against risk, as augments.curve; and the rows of the table of capacity that make it known to the lake."""

    plan: AugmentPlan
    curve: pd.DataFrame
    capacity: pd.DataFrame


def offer(pin: Pin, direction: Direction, scope: Scope) -> Offer:
    """Usual sizes at the prices of the lake's own capacity, where enough of it declares its cost; assumed ones where not."""
    return _answer(_offer, ("capacity", "sites"), pin, scope, direction=direction)


def augment_plan(pin: Pin, question: Question, wish: Wish, scope: Scope) -> Found | None:
    """The cheapest purchases that keep the policy; None where the newest run has no futures of sites. SettingError for a wish that cannot be."""
    return _answer(_augment_plan, TABLES, pin, scope, question=question, wish=wish)


def _offer(pin: Pin, scope: Scope, direction: Direction) -> Offer:
    sites = catalogue(pin, scope)
    law = price_law(ask(pin, "SELECT * FROM capacity", ["capacity"], scope=scope), direction, dict(zip(sites["site_id"], sites["region_id"], strict=True)))
    rows = usual_steps(law).itertuples(index=False, name=None)
    return Offer(tuple((gbps, month, once, None) for gbps, month, once, _ in rows), law)


def _augment_plan(pin: Pin, scope: Scope, question: Question, wish: Wish) -> Found | None:
    scene = scene_of(pin, scope, question)
    if scene is None:
        return None
    if not wish.steps:
        raise SettingError("There is no step to buy.", cause="every row of the catalogue was removed", remedy="put a size and a price into the catalogue")
    demand = scene.demand if wish.sites is None else scene.demand.only([key for key in scene.demand.keys if key in wish.sites])
    offered = at_every_site(pd.DataFrame(wish.steps, columns=STEP_COLUMNS).astype(float), scene.sites)
    held = queries.extent(pin, scope)
    request = Request(
        scene.policy, q=wish.q, months=wish.months, n_minus_1=wish.n_minus_1, ceiling=scene.ceiling, seconds=PLAN_SECONDS,
        today=None if held is None else held.now,
    )  # fmt: skip
    problem = build(demand, scene.steps, offered, scene.failover.only(demand.keys), request)
    plan, brief = planned(problem), replace(problem, request=replace(request, seconds=CURVE_SECONDS))
    return Found(plan, curve(brief), declared_steps(plan, scene.steps, question.direction))
