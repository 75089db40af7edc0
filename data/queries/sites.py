"""Every site as it is measured now: what it carries, how full it is, and how its viewers fare."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from data.lake.capacity import capacity_in_force
from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.forecasts import latest_run
from data.queries.lake_state import HOUR, Extent, extent, freshness, last_hour
from data.queries.network import catalogue
from data.queries.reads import reads
from data.queries.site_health import SILENT_SECONDS, SiteIndicators, assess, incident, silence

WEEK_HOURS = 168
Week = np.ndarray[Any, np.dtype[np.float64]]
PEAK_DAYS = 28
PEAK_QUANTILES = {"low": "q10", "mid": "q50", "high": "q90"}
NOW_METRICS = (
    "egress_gbps",
    "ingest_gbps",
    "viewers",
    "rebuffer_ratio",
    "startup_seconds",
    "playback_failure_ratio",
    "ingest_starved_ratio",
)


@reads("telemetry_1h", "capacity", "forecasts", extent, catalogue, latest_run, freshness)
def sites_now(pin: Pin, scope: Scope) -> pd.DataFrame:
    """One row a site; empty where the lake holds no telemetry. All null where not known.

    The catalogue's columns; the newest hourly mean, of the last 3 hours, of egress_gbps, ingest_gbps (Gbps), viewers
    and the quality metrics; egress_capacity_gbps, ingest_capacity_gbps installed now; egress_utilisation,
    ingest_utilisation and utilisation (the higher); peak_7d_utilisation (highest hourly P95 over the capacity of now);
    egress_week_ago; completeness_24h, completeness_7d; age_seconds; week (168 hourly means of egress, NaN for missing);
    peak_28d_low, _mid, _high (Gbps: highest q10, q50, q90 of the next 28 days); state and reason, as far as they are
    measured, and of these incident and silence, sentences (data/queries/site_health.py). When a site runs out is not
    measured: a plan says it.
    """
    held = extent(pin, EVERYTHING)
    if held is None:
        return catalogue(pin, scope).head(0)
    sites = catalogue(pin, scope).set_index("site_id", drop=False)
    sites = (
        sites.join(_measured(pin, held, scope))
        .join(_capacity(pin, held.now, scope))
        .join(_expected(pin, held.now, scope))
    )
    # A site that was never heard of has a week too, of missing hours.
    sites["week"] = [_week(hours) for hours in sites.pop("hours")]
    sites["age_seconds"] = freshness(pin, scope).set_index("site_id")["age_seconds"]
    sites = _with_utilisation(sites)
    indicators = [_indicators(row) for row in sites.to_dict("records")]
    states = [assess(site) for site in indicators]
    sites["state"], sites["reason"] = [one.state for one in states], [one.reason for one in states]
    sites["incident"] = pd.Series([incident(site) for site in indicators], sites.index, dtype=object)
    sites["silence"] = pd.Series([silence(site) for site in indicators], sites.index, dtype=object)
    return sites.reset_index(drop=True)


def _measured(pin: Pin, held: Extent, scope: Scope) -> pd.DataFrame:
    """By site: the newest values, the value a week before, the last week by hour, completeness, and the week's peaks in
    Gbps.
    """
    newest = last_hour(held.now)
    start, recent = newest - (WEEK_HOURS - 1) * HOUR, held.now - pd.Timedelta(seconds=SILENT_SECONDS)
    values = ", ".join(f"arg_max({m}_mean, ts) FILTER (ts >= $recent) AS {m}" for m in NOW_METRICS)
    sql = f"""
        WITH mine AS (SELECT * FROM telemetry_1h WHERE level = 'site' AND ts >= $before AND ts <= $newest),
        told AS (SELECT key, {values}, max(ts) FILTER (ts >= $recent AND egress_gbps_mean IS NOT NULL) AS at,
                        max(egress_gbps_p95) FILTER (ts >= $start) AS egress_peak, max(ingest_gbps_p95) FILTER (ts >= $start) AS ingest_peak,
                        sum(completeness) FILTER (ts > $newest - INTERVAL 24 HOUR) AS day, sum(completeness) FILTER (ts >= $start) AS seven,
                        list({{'hour': (epoch_us(ts) - epoch_us($start)) // 3600000000, 'value': egress_gbps_mean}})
                          FILTER (ts >= $start AND egress_gbps_mean IS NOT NULL) AS hours
                 FROM mine GROUP BY key)
        SELECT told.*, ago.egress_gbps_mean AS egress_week_ago FROM told LEFT JOIN mine ago ON ago.key = told.key AND ago.ts = told.at - INTERVAL 168 HOUR"""
    span = (start - (WEEK_HOURS + 3) * HOUR, newest + HOUR)
    parameters = {"before": span[0], "newest": newest, "start": start, "recent": recent}
    found = query(pin, sql, ["telemetry_1h"], scope=scope, span=span, parameters=parameters).set_index("key")
    # The newest hour counts as far as it has gone.
    part = 1 - (held.now - newest) / pd.Timedelta(hours=1)
    found["completeness_24h"] = (found.pop("day") / (24 - part)).clip(upper=1.0)
    found["completeness_7d"] = (found.pop("seven") / (WEEK_HOURS - part)).clip(upper=1.0)
    return found.drop(columns="at")


def _week(hours: Any) -> Week:
    week = np.full(WEEK_HOURS, np.nan)
    for hour in hours if isinstance(hours, np.ndarray) else []:
        week[hour["hour"]] = hour["value"]
    return week


def _capacity(pin: Pin, now: pd.Timestamp, scope: Scope) -> pd.DataFrame:
    """By site: capacity of each direction in force now, null where undeclared."""
    sql = f"""SELECT site_id, max(capacity_gbps) FILTER (direction = 'egress') AS egress_capacity_gbps,
                     max(capacity_gbps) FILTER (direction = 'ingest') AS ingest_capacity_gbps
              FROM ({capacity_in_force(now)}) GROUP BY site_id"""
    return query(pin, sql, ["capacity"], scope=scope).set_index("site_id").astype(float)


def _expected(pin: Pin, now: pd.Timestamp, scope: Scope) -> pd.DataFrame:
    """By site, of the newest run: the highest hours of egress of the next 28 days."""
    run = latest_run(pin, EVERYTHING)
    peaks = ", ".join(f"max({q}) AS peak_28d_{word}" for word, q in PEAK_QUANTILES.items())
    sql = f"""SELECT key AS site_id, {peaks} FROM forecasts
              WHERE run_id = $run AND level = 'site' AND metric = 'egress_gbps' AND ts >= $now
                AND ts < $now::TIMESTAMPTZ + INTERVAL {PEAK_DAYS} DAY GROUP BY key"""
    parameters = {"run": run.run_id if run else "", "now": now}
    newest = {"run_id": (parameters["run"],)}
    return query(pin, sql, ["forecasts"], scope=scope, partitions=newest, parameters=parameters).set_index("site_id")


def _with_utilisation(sites: pd.DataFrame) -> pd.DataFrame:
    for direction in ("egress", "ingest"):
        capacity = sites[f"{direction}_capacity_gbps"].where(sites[f"{direction}_capacity_gbps"] > 0)
        sites[f"{direction}_utilisation"] = sites[f"{direction}_gbps"] / capacity
        sites[f"_{direction}_peak"] = sites.pop(f"{direction}_peak") / capacity
    sites["utilisation"] = sites[["egress_utilisation", "ingest_utilisation"]].max(axis=1)
    sites["peak_7d_utilisation"] = sites[["_egress_peak", "_ingest_peak"]].max(axis=1)
    return sites.drop(columns=["_egress_peak", "_ingest_peak"])


def _indicators(row: dict[Any, Any]) -> SiteIndicators:
    """What the rules of data/queries/site_health.py look at, from a row of `sites_now`."""
    names = set(SiteIndicators.__dataclass_fields__) - {"peak_utilisation"}
    peaks = [row[name] for name in ("peak_7d_utilisation", "utilisation") if pd.notna(row[name])]
    return SiteIndicators(
        **{name: _number(row[name]) for name in names}, peak_utilisation=_number(max(peaks, default=None))
    )


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
