"""Plans, kept: run-out, order-by dates, fans, failures and what-ifs, each reckoned once for a question and the versions
of the tables that it hangs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from app.cached import MEASURED, Pin, Scope, _answer, catalogue, futures, latest_run, site_fits, weekly
from app.cached.failover_tables import Declared
from data import queries
from data.lake.query import query
from data.schema import GLOBAL_KEY, Direction, Level
from forecasting.cli.failover_file import failover_of
from forecasting.peaks.weekly_statistics import COMPLETE_AT_LEAST
from forecasting.planning.augment_problem import AugmentOptions
from forecasting.planning.capacity import Policy, usable_capacity, weekly_capacity
from forecasting.planning.catalogue import at_every_site, price_law, usual_steps
from forecasting.planning.crossing import RunOut
from forecasting.planning.demand import WEEK, Demand, Reals, Statistic, coincidence_factor
from forecasting.planning.failover import Failover, nearby
from forecasting.planning.failures import single_failures
from forecasting.planning.ordering import USUAL_LEAD_DAYS, plan_calendar, plan_frame
from forecasting.planning.plan_case import FAILURE_WEEKS, Outcome, PlanCase, outcome, single_step_cost
from forecasting.planning.runout import NO_CAPACITY, over_share
from forecasting.planning.whatif import applied, from_dicts, from_text, to_dicts, to_text
from forecasting.refresh.licensed_engine import LicensedEngine
from forecasting.refresh.plan_inputs import unforeseen

__all__ = [
    "NO_CAPACITY",
    "Declared",
    "Failures",
    "Fan",
    "Outcome",
    "PlanQuery",
    "RunOut",
    "augmented",
    "calendar",
    "changes",
    "cost",
    "failures",
    "fan",
    "measured_weeks",
    "plan_result",
    "refusal_reasons",
    "run_out_table",
    "with_change",
    "without_change",
]

# What a plan reads: what was measured and declared, and the futures of the newest run.
TABLES = (*MEASURED, "runs", "fits", "paths")
# A quarter of measured weeks gives the futures their context.
WEEKS_BEFORE = 13
YEAR_WEEKS = 52
# How soon is soon: an order placed now is in service by then at the usual lead time.
SOON = pd.Timedelta(days=90)
# A probability every four weeks draws its curve in a table's cell.
ODDS_STEP = 4
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

    The columns of ordering.plan_frame, horizon, within_90 (share of futures that cross within 90 days), over_in_year
    (of sites: share that stands above the limit in a year's time) and odds (list: those that have crossed, every four
    weeks to the horizon). A group's lead time is the longest of its sites'. HeadroomError where the changes cannot be
    read or applied.
    """
    return _answer(_outlook, TABLES, pin, scope, question=question)


def refusal_reasons(pin: Pin, direction: Direction, scope: Scope) -> dict[str, str]:
    """Why sites have no futures to plan from, by site_id; none where the newest run's engine draws no futures at
    all.
    """
    return _answer(_unplanned, TABLES, pin, scope, direction=direction)


def fan(pin: Pin, question: PlanQuery, level: Level, key: str, scope: Scope) -> Fan | None:
    """What one place is expected to carry, against what it may; None where no future of it is known."""
    return _answer(_fan, TABLES, pin, scope, question=question, level=level, key=key)


def failures(pin: Pin, question: PlanQuery, scope: Scope) -> Failures | None:
    """Every single failure of the next half year; None where the newest run has no futures of sites."""
    return _answer(_failures, TABLES, pin, scope, question=question)


def measured_weeks(pin: Pin, direction: Direction, scope: Scope) -> pd.DataFrame:
    """The measured weeks of the last quarter, whole ones only: as data.queries.weekly, ts (the week's end) beside
    it.
    """
    extent = _answer(queries.extent, MEASURED, pin, scope)
    end = _monday(extent.now) if extent is not None else pd.Timestamp("1970-01-05", tz="UTC")
    weeks = _complete_weeks(pin, direction, end - WEEKS_BEFORE * WEEK, end, scope)
    return weeks.assign(ts=weeks["week"] + WEEK)


def _complete_weeks(
    pin: Pin, direction: Direction, start: pd.Timestamp, end: pd.Timestamp, scope: Scope
) -> pd.DataFrame:
    weeks = weekly(pin, scope, (f"{direction}_gbps",), start, end)
    return weeks[weeks["completeness"] >= COMPLETE_AT_LEAST]


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


# From the lake to a scene
# -------------------------------------------------------------------------------------------------


