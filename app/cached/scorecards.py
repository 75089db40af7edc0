"""Saved plans and how they did: the list is read anew each time, each plan's card is kept for the tables that it is
scored by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from app.cached import MEASURED, Pin, Scope, _answer, catalogue, extent, runs, weekly
from app.cached.augmenting import PLAN_SECONDS, AugmentRequest
from app.cached.planning import PlanQuery, _monday
from app.cached.stores import store_of
from data.lake.query import query
from data.schema import DIRECTION_OF, UTILISATION_LIMIT, Direction
from data.store import PlanNote, Plans, SavedPlan
from forecasting.cli.plan import augment_plans
from forecasting.cli.policy_file import PlanPolicy, parsed
from forecasting.planning import solve
from forecasting.planning.catalogue import STEP_COLUMNS, at_every_site
from forecasting.planning.demand import WEEK, Statistic
from forecasting.planning.scorecard import calibration, measured_values, peak_hits, score_plan, usable_by_week
from forecasting.refresh.plan_inputs import keep_plan, plan_inputs

__all__ = ["Card", "Kept", "PlanNote", "calibration", "card", "first_answers", "listed", "save"]

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


class Kept(NamedTuple):
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


def card(pin: Pin, plan_id: str, scope: Scope) -> Card:
    """One plan against what came; StoreError where there is none."""
    return _answer(_card, (*MEASURED, "runs"), pin, scope, plan_id=plan_id)


def first_answers(moment: pd.Timestamp) -> pd.Timestamp:
    """When the first week of a plan made at a moment is over."""
    return _monday(moment) + WEEK


def save(
    pin: Pin, question: PlanQuery, name: str, author: str, wishes: Mapping[Direction, AugmentRequest] | None = None
) -> Kept:
    """Keep the plan of the newest run, both directions, under the question's policy without its changes; with `wishes`,
    with the cheapest purchases too.

    ScenarioError where the name cannot be kept, LakeError where there is nothing to plan from, SettingError for a wish
    that cannot be.
    """
    under = parsed({"statistic": question.statistic, "limit": question.limit, "planned": question.planned}, Path())
    inputs = plan_inputs(pin.url, under.policy, under.ordering)
    if wishes:
        under = _with_wishes(under, wishes, inputs.sites)
    found = solve(*inputs.cases.values())
    augments = augment_plans(inputs, under)
    refused = {direction: one.refused for direction, one in augments.items() if one.refused}
    return Kept(
        keep_plan(inputs, found, augments, under.said, name, author),
        sum(len(one.purchases) for one in augments.values()),
        refused,
    )


def _with_wishes(under: PlanPolicy, wishes: Mapping[Direction, AugmentRequest], sites: pd.DataFrame) -> PlanPolicy:
    """The policy with what may be bought in each direction, all else that is wished being the same."""
    wish = next(iter(wishes.values()))
    steps = {
        direction: pd.DataFrame(one.steps, columns=STEP_COLUMNS).astype(float) for direction, one in wishes.items()
    }
    offered = [at_every_site(one, sites).assign(direction=direction) for direction, one in steps.items()]
    request = replace(
        under.request,
        months=wish.months,
        q=wish.q,
        n_minus_1=wish.n_minus_1,
        budget_usd=wish.budget_usd,
        seconds=PLAN_SECONDS,
    )
    budget = {} if wish.budget_usd is None else {"budget_usd": wish.budget_usd}
    said = {"months": wish.months, "q": wish.q, "n_minus_1": wish.n_minus_1, **budget}
    return replace(
        under, catalogue=pd.concat(offered, ignore_index=True), request=request, said={**under.said, "augments": said}
    )


def _card(pin: Pin, scope: Scope, plan_id: str) -> Card:
    with store_of(pin) as store:
        saved = Plans(store).get(plan_id)
    made_on = runs(pin, scope, RUNS_NAMED).set_index("run_id").reindex([saved.note.run_id]).iloc[0]
    today = pd.Timestamp(saved.note.made_at) if pd.isna(made_on["telemetry_until"]) else made_on["telemetry_until"]
    run = None if pd.isna(made_on["number"]) else int(made_on["number"])
    rows, peaks = (_seen(frame, scope) for frame in (saved.rows, saved.peaks))
    bought = saved.purchases if scope.sites is None else saved.purchases[saved.purchases["site_id"].isin(scope.sites)]
    bought = bought.assign(
        risk_per_kusd=1000.0 * bought["risk_removed"] / bought["cost_usd"].where(bought["cost_usd"] > 0.0)
    )
    held = extent(pin, scope)
    if peaks.empty or held is None:
        return Card(saved.note, rows, peaks, today, None, 0, run, bought)
    start, horizon = peaks["week"].min(), peaks["week"].max() + WEEK
    measured = _measured(pin, scope, saved, start, min(_monday(held.now), horizon))
    room = _rooms(pin, scope, saved, rows, pd.date_range(start, horizon - WEEK, freq=WEEK, unit="us"))
    weeks = max(0, int((min(_monday(held.now), horizon) - start) / WEEK))
    return Card(
        saved.note,
        score_plan(rows, measured, room, start, horizon, today),
        peak_hits(peaks, measured),
        today,
        start,
        weeks,
        run,
        bought,
    )


def _seen(frame: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """What the viewer may see: under a narrower scope the sites of it alone, for a region is more than they."""
    return (
        frame
        if scope.sites is None
        else frame[(frame["level"] == "site") & frame["key"].isin(scope.sites)].reset_index(drop=True)
    )


def _measured(pin: Pin, scope: Scope, saved: SavedPlan, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    statistic: Statistic = "p95" if saved.note.policy.get("statistic") == "p95" else "peak"
    return measured_values(weekly(pin, scope, tuple(DIRECTION_OF), start, max(start, end)), statistic, end)


def _rooms(pin: Pin, scope: Scope, saved: SavedPlan, rows: pd.DataFrame, weeks: pd.DatetimeIndex) -> pd.DataFrame:
    steps, policy = query(pin, "SELECT * FROM capacity", ["capacity"], scope=scope), saved.note.policy
    return usable_by_week(
        steps,
        catalogue(pin, scope),
        rows,
        weeks,
        float(policy.get("limit", UTILISATION_LIMIT)),
        policy.get("limits") or {},
    )
