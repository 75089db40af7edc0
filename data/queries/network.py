"""The network: its sites, each as it is measured now and as it was or is expected to be at one hour, the network in a
handful of numbers, what flows between sites, and what it means to send traffic another way.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from data.lake.capacity_in_force import capacity_in_force, steps_in_force
from data.lake.query import EVERYTHING, Scope, SiteFilter, in_filter, query, reads
from data.lake.tables import Pin
from data.queries.forecasts import latest_run
from data.queries.lake_state import HOUR, Extent, extent, freshness, hour_of, last_hour
from data.queries.series import group_hours
from data.queries.site_health import SILENT_SECONDS, SiteIndicators, assess, incident, silence

# More arcs than this hide the map.
FLOWS_SHOWN = 200
WEEK = pd.Timedelta(days=7)


@reads("sites")
def catalogue(pin: Pin, scope: Scope) -> pd.DataFrame:
    """Every site, in the columns of the table `sites`, ordered by site_id."""
    return query(pin, "SELECT * FROM sites ORDER BY site_id", ["sites"], scope=scope)


@reads("sites")
def search_index(pin: Pin, scope: Scope) -> pd.DataFrame:
    """kind (site, region, city, partner), key, label, detail of everything that a viewer may look for. A city's or
    partner's key is its name.
    """
    sql = """
        SELECT 'site' AS kind, site_id AS key, name AS label, concat_ws(', ', city, country, partner) AS detail FROM sites
        UNION ALL SELECT 'region', region_id, any_value(coalesce(region_name, region_id)), count(*) || ' sites' FROM sites GROUP BY region_id
        UNION ALL SELECT 'city', city, city, concat_ws(', ', any_value(country), count(*) || ' sites') FROM sites WHERE city IS NOT NULL GROUP BY city
        UNION ALL SELECT 'partner', partner, partner, count(*) || ' sites' FROM sites WHERE partner IS NOT NULL GROUP BY partner
        ORDER BY list_position(['site', 'region', 'city', 'partner'], kind), label"""
    index = query(pin, sql, ["sites"], scope=scope)
    index["detail"] = index["detail"].str.replace(r"\b1 sites", "1 site", regex=True)
    return index


@reads("telemetry_1h", "forecasts", "capacity", extent, latest_run, catalogue)
def map_at(pin: Pin, scope: Scope, ts: datetime) -> pd.DataFrame:
    """site_id, egress_gbps, ingest_gbps, utilisation, state, expected, low, high of every site at the hour that holds
    `ts`. The state is of that hour: whether it carried more than the limit, and how viewers fared.

    Past hours are hourly means. From now on the forecast's median stands in, `expected` is true, and low and high bound
    the 80 % interval of egress.
    """
    telemetry = extent(pin, EVERYTHING)
    hour = hour_of(ts)
    ahead = telemetry is not None and hour >= telemetry.now
    traffic = _forecast_at(pin, hour, scope) if ahead else _measured_at(pin, hour, scope)
    sites = (
        catalogue(pin, scope)[["site_id"]]
        .merge(traffic, on="site_id", how="left")
        .merge(_capacity_at(pin, hour, telemetry.now if telemetry else None, scope), on="site_id", how="left")
    )
    for direction in ("egress", "ingest"):
        capacity = sites.pop(f"{direction}_capacity_gbps")
        sites[f"{direction}_utilisation"] = sites[f"{direction}_gbps"] / capacity.where(capacity > 0)
    sites["utilisation"] = sites[["egress_utilisation", "ingest_utilisation"]].max(axis=1)
    sites["state"] = [_state(row) for row in sites.to_dict("records")]
    sites["expected"] = ahead
    return sites[["site_id", "egress_gbps", "ingest_gbps", "utilisation", "state", "expected", "low", "high"]]


QUALITY = ("rebuffer_ratio", "startup_seconds", "playback_failure_ratio", "ingest_starved_ratio")


def _measured_at(pin: Pin, hour: pd.Timestamp, scope: Scope) -> pd.DataFrame:
    columns = ", ".join(f"{m}_mean AS {m}" for m in ("egress_gbps", "ingest_gbps", *QUALITY))
    sql = f"SELECT key AS site_id, {columns}, NULL::DOUBLE AS low, NULL::DOUBLE AS high FROM telemetry_1h WHERE level = 'site' AND ts = $hour"
    return query(pin, sql, ["telemetry_1h"], scope=scope, span=(hour, hour + HOUR), parameters={"hour": hour})


def _forecast_at(pin: Pin, hour: pd.Timestamp, scope: Scope) -> pd.DataFrame:
    run = latest_run(pin, EVERYTHING)
    sql = """
        SELECT key AS site_id, max(q50) FILTER (metric = 'egress_gbps') AS egress_gbps, max(q50) FILTER (metric = 'ingest_gbps') AS ingest_gbps,
               max(q10) FILTER (metric = 'egress_gbps') AS low, max(q90) FILTER (metric = 'egress_gbps') AS high
        FROM forecasts WHERE run_id = $run AND level = 'site' AND ts = $hour GROUP BY key"""
    parameters = {"run": run.run_id if run else "", "hour": hour}
    return query(
        pin, sql, ["forecasts"], scope=scope, partitions={"run_id": (parameters["run"],)}, parameters=parameters
    )


def _capacity_at(pin: Pin, hour: pd.Timestamp, now: pd.Timestamp | None, scope: Scope) -> pd.DataFrame:
    """By site: egress_capacity_gbps and ingest_capacity_gbps in force at an hour, null where undeclared."""
    sql = f"""SELECT site_id, max(capacity_gbps) FILTER (direction = 'egress') AS egress_capacity_gbps,
                     max(capacity_gbps) FILTER (direction = 'ingest') AS ingest_capacity_gbps
              FROM ({capacity_in_force(hour, now)}) GROUP BY site_id"""
    return query(pin, sql, ["capacity"], scope=scope).set_index("site_id").astype(float)


def _state(row: dict[Any, Any]) -> str:
    quality: dict[str, Any] = {name: float(row[name]) for name in QUALITY if pd.notna(row.get(name))}
    full = None if pd.isna(row["utilisation"]) else float(row["utilisation"])
    silent = pd.isna(row["egress_gbps"]) and pd.isna(row["ingest_gbps"])
    return assess(SiteIndicators(**quality, peak_utilisation=full, age_seconds=None if silent else 0.0)).state


@reads("flows_1h", extent)
def flows_at(pin: Pin, scope: Scope, ts: datetime, sites: SiteFilter = None) -> pd.DataFrame:
    """source_site_id, target_site_id, gbps, expected: the largest 200 flows of the hour that holds `ts`, between the sites
    of a filter where there is one.

    Where that hour has none (it lies ahead, or was lost), the same hour of the newest week that has it stands in, and
    `expected` is true.
    """
    telemetry = extent(pin, EVERYTHING)
    hour = hour_of(ts)
    weeks = 0 if telemetry is None else max(0, -((telemetry.now - HOUR - hour) // WEEK))
    for back in (0, weeks, weeks + 1):
        flows = _flows(pin, hour - back * WEEK, scope, sites)
        if len(flows):
            break
    return flows.assign(expected=back > 0)


def _flows(pin: Pin, hour: pd.Timestamp, scope: Scope, sites: SiteFilter) -> pd.DataFrame:
    sql = f"""SELECT source_site_id, target_site_id, gbps FROM flows_1h WHERE ts = $hour AND gbps > 0
                AND {in_filter("source_site_id", sites)} AND {in_filter("target_site_id", sites)}
              ORDER BY gbps DESC, source_site_id, target_site_id LIMIT {FLOWS_SHOWN}"""
    return query(pin, sql, ["flows_1h"], scope=scope, span=(hour, hour + HOUR), parameters={"hour": hour})


# More paths than this make no list to choose from; what is left out carries least.
PATHS_LISTED = 300


class ViewersPerGbps(NamedTuple):
    """Viewers that a Gbps of egress served between two moments, by site_id: the site's own ratio, else its region's,
    else the network's.
    """

    ratio: dict[str, float]
    since: pd.Timestamp
    until: pd.Timestamp


@reads("sites", "telemetry_1h", extent)
def viewers_per_gbps(pin: Pin, scope: Scope) -> ViewersPerGbps | None:
    """Viewers per Gbps of egress of each site over the last 7 days of telemetry, from the hours that have both; None
    where there are none.
    """
    telemetry = extent(pin, EVERYTHING)
    if telemetry is None:
        return None
    since = telemetry.now - WEEK
    sql = """
        SELECT s.site_id, s.region_id, sum(viewers_mean) AS viewers, sum(egress_gbps_mean) AS gbps
        FROM sites s LEFT JOIN telemetry_1h t ON t.level = 'site' AND t.key = s.site_id AND viewers_mean IS NOT NULL AND egress_gbps_mean > 0
          AND t.ts >= $since AND t.ts < $until
        GROUP BY ALL ORDER BY s.site_id"""
    parameters = {"since": since, "until": telemetry.now}
    rows = query(
        pin, sql, ["sites", "telemetry_1h"], scope=scope, span=(since, telemetry.now), parameters=parameters
    ).set_index("site_id")
    sums = rows[["viewers", "gbps"]].astype(float).fillna(0.0)
    if not sums["gbps"].sum() > 0.0:
        return None
    of_region = sums.groupby(rows["region_id"]).transform("sum")
    ratio = (
        (sums["viewers"] / sums["gbps"])
        .fillna(of_region["viewers"] / of_region["gbps"])
        .fillna(sums["viewers"].sum() / sums["gbps"].sum())
    )
    return ViewersPerGbps({str(key): float(value) for key, value in ratio.items()}, since, telemetry.now)


@reads("flows_1h", extent)
def ingest_paths(pin: Pin, scope: Scope) -> pd.DataFrame:
    """source_site_id, target_site_id, gbps, inflow_gbps of the last 7 days, largest first: the mean of the flow, and of
    all flows that leave at its target.

    Flows within a site count as inflow and are no path. At most PATHS_LISTED rows; none where the lake has no flows.
    """
    telemetry = extent(pin, EVERYTHING)
    since = pd.Timestamp("1970-01-01", tz="UTC") if telemetry is None else telemetry.now - WEEK
    until = since + WEEK
    sql = f"""
        WITH summed AS (SELECT source_site_id, target_site_id, sum(gbps) AS gbps FROM flows_1h WHERE ts >= $since AND ts < $until GROUP BY ALL),
             hours AS (SELECT count(DISTINCT ts) AS n FROM flows_1h WHERE ts >= $since AND ts < $until)
        SELECT source_site_id, target_site_id, gbps / n AS gbps, inflow / n AS inflow_gbps
        FROM (SELECT *, sum(gbps) OVER (PARTITION BY target_site_id) AS inflow FROM summed), hours
        WHERE source_site_id <> target_site_id AND gbps > 0 ORDER BY gbps DESC, source_site_id, target_site_id LIMIT {PATHS_LISTED}"""
    return query(pin, sql, ["flows_1h"], scope=scope, span=(since, until), parameters={"since": since, "until": until})


WEEK_HOURS = 168
Week = np.ndarray[Any, np.dtype[np.float64]]
PEAK_DAYS = 28
# Ends and middle of the interval of the highest peak ahead, by their words in the columns `peak_28d_*`.
PEAK_INTERVAL = {"low": "q10", "mid": "q50", "high": "q90"}
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
    ingest_utilisation and utilisation (the higher); peak_24h_gbps (egress, highest hourly mean of the last 24 hours),
    peak_24h_utilisation (the same over the capacity of now, egress or ingest, whichever is higher); peak_7d_utilisation
    (highest hourly P95 over the capacity of now); egress_week_ago; completeness_24h, completeness_7d; age_seconds; week
    (168 hourly means of egress, NaN for missing); peak_28d_low, _mid, _high (Gbps: highest q10, q50, q90 of the next 28
    days); state and reason, as far as they are measured, and of these incident and silence, sentences
    (data/queries/site_health.py). When a site runs out is not measured: a plan says it.
    """
    telemetry = extent(pin, EVERYTHING)
    if telemetry is None:
        return catalogue(pin, scope).head(0)
    sites = catalogue(pin, scope).set_index("site_id", drop=False)
    sites = (
        sites.join(_measured(pin, telemetry, scope))
        .join(_capacity_at(pin, telemetry.now, telemetry.now, scope))
        .join(_expected(pin, telemetry.now, scope))
    )
    # A site that was never heard of has a week too, of missing hours.
    sites["week"] = [_week(hours) for hours in sites.pop("hours")]
    sites["age_seconds"] = freshness(pin, scope).set_index("site_id")["age_seconds"]
    sites = _with_utilisation(sites)
    indicators = [_indicators(row) for row in sites.to_dict("records")]
    states = [assess(site) for site in indicators]
    sites["state"], sites["reason"] = [state.state for state in states], [state.reason for state in states]
    sites["incident"] = pd.Series([incident(site) for site in indicators], sites.index, dtype=object)
    sites["silence"] = pd.Series([silence(site) for site in indicators], sites.index, dtype=object)
    return sites.reset_index(drop=True)