def _base(pin: Pin, scope: Scope, direction: Direction, statistic: Statistic) -> PlanCase | None:
    """What the newest run expects, under the usual policy."""
    metric = f"{direction}_gbps"
    found = futures(pin, scope, "site", metric, statistic)
    if found is None:
        return None
    sites, steps = catalogue(pin, scope), query(pin, "SELECT * FROM capacity", ["capacity"], scope=scope)
    demand = Demand(found.keys, direction, statistic, found.weeks, np.maximum(found.draws, 0.0))
    scene = PlanCase(
        demand,
        steps,
        sites,
        Policy(statistic),
        nearby(sites, demand.keys),
        refused=_refused(pin, scope, demand, sites, steps),
    )
    # The week before the forecast alone: a quarter of samples is 13 times as much to read.
    weeks = _complete_weeks(pin, direction, demand.start - WEEK, demand.start, scope)
    last = weeks[(weeks["level"] == "site") & (weeks["week"] == demand.start - WEEK)]
    return replace(
        scene, diversity=_diversity(pin, scope, scene), measured=dict(zip(last["key"], last[statistic], strict=True))
    )


def _diversity(pin: Pin, scope: Scope, scene: PlanCase) -> dict[str, Reals]:
    """How much less regions and the network peak than the sum of their sites, where the run says so."""
    demand, found = scene.demand, dict[str, Reals]()
    levels: dict[Level, dict[str, str]] = {"region": scene.regions, "global": dict.fromkeys(demand.keys, GLOBAL_KEY)}
    for level, groups in levels.items():
        whole = futures(pin, scope, level, f"{demand.direction}_gbps", demand.statistic)
        if whole is not None and list(whole.weeks) == list(demand.weeks):
            own = Demand(whole.keys, demand.direction, demand.statistic, demand.weeks, np.maximum(whole.draws, 0.0))
            found |= coincidence_factor(demand, own, groups)
    return found


def _refused(pin: Pin, scope: Scope, demand: Demand, sites: pd.DataFrame, steps: pd.DataFrame) -> dict[str, str]:
    """Why sites have no future. One with neither capacity nor a fit in this direction is not asked to carry anything,
    and is left out.
    """
    declared = set(steps.loc[steps["direction"] == demand.direction, "site_id"])
    found, fits = {}, site_fits(pin, scope, f"{demand.direction}_gbps")
    for site in sorted(set(sites["site_id"]) - set(demand.keys)):
        fate = fits.get(site)
        if fate is not None:
            found[site] = unforeseen(fate)
        elif site in declared:
            found[site] = "it was not part of the last refresh"
    return found


def _unplanned(pin: Pin, scope: Scope, direction: Direction) -> dict[str, str]:
    run = latest_run(pin, scope)
    if run is None or run.engine != LicensedEngine.name:
        return {}
    return {site: unforeseen(fate) for site, fate in site_fits(pin, scope, f"{direction}_gbps").items()}


def _failover(pin: Pin, scope: Scope, table: Declared | None, keys: tuple[str, ...]) -> Failover:
    return failover_of(table, catalogue(pin, scope), keys)


def scene_of(pin: Pin, scope: Scope, question: PlanQuery) -> PlanCase | None:
    """The scene under the policy asked for, after the changes."""
    base = _answer(_base, TABLES, pin, scope, direction=question.direction, statistic=question.statistic)
    if base is None:
        return None
    failover = _answer(_failover, ("sites",), pin, scope, table=question.failover, keys=base.demand.keys)
    asked = replace(
        base, policy=Policy(question.statistic, question.limit, planned=question.planned), failover=failover
    )
    return applied(asked, from_text(question.changes)) if question.changes else asked


# From a scene to answers
# --------------------------------------------------------------------------------------------------


def plan_result(pin: Pin, question: PlanQuery, scope: Scope) -> Outcome | None:
    """Everything that a question comes to but its cost; None where the newest run has no futures of sites.
    HeadroomError as in outlook.
    """
    return _answer(_reckoned, TABLES, pin, scope, question=question)


def _reckoned(pin: Pin, scope: Scope, question: PlanQuery) -> Outcome | None:
    scene = scene_of(pin, scope, question)
    return None if scene is None else outcome(scene)


def cost(pin: Pin, question: PlanQuery, scope: Scope) -> float:
    """scene.single_step_cost of a question: USD of the usual ports that keep its limits, NaN where too few costs are
    declared to price them.
    """
    return _answer(_cost, TABLES, pin, scope, question=question)


