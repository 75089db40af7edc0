"""The sites with the run-out dates that the plan has for them, where the newest run holds the futures that a plan is
made of.
"""

from __future__ import annotations

import pandas as pd

from app import cached
from app.cached import Direction, Scope, planning
from app.cached.planning import PlanQuery
from app.charts.map_marks import FORECAST_RUNOUT, PLAN_RUNOUT, RunoutScale
from app.charts.planned_runout import with_plan
from app.components.header import Frame

# The policy that is asked where nobody chooses one, of the directions that a site may run out in.
LIMIT = 0.8
DIRECTIONS: tuple[Direction, ...] = ("egress", "ingest")


def planned_sites(frame: Frame, scope: Scope) -> tuple[pd.DataFrame, RunoutScale]:
    """A frame of sites_now in `scope`, and the words and steps for its run-out: the plan's, else the hourly
    forecast's.
    """
    sites = cached.sites_now(frame.pin, scope)
    questions = [PlanQuery(direction, "peak", LIMIT, planned=True) for direction in DIRECTIONS]
    found = [
        rows for question in questions if (rows := planning.run_out_table(frame.pin, question, frame.scope)) is not None
    ]
    if not found:
        return sites, FORECAST_RUNOUT
    return with_plan(sites, pd.concat(found, ignore_index=True), planning.NO_CAPACITY), PLAN_RUNOUT