def _measured(pin: Pin, telemetry: Extent, scope: Scope) -> pd.DataFrame:
    """By site: the newest values, the value a week before, the last week by hour, completeness, and the week's peaks in
    Gbps.
    """
    newest = last_hour(telemetry.now)
    start, recent = newest - (WEEK_HOURS - 1) * HOUR, telemetry.now - pd.Timedelta(seconds=SILENT_SECONDS)
    values = ", ".join(f"arg_max({m}_mean, ts) FILTER (ts >= $recent) AS {m}" for m in NOW_METRICS)
    sql = f"""
        WITH mine AS (SELECT * FROM telemetry_1h WHERE level = 'site' AND ts >= $before AND ts <= $newest),
        newest_values AS (SELECT key, {values}, max(ts) FILTER (ts >= $recent AND egress_gbps_mean IS NOT NULL) AS at,
                        max(egress_gbps_p95) FILTER (ts >= $start) AS egress_7d, max(ingest_gbps_p95) FILTER (ts >= $start) AS ingest_7d,
                        max(egress_gbps_mean) FILTER (ts > $newest - INTERVAL 24 HOUR) AS egress_24h,
                        max(ingest_gbps_mean) FILTER (ts > $newest - INTERVAL 24 HOUR) AS ingest_24h,
                        sum(completeness) FILTER (ts > $newest - INTERVAL 24 HOUR) AS day, sum(completeness) FILTER (ts >= $start) AS seven,
                        list({{'hour': (epoch_us(ts) - epoch_us($start)) // 3600000000, 'value': egress_gbps_mean}})
                          FILTER (ts >= $start AND egress_gbps_mean IS NOT NULL) AS hours
                 FROM mine GROUP BY key)
        SELECT newest_values.*, ago.egress_gbps_mean AS egress_week_ago
        FROM newest_values LEFT JOIN mine ago ON ago.key = newest_values.key AND ago.ts = newest_values.at - INTERVAL 168 HOUR"""
    span = (start - (WEEK_HOURS + 3) * HOUR, newest + HOUR)
    parameters = {"before": span[0], "newest": newest, "start": start, "recent": recent}
    week = query(pin, sql, ["telemetry_1h"], scope=scope, span=span, parameters=parameters).set_index("key")
    # The newest hour counts as far as it has gone.
    part = 1 - (telemetry.now - newest) / pd.Timedelta(hours=1)
    week["completeness_24h"] = (week.pop("day") / (24 - part)).clip(upper=1.0)
    week["completeness_7d"] = (week.pop("seven") / (WEEK_HOURS - part)).clip(upper=1.0)
    return week.drop(columns="at")


