"""Saved plans and how they did: the list is read anew each time, each plan's card is kept for the tables that it is scored by."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from app.cached import MEASURED, Pin, Scope, _answer, catalogue, extent, runs, weekly
from app.cached.planning import Question, _monday
from app.cached.stores import store_of
from data.duck import ask
from data.schema import DIRECTION_OF
from data.store import PlanNote, Plans, SavedPlan
from forecasting.commands.plan import augment_plans, bought
from forecasting.commands.policy_file import parsed
from forecasting.planning.capacity import LIMIT
from forecasting.planning.demand import WEEK, Statistic
from forecasting.planning.network_plan import network_plan
from forecasting.planning.scorecard import calibration, measured_values, outcomes, peak_hits, rooms
from forecasting.refresh.plan_inputs import keep_plan, plan_inputs

__all__ = ["Card", "PlanNote", "calibration", "card", "first_answers", "listed", "save"]

# Of so many newest runs the number is told.
RUNS_NAMED = 1000


class Card(NamedTuple):
    """A plan against what came. outcomes, hits: as forecasting.planning.scorecard gives them. today: end of the telemetry that the plan was made on; weeks:
    planned weeks that are over; run: the number of its run, None where that is not known.
    """

    note: PlanNote
    outcomes: pd.DataFrame
    hits: pd.DataFrame
    today: pd.Timestamp
    start: pd.Timestamp | None
    weeks: int
    run: int | None


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


def save(pin: Pin, question: Question, name: str, author: str) -> PlanNote:
    """Keep the plan of the newest run, both directions, under the question's policy without its changes.

    ScenarioError where the name cannot be kept, LakeError where there is nothing to plan from.
    """
    under = parsed({"statistic": question.statistic, "limit": question.limit, "planned": question.planned}, Path())
    inputs = plan_inputs(pin.url, under.policy.statistic)
    found = network_plan(list(inputs.directions.values()), inputs.steps, inputs.sites, under.policy, under.ordering, inputs.today)
    return keep_plan(inputs, found, bought(augment_plans(inputs, under)), under.said, name, author)


def _card(pin: Pin, scope: Scope, plan_id: str) -> Card:
    with store_of(pin) as store:
        saved = Plans(store).get(plan_id)
    made_on = runs(pin, RUNS_NAMED, scope).set_index("run_id").reindex([saved.note.run_id]).iloc[0]
    today = pd.Timestamp(saved.note.made_at) if pd.isna(made_on["telemetry_until"]) else made_on["telemetry_until"]
    run = None if pd.isna(made_on["number"]) else int(made_on["number"])
    rows, peaks = (_seen(frame, scope) for frame in (saved.rows, saved.peaks))
    held = extent(pin, scope)
    if peaks.empty or held is None:
        return Card(saved.note, rows, peaks, today, None, 0, run)
    start, horizon = peaks["week"].min(), peaks["week"].max() + WEEK
    measured = _measured(pin, scope, saved, start, min(_monday(held.now), horizon))
    room = _rooms(pin, scope, saved, rows, pd.date_range(start, horizon - WEEK, freq=WEEK, unit="us"))
    weeks = max(0, int((min(_monday(held.now), horizon) - start) / WEEK))
    return Card(saved.note, outcomes(rows, measured, room, start, horizon, today), peak_hits(peaks, measured), today, start, weeks, run)


def _seen(frame: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """What the viewer may see: under a narrower scope the sites of it alone, for a region is more than they."""
    return frame if scope.sites is None else frame[(frame["level"] == "site") & frame["key"].isin(scope.sites)].reset_index(drop=True)


def _measured(pin: Pin, scope: Scope, saved: SavedPlan, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    statistic: Statistic = "p95" if saved.note.policy.get("statistic") == "p95" else "peak"
    return measured_values(weekly(pin, tuple(DIRECTION_OF), start, max(start, end), scope), statistic, end)


def _rooms(pin: Pin, scope: Scope, saved: SavedPlan, rows: pd.DataFrame, weeks: pd.DatetimeIndex) -> pd.DataFrame:
    steps, policy = ask(pin, "SELECT * FROM capacity", ["capacity"], scope=scope), saved.note.policy
    return rooms(steps, catalogue(pin, scope), rows, weeks, float(policy.get("limit", LIMIT)), policy.get("limits") or {})
