"""Saved plans and how they did: the list is read anew each time, each plan's card is kept for the tables that it is
scored by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import pandas as pd

from app.cached import Pin, Scope, SiteFilter, capacity, catalogue, extent, latest_run, memoize, runs, weekly
from app.cached.augmenting import AugmentRequest, augment_plan
from app.cached.planning import PlanQuery, published_case
from app.cached.stores import store_of
from data import queries
from data.queries import reads
from data.schema import DIRECTION_OF, UTILISATION_LIMIT, Direction, week_start
from data.schema.errors import LakeError
from data.store import PlanNote, Plans, SavedPlan
from forecasting.planning import PlanCase, solve
from forecasting.planning.augments import with_risk_per_usd
from forecasting.planning.capacity import Policy
from forecasting.planning.demand import WEEK, Statistic
from forecasting.planning.order_by import OrderPolicy
from forecasting.planning.plan import plan_to_save
from forecasting.planning.scorecard import (
    Replay,
    calibration,
    measured_values,
    peak_hits,
    replay,
    score_plan,
    usable_by_week,
)

__all__ = [
    "Card",
    "PlanNote",
    "Replay",
    "SavedNote",
    "calibration",
    "card",
    "delete",
    "first_answers",
    "listed",
    "past_replay",
    "save",
]

# Of so many newest runs the number is told.
RUNS_NAMED = 1000


class Card(NamedTuple):
    """A plan against what came. outcomes, hits: as forecasting.planning.scorecard gives them. today: end of the
    telemetry that the plan was made on; weeks: planned weeks that are over; run: the number of its run, None where that
    is not known. purchases: as augments.all_purchases; none where they were not asked for, which the policy of the note
    says.
    """

    note: PlanNote
    outcomes: pd.DataFrame
    hits: pd.DataFrame
    today: pd.Timestamp
    start: pd.Timestamp | None
    weeks: int
    run: int | None
    purchases: pd.DataFrame


class SavedNote(NamedTuple):
    """A plan that was kept, how many purchases with it, and why there are none in a direction whose search found none
    in time.
    """

    note: PlanNote
    purchases: int
    refused: dict[Direction, str]


def listed(pin: Pin) -> list[PlanNote]:
    """The plans that are kept of this lake, newest first; StoreError where the store cannot be read."""
    with store_of(pin) as store:
        return Plans(store).listed(pin.url)


@memoize
@reads(queries.runs, queries.extent, queries.weekly, queries.catalogue, queries.capacity)
def card(pin: Pin, scope: Scope, plan_id: str) -> Card:
    """One plan against what came; StoreError where there is none."""
    with store_of(pin) as store:
        saved = Plans(store).get(plan_id)
    made_on = runs(pin, scope, RUNS_NAMED).set_index("run_id").reindex([saved.note.run_id]).iloc[0]
    today = pd.Timestamp(saved.note.made_at) if pd.isna(made_on["telemetry_until"]) else made_on["telemetry_until"]
    run = None if pd.isna(made_on["number"]) else int(made_on["number"])
    rows, peaks, purchases = (_in_scope(frame, scope) for frame in (saved.rows, saved.peaks, saved.purchases))
    purchases = with_risk_per_usd(purchases)
    reach = extent(pin, scope)
    if peaks.empty or reach is None:
        return Card(saved.note, rows, peaks, today, None, 0, run, purchases)
    start, horizon = peaks["week"].min(), peaks["week"].max() + WEEK
    end = min(week_start(reach.now), horizon)
    measured = _measured(pin, scope, saved, start, end)
    weeks = pd.date_range(start, horizon, freq=WEEK, inclusive="left", unit="us")
    scored = score_plan(rows, measured, _usable(pin, scope, saved, rows, weeks), start, horizon, today)
    return Card(saved.note, scored, peak_hits(peaks, measured), today, start, int((weeks < end).sum()), run, purchases)


@memoize
@reads(queries.backtest_weeks, queries.capacity)
def past_replay(pin: Pin, scope: Scope, direction: Direction, limit: float, sites: SiteFilter) -> Replay | None:
    """The backtest that reaches furthest against what came, of the sites of a filter; None where no whole week has come
    since, or nothing was backtested.
    """
    weeks = queries.backtest_weeks(pin, scope, f"{direction}_gbps")
    if sites is not None:
        weeks = weeks[weeks["key"].isin(sites)]
    return replay(weeks, capacity(pin, scope), direction, limit)


def delete(pin: Pin, plan_id: str) -> None:
    """Forget a saved plan, for good; StoreError where there is none."""
    with store_of(pin) as store:
        Plans(store).delete(plan_id)


def first_answers(moment: pd.Timestamp) -> pd.Timestamp:
    """When the first week of a plan made at a moment is over."""
    return week_start(moment) + WEEK


def save(
    pin: Pin,
    scope: Scope,
    query: PlanQuery,
    name: str,
    author: str,
    requests: Mapping[Direction, AugmentRequest] | None = None,
) -> SavedNote:
    """Keep the plan of the newest run, both directions, under the query's policy without its changes; with `requests`,
    with the cheapest purchases too.

    ScenarioError where the name cannot be kept, LakeError where there is nothing to plan from, SettingError for a
    request that cannot be.
    """
    policy = Policy(query.statistic, query.limit, planned=query.planned)
    ordering = OrderPolicy(times=query.lead_factor, plus_days=query.lead_plus_days)
    run = latest_run(pin, scope)
    cases = {
        direction: replace(case, policy=policy, ordering=ordering)
        for direction in DIRECTION_OF.values()
        if (case := published_case(pin, scope, direction, query.statistic)) is not None
    }
    if run is None or not any(case.demand.keys for case in cases.values()):
        raise LakeError(
            f"The lake {pin.url} has no joint futures of coming weeks to plan from.",
            cause="nothing was forecast yet, or the newest run's engine draws none",
            remedy="publish a run with `python -m forecasting refresh`",
        )
    said: dict[str, Any] = {**policy.as_dict(), "ordering": asdict(ordering), "augments": {}}
    plan, purchases = solve(*cases.values()), {}
    if requests:
        usual = query._replace(changes="")
        found = {
            direction: augment_plan(pin, scope, usual._replace(direction=direction), request)
            for direction, request in requests.items()
            if direction in cases and _has_capacity(cases[direction])
        }
        purchases = {direction: each for direction, each in found.items() if each is not None}
        said["augments"] = _request_in_words(next(iter(requests.values())))
    frames = plan_to_save(cases.values(), plan, purchases)
    with store_of(pin) as store:
        note = Plans(store).save(
            name, frames.rows, frames.peaks, said, frames.purchases, lake=pin.url, author=author, run_id=run.run_id
        )
    refused = {direction: each.refused for direction, each in purchases.items() if each.refused}
    return SavedNote(note, sum(len(each.purchases) for each in purchases.values()), refused)


def _has_capacity(case: PlanCase) -> bool:
    """Whether any site with futures declares capacity, so that there is something to keep."""
    declared = case.steps.loc[case.steps["direction"] == case.direction, "site_id"]
    return not set(declared).isdisjoint(case.demand.keys)


def _request_in_words(request: AugmentRequest) -> dict[str, Any]:
    """A request in plain values, as a store keeps it."""
    budget = {} if request.budget_usd is None else {"budget_usd": request.budget_usd}
    return {"months": request.months, "q": request.q, "n_minus_1": request.n_minus_1, **budget}


def _in_scope(frame: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """What the viewer may see: under a narrower scope the sites of it alone, for a region is more than they."""
    if scope.sites is None:
        return frame
    if "level" not in frame:
        return frame[frame["site_id"].isin(scope.sites)].reset_index(drop=True)
    return frame[(frame["level"] == "site") & frame["key"].isin(scope.sites)].reset_index(drop=True)


def _measured(pin: Pin, scope: Scope, saved: SavedPlan, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    statistic: Statistic = "p95" if saved.note.policy.get("statistic") == "p95" else "peak"
    return measured_values(weekly(pin, scope, tuple(DIRECTION_OF), start, max(start, end)), statistic, end)


def _usable(pin: Pin, scope: Scope, saved: SavedPlan, rows: pd.DataFrame, weeks: pd.DatetimeIndex) -> pd.DataFrame:
    policy = saved.note.policy
    limit, limits = float(policy.get("limit", UTILISATION_LIMIT)), policy.get("limits") or {}
    return usable_by_week(capacity(pin, scope), catalogue(pin, scope), rows, weeks, limit, limits)