def _week(hours: Any) -> Week:
    week = np.full(WEEK_HOURS, np.nan)
    for hour in hours if isinstance(hours, np.ndarray) else []:
        week[hour["hour"]] = hour["value"]
    return week


def _expected(pin: Pin, now: pd.Timestamp, scope: Scope) -> pd.DataFrame:
    """By site, of the newest run: the highest hours of egress of the next 28 days."""
    run = latest_run(pin, EVERYTHING)
    peaks = ", ".join(f"max({q}) AS peak_28d_{word}" for word, q in PEAK_INTERVAL.items())
    sql = f"""SELECT key AS site_id, {peaks} FROM forecasts
              WHERE run_id = $run AND level = 'site' AND metric = 'egress_gbps' AND ts >= $now
                AND ts < $now::TIMESTAMPTZ + INTERVAL {PEAK_DAYS} DAY GROUP BY key"""
    parameters = {"run": run.run_id if run else "", "now": now}
    newest = {"run_id": (parameters["run"],)}
    return query(pin, sql, ["forecasts"], scope=scope, partitions=newest, parameters=parameters).set_index("site_id")


def _with_utilisation(sites: pd.DataFrame) -> pd.DataFrame:
    sites["peak_24h_gbps"] = sites["egress_24h"]
    directions = ("egress", "ingest")
    for direction in directions:
        capacity = sites[f"{direction}_capacity_gbps"].where(sites[f"{direction}_capacity_gbps"] > 0)
        sites[f"{direction}_utilisation"] = sites[f"{direction}_gbps"] / capacity
        for span in ("24h", "7d"):
            sites[f"{direction}_{span}"] /= capacity
    sites["utilisation"] = sites[["egress_utilisation", "ingest_utilisation"]].max(axis=1)
    for span in ("24h", "7d"):
        sites[f"peak_{span}_utilisation"] = sites[[f"{direction}_{span}" for direction in directions]].max(axis=1)
    return sites.drop(columns=[f"{direction}_{span}" for direction in directions for span in ("24h", "7d")])


