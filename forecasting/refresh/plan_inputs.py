"""What a plan is made from, read from the newest run of a lake; and where a plan is kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from data.lake.query import Scope
from data.lake.tables import Lake
from data.queries import Run, latest_run, plan_tables, sites_now
from data.schema import DIRECTION_OF, LICENSED_ENGINE, Direction
from data.schema.errors import LakeError
from data.store import PlanNote, Plans, open_store, store_url
from forecasting.planning import Plan, PlanCase, build_case
from forecasting.planning.augments import AugmentPlan
from forecasting.planning.capacity import Policy
from forecasting.planning.order_by import OrderPolicy
from forecasting.planning.plan import plan_to_save


class PlanInputs(NamedTuple):
    """The cases of the newest run by direction, under one policy. `now` is the end of the telemetry."""

    lake: str
    run: Run
    now: pd.Timestamp
    sites: pd.DataFrame
    cases: dict[Direction, PlanCase]


def plan_inputs(url: str, policy: Policy, ordering: OrderPolicy | None = None) -> PlanInputs:
    """Read them; raises LakeError where the lake has no run, or one whose engine draws no futures. Series without
    futures are refused, with a reason each.
    """
    lake, everyone = Lake(url), Scope()
    pin = lake.pin()
    run = latest_run(pin, everyone)
    tables_by_direction = {
        direction: tables
        for direction in DIRECTION_OF.values()
        if (tables := plan_tables(pin, everyone, direction, policy.statistic)) is not None
    }
    if run is None or not tables_by_direction:
        raise LakeError(
            f"The lake {lake.url} has no published run to plan from.",
            cause="nothing was forecast yet, or --lake names another folder",
            remedy="publish one with `python -m forecasting refresh`",
        )
    if not any(tables.draws_futures for tables in tables_by_direction.values()):
        raise LakeError(
            f"Run {run.number} of the lake {lake.url} has no joint futures of coming weeks to plan from.",
            cause=f"the engine {run.engine} draws none",
            remedy=f"publish a run with `python -m forecasting refresh --engine {LICENSED_ENGINE}`",
        )
    health = sites_now(pin, everyone)
    cases = {
        direction: build_case(direction, policy.statistic, tables, health)
        for direction, tables in tables_by_direction.items()
        if tables.draws_futures
    }
    first = next(iter(tables_by_direction.values()))
    return PlanInputs(
        lake.url,
        run,
        first.now,
        first.sites,
        {
            direction: replace(case, policy=policy, ordering=ordering or case.ordering)
            for direction, case in cases.items()
            if case is not None
        },
    )


def keep_plan(
    inputs: PlanInputs,
    plan: Plan,
    augments: Mapping[Direction, AugmentPlan],
    policy: Mapping[str, Any],
    name: str,
    author: str = "",
) -> PlanNote:
    """Keep a plan in the lake's store, to be scored by what comes, with what its augment plans buy."""
    frames = plan_to_save(inputs.cases.values(), plan, augments)
    with closing(open_store(store_url(inputs.lake))) as store:
        return Plans(store).save(
            name,
            frames.rows,
            frames.peaks,
            policy,
            frames.purchases,
            lake=inputs.lake,
            author=author,
            run_id=inputs.run.run_id,
        )
