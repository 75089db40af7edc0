"""The network in a handful of numbers: how much it carries, how full it is, how many sites need a look, which runs out
next.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.lake_extent import HOUR, Extent, extent, last_hour
from data.queries.reads import reads
from data.queries.series import history
from data.queries.site_health import RUNOUT_LIMIT, SILENT_SECONDS
from data.queries.sites import WEEK_HOURS, sites_now

HEADLINE_METRICS = ("egress_gbps", "ingest_gbps", "viewers")
SOON = pd.Timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many sites are in which state, which is the busiest, and which runs out next (None or NaT where there is
    none).
    """

    sites: int
    over_80_now: int
    over_80_within_30d: int
    act: int
    watch: int
    busiest_site_id: str | None
    busiest_name: str | None
    busiest_utilisation: float | None
    next_runout_site_id: str | None
    next_runout_name: str | None
    next_runout_early: pd.Timestamp | None
    next_runout_late: pd.Timestamp | None


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
    sql = """
        WITH steps AS (SELECT site_id, effective_from, capacity_gbps FROM capacity WHERE direction = 'egress' AND status IS DISTINCT FROM 'planned')
        SELECT t.ts, sum(t.egress_gbps_mean) / nullif(sum(s.capacity_gbps), 0) AS utilisation
        FROM (SELECT key, ts, egress_gbps_mean FROM telemetry_1h WHERE level = 'site' AND ts >= $start AND ts < $end AND egress_gbps_mean IS NOT NULL) t
        ASOF JOIN steps s ON s.site_id = t.key AND s.effective_from <= t.ts
        GROUP BY t.ts"""
    found = query(
        pin, sql, ["telemetry_1h", "capacity"], scope=scope, span=(start, end), parameters={"start": start, "end": end}
    )
    return found.set_index("ts")["utilisation"]


@reads(extent, sites_now)
def counts(pin: Pin, scope: Scope) -> Counts:
    """How many sites are in which state, from `sites_now`."""
    return count(sites_now(pin, scope), extent(pin, EVERYTHING))


def count(sites: pd.DataFrame, held: Extent | None) -> Counts:
    """Counts over a frame of `sites_now`. The next run-out is the earliest expected one, else the earliest possible
    one.
    """
    if held is None or sites.empty:
        return Counts(len(sites), 0, 0, 0, 0, None, None, None, None, None, None, None)
    over = sites["utilisation"] >= RUNOUT_LIMIT
    soon = (sites["runout"] == "over") | (sites["runout_mid"] <= held.now + SOON)
    busiest = sites.sort_values("utilisation", ascending=False, na_position="last").iloc[0]
    known = pd.notna(busiest["utilisation"])
    ahead = sites[sites["runout"] == "within"].sort_values(["runout_mid", "runout_early"], na_position="last")
    nearest = None if ahead.empty else ahead.iloc[0]
    states = sites["state"].value_counts()
    return Counts(
        len(sites),
        int(over.sum()),
        int(soon.sum()),
        int(states.get("act", 0)),
        int(states.get("watch", 0)),
        busiest["site_id"] if known else None,
        busiest["name"] if known else None,
        float(busiest["utilisation"]) if known else None,
        *((None,) * 4 if nearest is None else nearest[["site_id", "name", "runout_early", "runout_late"]]),
    )