def _indicators(row: dict[Any, Any]) -> SiteIndicators:
    """The inputs of the rules in data/queries/site_health.py, from a row of `sites_now`."""
    names = set(SiteIndicators.__dataclass_fields__) - {"peak_utilisation"}
    peaks = [row[name] for name in ("peak_7d_utilisation", "utilisation") if pd.notna(row[name])]
    return SiteIndicators(
        **{name: _number(row[name]) for name in names}, peak_utilisation=_number(max(peaks, default=None))
    )


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


HEADLINE_METRICS = ("egress_gbps", "ingest_gbps", "viewers")
HEADLINE_COLUMNS = ["metric", "value", "week_ago", "peak_24h", "peak_24h_week_ago", "series"]
DAY_HOURS = 24


@reads("telemetry_1h", "capacity", extent, group_hours)
def headline(pin: Pin, scope: Scope, sites: SiteFilter = None) -> pd.DataFrame:
    """metric (egress_gbps, ingest_gbps, viewers, utilisation), value (newest hour of the last 3), week_ago (168 h
    before), peak_24h (highest hourly mean of the last 24 hours), peak_24h_week_ago, series (the last 168 hourly means,
    None for missing). Utilisation is the egress of the sites that declare a capacity over that capacity. Of the sites
    of a filter, where there is one.
    """
    telemetry = extent(pin, EVERYTHING)
    if telemetry is None:
        return pd.DataFrame(columns=HEADLINE_COLUMNS)
    newest = last_hour(telemetry.now)
    start = newest - 2 * WEEK_HOURS * HOUR
    hours = group_hours(pin, scope, sites, HEADLINE_METRICS, start, newest + HOUR).set_index("ts")
    hours = hours.join(_utilisation(pin, start, newest + HOUR, scope, sites))
    columns = {**{m: f"{m}_mean" for m in HEADLINE_METRICS}, "utilisation": "utilisation"}
    return pd.DataFrame([_line(metric, hours[column], telemetry) for metric, column in columns.items()])


