"""What a plan is made of, of one direction and weekly statistic: futures of the newest run, capacity, sites, and what the
last week carried.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.forecasts import Futures, Run, futures, latest_run
from data.queries.lake_state import extent
from data.queries.model_inputs import weekly
from data.queries.network import catalogue
from data.queries.reads import reads
from data.schema import LEVELS, Direction, Level

WEEK = pd.Timedelta(weeks=1)


class PlanTables(NamedTuple):
    """futures: by level, None where the run has none. status: key, status, reason, observations (hours) of the sites
    that the run met. capacity, sites: the contract's. weeks: rows of `weekly` of the last whole week. now: the end of
    the telemetry.
    """

    run: Run
    now: pd.Timestamp
    futures: dict[Level, Futures | None]
    status: pd.DataFrame
    capacity: pd.DataFrame
    sites: pd.DataFrame
    weeks: pd.DataFrame


@reads("series_status", "capacity", futures, latest_run, extent, catalogue, weekly)
def plan_tables(pin: Pin, scope: Scope, direction: Direction, statistic: str) -> PlanTables | None:
    """Read them; None where the lake holds no telemetry or no published run."""
    run, held = latest_run(pin, EVERYTHING), extent(pin, EVERYTHING)
    if run is None or held is None:
        return None
    metric = f"{direction}_gbps"
    sql = """SELECT key, status, reason, observations FROM series_status
             WHERE run_id = $run AND level = 'site' AND metric = $metric ORDER BY key"""
    end = held.now.floor("D") - pd.Timedelta(days=held.now.weekday())
    return PlanTables(
        run,
        held.now,
        {level: futures(pin, scope, level, metric, statistic) for level in LEVELS},
        query(
            pin,
            sql,
            ["series_status"],
            scope=scope,
            partitions={"run_id": (run.run_id,)},
            parameters={"run": run.run_id, "metric": metric},
        ),
        query(pin, "SELECT * FROM capacity", ["capacity"], scope=scope),
        catalogue(pin, scope),
        weekly(pin, scope, (metric,), end - WEEK, end),
    )