def _cost(pin: Pin, scope: Scope, question: PlanQuery) -> float:
    scene, declared = scene_of(pin, scope, question), scene_of(pin, scope, question._replace(changes=""))
    if scene is None or declared is None:
        return float("nan")
    law, held = (
        price_law(declared.steps, question.direction, declared.regions),
        _answer(queries.extent, MEASURED, pin, scope),
    )
    if not law.costs:
        return float("nan")
    return single_step_cost(
        replace(scene, catalogue=at_every_site(usual_steps(law), scene.sites)),
        AugmentOptions(today=None if held is None else held.now),
    )


def _answers(pin: Pin, scope: Scope, question: PlanQuery) -> dict[tuple[str, str], RunOut] | None:
    """Every answer by level and key."""
    found = plan_result(pin, question, scope)
    return (
        None if found is None else {(one.level, one.key): one for one in (*found.sites, *found.regions, found.network)}
    )


def _outlook(pin: Pin, scope: Scope, question: PlanQuery) -> pd.DataFrame | None:
    scene, found = scene_of(pin, scope, question), _answers(pin, scope, question)
    extent = _answer(queries.extent, MEASURED, pin, scope)
    if scene is None or found is None or extent is None:
        return None
    rows = plan_frame(list(found.values()), _leads(catalogue(pin, scope)), extent.now)
    answers = [found[level, key] for level, key in zip(rows["level"], rows["key"], strict=True)]
    stamps = pd.DatetimeIndex([])
    if answers:
        stamps = pd.date_range(answers[0].start, answers[0].horizon, freq=ODDS_STEP * WEEK)
    year = scene.demand.until(YEAR_WEEKS)
    over = dict(zip(year.keys, over_share(year, scene.steps, scene.policy)[:, -1], strict=True))
    return rows.assign(
        over_in_year=rows["key"].where(rows["level"] == "site").map(over).astype(float),
        horizon=[one.horizon for one in answers],
        within_90=[one.probability_by(extent.now + SOON) for one in answers],
        odds=[one.probabilities(stamps).tolist() if one.answer != "refused" else None for one in answers],
    )


def _leads(sites: pd.DataFrame) -> dict[str, float]:
    """Lead time by site, the longest of its sites by region, and of the network."""
    known = sites.assign(lead=sites["lead_time_days"].astype(float).fillna(USUAL_LEAD_DAYS))
    by_region = known.groupby("region_id")["lead"].max()
    return {
        GLOBAL_KEY: float(known["lead"].max()),
        **by_region.to_dict(),
        **dict(zip(known["site_id"], known["lead"], strict=True)),
    }


def _fan(pin: Pin, scope: Scope, question: PlanQuery, level: Level, key: str) -> Fan | None:
    scene, answers = scene_of(pin, scope, question), _answers(pin, scope, question)
    if scene is None or answers is None or (level, key) not in answers:
        return None
    groups = {
        site: GLOBAL_KEY if level == "global" else site if level == "site" else region
        for site, region in scene.regions.items()
    }
    members = [site for site in scene.demand.keys if groups.get(site) == key]
    if not members:
        return None
    own = scene.demand.only(members)
    demand = own if level == "site" else own.summed(groups, scene.diversity)
    ends = pd.DatetimeIndex(demand.weeks + WEEK)
    room = usable_capacity(scene.steps, own, scene.policy)
    columns = {name: demand.quantile(q)[0] for name, q in FAN.items()}
    answer = answers[level, key]
    # A group that is refused has parts without a forecast or capacity: the limit of the rest is not its limit.
    unknown = np.isnan(room).all(axis=0) | (answer.answer == "refused")
    columns |= {
        "room_gbps": np.where(unknown, np.nan, np.nansum(room, axis=0)),
        "probability": answer.probabilities(ends),
    }
    return Fan(answer, pd.DataFrame({"ts": ends, **columns}), _steps(scene, members))


def _steps(scene: PlanCase, members: list[str]) -> pd.DataFrame:
    """effective_from, capacity_gbps, status: what is declared for some sites together, as steps in time; planned where
    any part then in force is.
    """
    held = scene.steps
    planned = (held["status"] == "planned").fillna(False).astype(bool)
    chosen = (
        held["site_id"].isin(members)
        & (held["direction"] == scene.demand.direction)
        & (scene.policy.planned | ~planned)
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
    scene = scene_of(pin, scope, question)
    if scene is None:
        return None
    near = scene.demand.until(FAILURE_WEEKS)
    capacity = weekly_capacity(scene.steps, near.keys, near.direction, near.weeks, planned=scene.policy.planned)
    found = single_failures(near, capacity, scene.policy.shares(near.keys), scene.failover, ceiling=scene.ceiling)
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