def _line(metric: str, hours: pd.Series, telemetry: Extent) -> dict[str, object]:
    recent = hours[hours.index >= telemetry.now - pd.Timedelta(seconds=SILENT_SECONDS)].dropna()
    at = None if recent.empty else recent.index[-1]
    week = [None if pd.isna(value) else float(value) for value in hours.tail(WEEK_HOURS)]
    return {
        "metric": metric,
        "value": float("nan") if at is None else float(recent.iloc[-1]),
        "week_ago": float("nan") if at is None else float(hours.get(at - WEEK_HOURS * HOUR, float("nan"))),
        "peak_24h": float(hours.tail(DAY_HOURS).max()),
        "peak_24h_week_ago": float(hours.iloc[:-WEEK_HOURS].tail(DAY_HOURS).max()),
        "series": week,
    }


def _utilisation(pin: Pin, start: pd.Timestamp, end: pd.Timestamp, scope: Scope, sites: SiteFilter) -> pd.Series:
    """Hourly egress over capacity, of the sites that report the one and declare the other."""
    sql = f"""
        WITH steps AS (SELECT site_id, effective_from, capacity_gbps FROM ({steps_in_force()}) WHERE direction = 'egress')
        SELECT t.ts, sum(t.egress_gbps_mean) / nullif(sum(s.capacity_gbps), 0) AS utilisation
        FROM (SELECT key, ts, egress_gbps_mean FROM telemetry_1h WHERE level = 'site' AND ts >= $start AND ts < $end AND egress_gbps_mean IS NOT NULL
                AND {in_filter("key", sites)}) t
        ASOF JOIN steps s ON s.site_id = t.key AND s.effective_from <= t.ts
        GROUP BY t.ts"""
    hours = query(
        pin, sql, ["telemetry_1h", "capacity"], scope=scope, span=(start, end), parameters={"start": start, "end": end}
    )
    return hours.set_index("ts")["utilisation"]
