"""The network in a handful of numbers: how much it carries, how full it is, now and over the last week."""

from __future__ import annotations

import pandas as pd

from data.lake.capacity import steps_in_force
from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.lake_state import HOUR, Extent, extent, last_hour
from data.queries.reads import reads
from data.queries.series import history
from data.queries.site_health import SILENT_SECONDS
from data.queries.sites import WEEK_HOURS

HEADLINE_METRICS = ("egress_gbps", "ingest_gbps", "viewers")


@reads("telemetry_1h", "capacity", extent, history)
def headline(pin: Pin, scope: Scope) -> pd.DataFrame:
    """metric (egress_gbps, ingest_gbps, viewers, utilisation), value (newest hour of the last 3), week_ago (168 h
    before), series (the last 168 hourly means, None for missing). Utilisation is the egress of the sites that declare a
    capacity over that capacity.
    """
    held = extent(pin, EVERYTHING)
    if held is None:
        return pd.DataFrame(columns=["metric", "value", "week_ago", "series"])
    newest = last_hour(held.now)
    start = newest - 2 * WEEK_HOURS * HOUR
    hours = history(pin, scope, "global", "all", HEADLINE_METRICS, start, newest + HOUR, "1h").set_index("ts")
    hours = hours.join(_utilisation(pin, start, newest + HOUR, scope))
    columns = {**{m: f"{m}_mean" for m in HEADLINE_METRICS}, "utilisation": "utilisation"}
    return pd.DataFrame([_line(metric, hours[column], held) for metric, column in columns.items()])


def _line(metric: str, hours: pd.Series, held: Extent) -> dict[str, object]:
    known = hours[hours.index >= held.now - pd.Timedelta(seconds=SILENT_SECONDS)].dropna()
    at = None if known.empty else known.index[-1]
    week = [None if pd.isna(value) else float(value) for value in hours.tail(WEEK_HOURS)]
    return {
        "metric": metric,
        "value": float("nan") if at is None else float(known.iloc[-1]),
        "week_ago": float("nan") if at is None else float(hours.get(at - WEEK_HOURS * HOUR, float("nan"))),
        "series": week,
    }


def _utilisation(pin: Pin, start: pd.Timestamp, end: pd.Timestamp, scope: Scope) -> pd.Series:
    """Hourly egress over capacity, of the sites that report the one and declare the other."""
    sql = f"""
        WITH steps AS (SELECT site_id, effective_from, capacity_gbps FROM ({steps_in_force()}) WHERE direction = 'egress')
        SELECT t.ts, sum(t.egress_gbps_mean) / nullif(sum(s.capacity_gbps), 0) AS utilisation
        FROM (SELECT key, ts, egress_gbps_mean FROM telemetry_1h WHERE level = 'site' AND ts >= $start AND ts < $end AND egress_gbps_mean IS NOT NULL) t
        ASOF JOIN steps s ON s.site_id = t.key AND s.effective_from <= t.ts
        GROUP BY t.ts"""
    found = query(
        pin, sql, ["telemetry_1h", "capacity"], scope=scope, span=(start, end), parameters={"start": start, "end": end}
    )
    return found.set_index("ts")["utilisation"]
