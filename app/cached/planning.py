"""Plans: run-out and order-by dates, fans, what-ifs and their cost; each computed once for a query and the versions of the
tables that it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from app.cached import Pin, Scope, SiteFilter, catalogue, extent, memoize, sites_now, weekly
from data import queries
from data.queries import reads
from data.queries.lake_state import last_weeks
from data.schema import DIRECTION_OF, Direction, Level
from forecasting.planning import Plan, PlanCase, build_case, solve
from forecasting.planning.augment_programme import AugmentOptions
from forecasting.planning.capacity import Policy
from forecasting.planning.catalogue import at_every_site, price_law, usual_steps
from forecasting.planning.demand import Statistic
from forecasting.planning.failover import DeclaredFailover, Failover, failover_of
from forecasting.planning.order_by import LEAD_FACTOR, LEAD_PLUS_DAYS, OrderPolicy, plan_calendar
from forecasting.planning.plan import PLAN_COLUMNS, Fan, PlanSummary, changed_rows, details, summarise, with_plan
from forecasting.planning.plan import fan as fan_of
from forecasting.planning.plan_case import NO_TELEMETRY, whole_weeks
from forecasting.planning.runout import NO_CAPACITY, RunOut
from forecasting.planning.site_state import NetworkSummary, group_states, summarise_sites
from forecasting.planning.whatif import (
    CITY,
    ScenarioResult,
    applied,
    evaluate_scenario,
    from_dicts,
    from_text,
    single_step_cost,
    to_dicts,
    to_text,
)

__all__ = [
    "CITY",
    "NO_CAPACITY",
    "PLAN_COLUMNS",
    "DeclaredFailover",
    "Fan",
    "NetworkSummary",
    "PlanQuery",
    "PlanSummary",
    "RunOut",
    "ScenarioResult",
    "calendar",
    "changed_rows",
    "changes",
    "cost",
    "fan",
    "group_states",
    "measured_weeks",
    "network_plan",
    "plan",
    "plan_result",
    "refusal_reasons",
    "run_out_table",
    "site_states",
    "summarise",
    "summarise_sites",
    "with_change",
    "with_plan",
    "without_change",
]

# A quarter of measured weeks gives the futures their context.
WEEKS_BEFORE = 13


class PlanQuery(NamedTuple):
    """What a plan is asked: the policy, the direction, the changes to what is expected (whatif.to_text; "" for none),
    and who takes over for whom.

    failover: the table that the operator declares, None for distance and headroom. lead_factor, lead_plus_days: how
    declared lead times are padded (OrderPolicy).
    """

    direction: Direction
    statistic: Statistic
    limit: float
    planned: bool
    changes: str = ""
    failover: DeclaredFailover | None = None
    lead_factor: float = LEAD_FACTOR
    lead_plus_days: float = LEAD_PLUS_DAYS


# From the lake to a case
# -------------------------------------------------------------------------------------------------


@memoize
@reads(queries.plan_tables, queries.sites_now)
def published_case(pin: Pin, scope: Scope, direction: Direction, statistic: Statistic) -> PlanCase | None:
    """What the newest run expects, under the usual policy; None where the lake has no telemetry, no run that simulates
    futures, or no site that carries any of it.
    """
    tables = queries.plan_tables(pin, scope, direction, statistic)
    if tables is None or not tables.draws_futures:
        return None
    return build_case(direction, statistic, tables, sites_now(pin, scope), narrow=not scope.all)


@memoize
@reads(queries.catalogue)
def _failover(pin: Pin, scope: Scope, table: DeclaredFailover | None, keys: tuple[str, ...]) -> Failover:
    return failover_of(table, catalogue(pin, scope), keys)


@reads(published_case, _failover)
def case_of(pin: Pin, scope: Scope, query: PlanQuery) -> PlanCase | None:
    """The case under a query's policy, after its changes; None where the newest run has no futures of sites."""
    published = published_case(pin, scope, query.direction, query.statistic)
    if published is None or not published.demand.keys:
        return None
    policy = Policy(query.statistic, query.limit, planned=query.planned)
    failover = _failover(pin, scope, query.failover, published.demand.keys)
    ordering = OrderPolicy(times=query.lead_factor, plus_days=query.lead_plus_days)
    case = replace(published, policy=policy, failover=failover, ordering=ordering)
    return applied(case, from_text(query.changes)) if query.changes else case


@memoize
@reads(published_case)
def refusal_reasons(pin: Pin, scope: Scope, direction: Direction) -> dict[str, str]:
    """Why sites have no futures to plan from, by site_id; none where the newest run's engine draws no futures at
    all.
    """
    case = published_case(pin, scope, direction, "peak")
    if case is None:
        return {}
    return {site: reason for site, reason in case.refused.items() if reason != NO_TELEMETRY}


