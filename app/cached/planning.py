"""Plans, kept: run-out, order-by dates, fans, failures and what-ifs, each reckoned once for a question and the versions
of the tables that it hangs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from app.cached import MEASURED, Pin, Scope, _answer, catalogue, latest_run, sites_now, weekly
from app.cached.failover_tables import Declared
from data import queries
from data.lake.query import query
from data.schema import DIRECTION_OF, GLOBAL_KEY, MIN_WEEK_COMPLETENESS, Direction, Level
from forecasting.cli.failover_file import failover_of
from forecasting.planning import Plan, PlanCase, build_case, solve
from forecasting.planning.augment_programme import AugmentOptions
from forecasting.planning.capacity import Policy, counts, is_planned, usable_capacity
from forecasting.planning.catalogue import at_every_site, price_law, usual_steps
from forecasting.planning.demand import WEEK, Statistic
from forecasting.planning.failover import Failover
from forecasting.planning.failures import single_failures
from forecasting.planning.order_by import plan_calendar
from forecasting.planning.plan import PLAN_COLUMNS, details, with_plan
from forecasting.planning.plan_case import NO_TELEMETRY
from forecasting.planning.runout import NO_CAPACITY, RunOut
from forecasting.planning.whatif import (
    FAILURE_WEEKS,
    ScenarioResult,
    applied,
    evaluate_scenario,
    from_dicts,
    from_text,
    single_step_cost,
    to_dicts,
    to_text,
)
from forecasting.refresh.licensed_engine import LicensedEngine

__all__ = [
    "NO_CAPACITY",
    "PLAN_COLUMNS",
    "Declared",
    "Failures",
    "Fan",
    "PlanQuery",
    "RunOut",
    "ScenarioResult",
    "augmented",
    "calendar",
    "changes",
    "cost",
    "failures",
    "fan",
    "measured_weeks",
    "network_plan",
    "plan",
    "plan_result",
    "refusal_reasons",
    "run_out_table",
    "site_states",
    "with_change",
    "with_plan",
    "without_change",
]

# What a plan reads: what was measured and declared, and the futures of the newest run.
TABLES = tuple(queries.plan_tables.tables | queries.sites_now.tables)
# A quarter of measured weeks gives the futures their context.
WEEKS_BEFORE = 13
FAN = {"q05": 0.05, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q95": 0.95}


class PlanQuery(NamedTuple):
    """What a plan is asked: the policy, the direction, the changes to what is expected (whatif.to_text; "" for none),
    and who takes over for whom.

    failover: the table that the operator declares, None for distance and headroom.
    """

    direction: Direction
    statistic: Statistic
    limit: float
    planned: bool
    changes: str = ""
    failover: Declared | None = None


class Fan(NamedTuple):
    """One place: its answer; by week (ts: its end) q05 to q95, room_gbps (limit x capacity) and probability (of having
    crossed); capacity as steps.
    """

    answer: RunOut
    weeks: pd.DataFrame
    steps: pd.DataFrame


class Failures(NamedTuple):
    """Every single failure: in the first week (`now`) and the worst of each month; `safe_until`: when the network stops
    being N-1 safe.
    """

    now: pd.DataFrame
    months: pd.DataFrame
    safe_until: RunOut


def run_out_table(pin: Pin, question: PlanQuery, scope: Scope) -> pd.DataFrame | None:
    """A row for each site, region and the network; None where the newest run has no futures of sites.

    The columns of planning.plan.PLAN_COLUMNS and those of planning.plan.details, most urgent first. HeadroomError where
    the changes cannot be read or applied.
    """
    return _answer(_run_out_table, TABLES, pin, scope, question=question)


def refusal_reasons(pin: Pin, direction: Direction, scope: Scope) -> dict[str, str]:
    """Why sites have no futures to plan from, by site_id; none where the newest run's engine draws no futures at
    all.
    """
    return _answer(_refusal_reasons, TABLES, pin, scope, direction=direction)


def fan(pin: Pin, question: PlanQuery, level: Level, key: str, scope: Scope) -> Fan | None:
    """What one place is expected to carry, against what it may; None where no future of it is known."""
    return _answer(_fan, TABLES, pin, scope, question=question, level=level, key=key)


def failures(pin: Pin, question: PlanQuery, scope: Scope) -> Failures | None:
    """Every single failure of the next half year; None where the newest run has no futures of sites."""
    return _answer(_failures, TABLES, pin, scope, question=question)


def measured_weeks(pin: Pin, direction: Direction, scope: Scope) -> pd.DataFrame:
    """The measured weeks of the last quarter, whole ones only: as data.queries.model_inputs, ts (the week's end) beside
    it.
    """
    extent = _answer(queries.extent, MEASURED, pin, scope)
    end = _monday(extent.now) if extent is not None else pd.Timestamp("1970-01-05", tz="UTC")
    found = weekly(pin, scope, (f"{direction}_gbps",), end - WEEKS_BEFORE * WEEK, end)
    whole = found[found["completeness"] >= MIN_WEEK_COMPLETENESS]
    return whole.assign(ts=whole["week"] + WEEK)


def calendar(orders: pd.DataFrame, today: pd.Timestamp) -> str:
    """Rows of an outlook as iCalendar text."""
    return plan_calendar(orders, today)


def changes(text: str) -> list[dict[str, object]]:
    """The changes of a text as plain values; HeadroomError where it is not one."""
    return to_dicts(from_text(text)) if text else []


def with_change(text: str, change: Mapping[str, object]) -> str:
    """The text with one change more; HeadroomError where either cannot be read."""
    return to_text([*(from_text(text) if text else []), *from_dicts([dict(change)])])


def without_change(text: str, at: int) -> str:
    """The text without the change at a position; "" where none is left."""
    left = [one for place, one in enumerate(from_text(text)) if place != at]
    return to_text(left) if left else ""


def augmented(pin: Pin, direction: Direction, scope: Scope) -> tuple[str, ...]:
    """The sites that have planned augments, in order."""
    return _answer(_augmented, ("capacity",), pin, scope, direction=direction)


def _augmented(pin: Pin, scope: Scope, direction: Direction) -> tuple[str, ...]:
    sql = "SELECT DISTINCT site_id FROM capacity WHERE direction = $direction AND status = 'planned' ORDER BY site_id"
    return tuple(query(pin, sql, ["capacity"], scope=scope, parameters={"direction": direction})["site_id"])


# From the lake to a case
# -------------------------------------------------------------------------------------------------


def _published_case(pin: Pin, scope: Scope, direction: Direction, statistic: Statistic) -> PlanCase | None:
    """What the newest run expects, under the usual policy."""
    tables = queries.plan_tables(pin, scope, direction, statistic)
    if tables is None:
        return None
    health = sites_now(pin, scope).set_index("site_id")
    return build_case(
        direction,
        statistic,
        futures=tables.futures,
        status=tables.status,
        capacity=tables.capacity,
        sites=tables.sites,
        weeks=tables.weeks,
        now=tables.now,
        incidents=health["incident"].dropna().to_dict(),
        unheard=health["silence"].dropna().to_dict(),
        narrow=not scope.all,
    )


def _refusal_reasons(pin: Pin, scope: Scope, direction: Direction) -> dict[str, str]:
    run = latest_run(pin, scope)
    case = _answer(_published_case, TABLES, pin, scope, direction=direction, statistic="peak")
    if run is None or case is None or run.engine != LicensedEngine.name:
        return {}
    return {site: reason for site, reason in case.refused.items() if reason != NO_TELEMETRY}


def _failover(pin: Pin, scope: Scope, table: Declared | None, keys: tuple[str, ...]) -> Failover:
    return failover_of(table, catalogue(pin, scope), keys)


def case_of(pin: Pin, scope: Scope, question: PlanQuery) -> PlanCase | None:
    """The case under the policy asked for, after the changes; None where the newest run has no futures of sites."""
    base = _answer(_published_case, TABLES, pin, scope, direction=question.direction, statistic=question.statistic)
    if base is None or not base.demand.keys:
        return None
    failover = _answer(_failover, ("sites",), pin, scope, table=question.failover, keys=base.demand.keys)
    case = replace(base, policy=Policy(question.statistic, question.limit, planned=question.planned), failover=failover)
    return applied(case, from_text(question.changes)) if question.changes else case


# From a case to its plan
# --------------------------------------------------------------------------------------------------


def plan(pin: Pin, question: PlanQuery, scope: Scope) -> Plan | None:
    """The plan of one direction; None where the newest run has no futures of sites. HeadroomError where the changes
    cannot be read or applied.
    """
    return _answer(_plan, TABLES, pin, scope, question=question)


def _plan(pin: Pin, scope: Scope, question: PlanQuery) -> Plan | None:
    case = case_of(pin, scope, question)
    return None if case is None else solve(case)


def network_plan(pin: Pin, scope: Scope) -> Plan | None:
    """The plan of both directions under the usual policy; None where the newest run has no futures of sites."""
    return _answer(_network_plan, TABLES, pin, scope)


def _network_plan(pin: Pin, scope: Scope) -> Plan | None:
    usual = Policy()
    asked = [PlanQuery(way, usual.statistic, usual.limit, usual.planned) for way in DIRECTION_OF.values()]
    cases = [case for question in asked if (case := case_of(pin, scope, question)) is not None]
    return solve(*cases) if cases else None


def site_states(pin: Pin, filtered: Scope, scope: Scope) -> pd.DataFrame:
    """The sites of a filter as they are measured, each with its state and run-out as the plan of all sites in scope has
    them, most urgent first: planning.plan.with_plan.
    """
    found = network_plan(pin, scope)
    return with_plan(sites_now(pin, filtered), None if found is None else found.rows)


def plan_result(pin: Pin, question: PlanQuery, scope: Scope) -> ScenarioResult | None:
    """The plan of a question, and its N-1 safety, without its cost; None where the newest run has no futures of sites.
    HeadroomError as in plan.
    """
    return _answer(_plan_result, TABLES, pin, scope, question=question)


def _plan_result(pin: Pin, scope: Scope, question: PlanQuery) -> ScenarioResult | None:
    case = case_of(pin, scope, question)
    return None if case is None else evaluate_scenario(case)


def cost(pin: Pin, question: PlanQuery, scope: Scope) -> float:
    """scenarios.single_step_cost of a question: USD of the usual ports that keep its limits, NaN where too few costs
    are declared to price them.
    """
    return _answer(_cost, TABLES, pin, scope, question=question)


def _cost(pin: Pin, scope: Scope, question: PlanQuery) -> float:
    case, declared = case_of(pin, scope, question), case_of(pin, scope, question._replace(changes=""))
    if case is None or declared is None:
        return float("nan")
    law = price_law(declared.steps, question.direction, declared.regions)
    if not law.costs:
        return float("nan")
    return single_step_cost(
        replace(case, catalogue=at_every_site(usual_steps(law), case.sites)), AugmentOptions(today=case.now)
    )


def _run_out_table(pin: Pin, scope: Scope, question: PlanQuery) -> pd.DataFrame | None:
    case, found = case_of(pin, scope, question), plan(pin, question, scope)
    if case is None or found is None:
        return None
    return found.rows.join(details(case, found))


def _fan(pin: Pin, scope: Scope, question: PlanQuery, level: Level, key: str) -> Fan | None:
    case, found = case_of(pin, scope, question), plan(pin, question, scope)
    answer = None if found is None else found.run_outs.get((question.direction, level, key))
    if case is None or answer is None:
        return None
    groups = {
        site: GLOBAL_KEY if level == "global" else site if level == "site" else region
        for site, region in case.regions.items()
    }
    members = [site for site in case.demand.keys if groups.get(site) == key]
    if not members:
        return None
    own = case.demand.only(members)
    demand = own if level == "site" else own.summed(groups, case.diversity)
    ends = pd.DatetimeIndex(demand.weeks + WEEK)
    room = usable_capacity(case.steps, own, case.policy, case.now)
    columns = {name: demand.quantile(q)[0] for name, q in FAN.items()}
    # A group that is refused has parts without a forecast or capacity: the limit of the rest is not its limit.
    unknown = np.isnan(room).all(axis=0) | (answer.answer == "refused")
    columns |= {
        "room_gbps": np.where(unknown, np.nan, np.nansum(room, axis=0)),
        "probability": answer.probabilities(ends),
    }
    return Fan(answer, pd.DataFrame({"ts": ends, **columns}), _steps(case, members))


def _steps(case: PlanCase, members: list[str]) -> pd.DataFrame:
    """effective_from, capacity_gbps, status: what is declared for some sites together, as steps in time; planned where
    any part then in force is.
    """
    held = case.steps
    planned = is_planned(held)
    chosen = (
        held["site_id"].isin(members)
        & (held["direction"] == case.demand.direction)
        & counts(held, case.moment, planned=case.policy.planned)
    )
    mine = held.assign(planned=planned.astype(float))[chosen].drop_duplicates(
        ["site_id", "effective_from"], keep="last"
    )
    sums, any_planned = (
        mine.pivot_table(index="effective_from", columns="site_id", values=name).sort_index().ffill()
        for name in ("capacity_gbps", "planned")
    )
    status = np.where(any_planned.max(axis=1) > 0, "planned", "installed")
    return pd.DataFrame(
        {
            "effective_from": pd.DatetimeIndex(sums.index),
            "capacity_gbps": sums.sum(axis=1).to_numpy(float),
            "status": status,
        }
    )


def _failures(pin: Pin, scope: Scope, question: PlanQuery) -> Failures | None:
    case = case_of(pin, scope, question)
    if case is None:
        return None
    near = case.demand.until(FAILURE_WEEKS)
    found = single_failures(
        near, case.capacity(near), case.policy.shares(near.keys), case.failover, ceiling=case.ceiling
    )
    rows = found.frame()
    now = rows[rows["week"] == near.start].sort_values(
        ["shed_gbps", "probability", "key"], ascending=[False, False, True], ignore_index=True
    )
    months = found.worst_by_month()
    starts = rows["week"].dt.strftime("%Y-%m")
    passes = [
        _passing(rows[(rows["key"] == key) & (starts == f"{month:%Y-%m}")])
        for key, month in zip(months["key"], months["month"], strict=True)
    ]
    return Failures(now, months.assign(passes=passes), found.safe_until())


def _passing(weeks: pd.DataFrame) -> tuple[str, ...]:
    """The sites that pass their limit in any of some weeks."""
    return tuple(sorted({site for sites in weeks["passes"] for site in sites}))


def _monday(moment: pd.Timestamp) -> pd.Timestamp:
    return moment.floor("D") - pd.Timedelta(days=moment.weekday())
