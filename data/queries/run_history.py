"""Is the forecast getting worse? One run against another, the error from run to run, and what earlier runs published
against what has come since.
"""

from __future__ import annotations

import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.evaluation import DRAWN, hours_of, in_order
from data.queries.lake_extent import extent
from data.queries.reads import reads
from data.schema import Series

# How many days after each run are held against what came: the same lead for all, so that an old run is not judged by
# weeks and a new one by hours.
LEAD_DAYS = 7
ONE_SERIES = "level = $level AND key = $key AND metric = $metric"


@reads("scores", "runs")
def drift(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """number, started, horizon, value, origins: the backtest error (MASE) of the drawn model in every run that is kept,
    the oldest first.
    """
    sql = f"""
        SELECT r.number, r.started, s.horizon, s.value, s.origins FROM scores s JOIN runs r USING (run_id)
        WHERE {ONE_SERIES} AND s.model = '{DRAWN}' AND s.score = 'mase' ORDER BY r.number, {in_order()}"""
    return query(pin, sql, ["scores", "runs"], scope=scope, parameters=series._asdict())


@reads("forecasts", "runs", "telemetry_1h", extent)
def hindsight(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """number, started, hours, wape, coverage_80, coverage_95: what each kept run published for the week after it,
    against what came in it.

    Where the week is not over, what there is of it; `hours` counts those that came. A run without an hour to its name
    yet is left out.
    """
    held = extent(pin, EVERYTHING)
    until = pd.Timestamp(0, tz="UTC") if held is None else held.now
    first = query(pin, "SELECT min(telemetry_until) AS ts FROM runs", ["runs"])["ts"][0]
    sql = f"""
        SELECT r.number, r.started, count(*) AS hours, sum(abs(h.value - f.yhat)) / nullif(sum(h.value), 0) AS wape,
               avg((h.value BETWEEN f.q10 AND f.q90)::INT) AS coverage_80, avg((h.value BETWEEN f.q025 AND f.q975)::INT) AS coverage_95
        FROM (SELECT * FROM forecasts WHERE {ONE_SERIES}) f JOIN runs r USING (run_id) JOIN ({hours_of(series)}) h ON h.ts = f.ts
        WHERE f.ts >= r.telemetry_until AND f.ts < r.telemetry_until + INTERVAL {LEAD_DAYS} DAY AND f.ts + INTERVAL 1 HOUR <= $until AND h.value IS NOT NULL
        GROUP BY r.number, r.started ORDER BY r.number"""
    span = None if pd.isna(first) or first >= until else (first, until)
    return query(
        pin,
        sql,
        ["forecasts", "runs", "telemetry_1h"],
        scope=scope,
        span=span,
        parameters={**series._asdict(), "until": until},
    )


@reads("scores", "runs")
def run_against_run(pin: Pin, scope: Scope, run: int, against: int, series: Series) -> pd.DataFrame:
    """model, horizon, score, value, other_value of a series in two runs, by their numbers; mean, other_mean over the
    series that both scored, `series` of them.

    Null where one of the runs has no such score. Ordered by horizon and score, the lowest value first.
    """
    both = " FULL JOIN ".join(
        f"(SELECT s.* FROM scores s JOIN runs r USING (run_id) WHERE r.number = ${name}) {alias}"
        for name, alias in (("run", "a"), ("against", "b"))
    )
    mine = " AND ".join(f"{column} = ${column}" for column in Series._fields)
    sql = f"""
        SELECT model, horizon, score, any_value(value) FILTER ({mine}) AS value, any_value(other) FILTER ({mine}) AS other_value,
               avg(value) FILTER (paired) AS mean, avg(other) FILTER (paired) AS other_mean, count(*) FILTER (paired) AS series
        FROM (SELECT level, key, metric, model, horizon, score, a.value, b.value AS other, a.value IS NOT NULL AND b.value IS NOT NULL AS paired
              FROM {both} USING (level, key, metric, model, horizon, score))
        GROUP BY model, horizon, score HAVING bool_or({mine}) ORDER BY {in_order()}, horizon, score, value, model"""
    numbers = {"run": run, "against": against}
    named = query(pin, "SELECT run_id FROM runs WHERE number IN ($run, $against)", ["runs"], parameters=numbers)
    return query(
        pin,
        sql,
        ["scores", "runs"],
        scope=scope,
        partitions={"run_id": tuple(named["run_id"])},
        parameters={**series._asdict(), **numbers},
    )