# From a case to its plan
# --------------------------------------------------------------------------------------------------


@memoize
@reads(case_of)
def plan(pin: Pin, scope: Scope, query: PlanQuery) -> Plan | None:
    """The plan of one direction; None where the newest run has no futures of sites. HeadroomError where the changes
    cannot be read or applied.
    """
    case = case_of(pin, scope, query)
    return None if case is None else solve(case)


@memoize
@reads(published_case)
def network_plan(pin: Pin, scope: Scope) -> Plan | None:
    """The plan of both directions under the usual policy, refused sites with their reasons among its rows; None where
    the newest run simulates no futures.
    """
    cases = [published_case(pin, scope, direction, Policy().statistic) for direction in DIRECTION_OF.values()]
    solvable = [case for case in cases if case is not None]
    return solve(*solvable) if solvable else None


@memoize
@reads(case_of, plan)
def run_out_table(pin: Pin, scope: Scope, query: PlanQuery) -> pd.DataFrame | None:
    """A row for each site, region and the network; None where the newest run has no futures of sites.

    The columns of planning.plan.PLAN_COLUMNS and those of planning.plan.details, most urgent first. HeadroomError where
    the changes cannot be read or applied.
    """
    case, solved = case_of(pin, scope, query), plan(pin, scope, query)
    return None if case is None or solved is None else solved.rows.join(details(case, solved))


@memoize
@reads(case_of, plan)
def fan(pin: Pin, scope: Scope, query: PlanQuery, level: Level, key: str) -> Fan | None:
    """What one place is expected to carry, against what it may; None where no future of it is known."""
    case, solved = case_of(pin, scope, query), plan(pin, scope, query)
    return None if case is None or solved is None else fan_of(case, solved, level, key)


@memoize
@reads(case_of)
def plan_result(pin: Pin, scope: Scope, query: PlanQuery) -> ScenarioResult | None:
    """The plan of a query, and its N-1 safety, without its cost; None where the newest run has no futures of sites.
    HeadroomError as in plan.
    """
    case = case_of(pin, scope, query)
    return None if case is None else evaluate_scenario(case)


@memoize
@reads(case_of)
def cost(pin: Pin, scope: Scope, query: PlanQuery) -> float:
    """whatif.single_step_cost of a query: USD of the usual ports that keep its limits, NaN where too few costs are
    declared to price them.
    """
    case, declared = case_of(pin, scope, query), case_of(pin, scope, query._replace(changes=""))
    if case is None or declared is None:
        return float("nan")
    law = price_law(declared.steps, query.direction, declared.regions)
    if not law.costs:
        return float("nan")
    offered = at_every_site(usual_steps(law), case.sites)
    return single_step_cost(replace(case, catalogue=offered), AugmentOptions(today=case.now))


@reads(network_plan, queries.sites_now)
def site_states(pin: Pin, scope: Scope, sites: SiteFilter = None) -> pd.DataFrame:
    """The sites of a filter as they are measured, each with its state and run-out as the plan of all sites in scope has
    them, most urgent first: planning.plan.with_plan.
    """
    solved, measured = network_plan(pin, scope), sites_now(pin, scope)
    if sites is not None:
        measured = measured[measured["site_id"].isin(sites)].reset_index(drop=True)
    return with_plan(measured, None if solved is None else solved.rows)


# What was measured and declared
# ----------------------------------------------------------------------------------------------------


@memoize
@reads(queries.extent, queries.weekly)
def measured_weeks(pin: Pin, scope: Scope, direction: Direction, sites: SiteFilter = None) -> pd.DataFrame:
    """The measured weeks of the last quarter, whole ones only: as data.queries.weekly, ts (the week's end) beside it."""
    start, end = last_weeks(extent(pin, scope), WEEKS_BEFORE)
    return whole_weeks(weekly(pin, scope, (f"{direction}_gbps",), start, end, sites))


# Changes as text
# ----------------------------------------------------------------------------------------------------


def changes(text: str) -> list[dict[str, object]]:
    """The changes of a text as plain values; HeadroomError where it is not one."""
    return to_dicts(from_text(text)) if text else []


def with_change(text: str, change: Mapping[str, object]) -> str:
    """The text with one change more; HeadroomError where either cannot be read."""
    return to_text([*(from_text(text) if text else []), *from_dicts([dict(change)])])


def without_change(text: str, at: int) -> str:
    """The text without the change at a position; "" where none is left."""
    left = [change for place, change in enumerate(from_text(text)) if place != at]
    return to_text(left) if left else ""


def calendar(orders: pd.DataFrame, today: pd.Timestamp) -> str:
    """Rows of an outlook as iCalendar text."""
    return plan_calendar(orders, today)
