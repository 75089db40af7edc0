"""The network on the map: its sites, what each carried or is expected to carry at one hour, what flows between them, and
what it means to send traffic another way.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd

from data.lake.capacity import capacity_in_force
from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.forecasts import latest_run
from data.queries.lake_state import HOUR, extent, hour_of
from data.queries.reads import reads
from data.queries.site_health import SiteIndicators, assess

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
    found = query(pin, sql, ["sites"], scope=scope)
    found["detail"] = found["detail"].str.replace(r"\b1 sites", "1 site", regex=True)
    return found


@reads("telemetry_1h", "forecasts", "capacity", extent, latest_run, catalogue)
def map_at(pin: Pin, scope: Scope, ts: datetime) -> pd.DataFrame:
    """site_id, egress_gbps, ingest_gbps, utilisation, state, expected, low, high of every site at the hour that holds
    `ts`. The state is of that hour: whether it carried more than the limit, and how viewers fared.

    Past hours are hourly means. From now on the forecast's median stands in, `expected` is true, and low and high bound
    the 80 % interval of egress.
    """
    held = extent(pin, EVERYTHING)
    hour = hour_of(ts)
    ahead = held is not None and hour >= held.now
    found = _forecast_at(pin, hour, scope) if ahead else _measured_at(pin, hour, scope)
    sites = (
        catalogue(pin, scope)[["site_id"]]
        .merge(found, on="site_id", how="left")
        .merge(_capacity_at(pin, hour, scope), on="site_id", how="left")
    )
    for direction in ("egress", "ingest"):
        capacity = sites.pop(f"{direction}_capacity")
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


def _capacity_at(pin: Pin, hour: pd.Timestamp, scope: Scope) -> pd.DataFrame:
    """By site: capacity in force at an hour."""
    held = extent(pin, EVERYTHING)
    sql = f"""SELECT site_id, max(capacity_gbps) FILTER (direction = 'egress') AS egress_capacity,
                     max(capacity_gbps) FILTER (direction = 'ingest') AS ingest_capacity
              FROM ({capacity_in_force(hour, held.now if held else None)}) GROUP BY site_id"""
    found = query(pin, sql, ["capacity"], scope=scope)
    return found.astype({"egress_capacity": float, "ingest_capacity": float})


def _state(row: dict[Any, Any]) -> str:
    known: dict[str, Any] = {name: float(row[name]) for name in QUALITY if pd.notna(row.get(name))}
    full = None if pd.isna(row["utilisation"]) else float(row["utilisation"])
    silent = pd.isna(row["egress_gbps"]) and pd.isna(row["ingest_gbps"])
    return assess(SiteIndicators(**known, peak_utilisation=full, age_seconds=None if silent else 0.0)).state


@reads("flows_1h", extent)
def flows_at(pin: Pin, scope: Scope, ts: datetime) -> pd.DataFrame:
    """source_site_id, target_site_id, gbps, expected: the largest 200 flows of the hour that holds `ts`.

    Where that hour has none (it lies ahead, or was lost), the same hour of the newest week that has it stands in, and
    `expected` is true.
    """
    held = extent(pin, EVERYTHING)
    hour = hour_of(ts)
    weeks = 0 if held is None else max(0, -((held.now - HOUR - hour) // WEEK))
    for back in (0, weeks, weeks + 1):
        found = _flows(pin, hour - back * WEEK, scope)
        if len(found):
            break
    return found.assign(expected=back > 0)


def _flows(pin: Pin, hour: pd.Timestamp, scope: Scope) -> pd.DataFrame:
    sql = f"""SELECT source_site_id, target_site_id, gbps FROM flows_1h WHERE ts = $hour AND gbps > 0
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
    """Over the last 7 days of telemetry, from the hours that have both; None where there are none."""
    held = extent(pin, EVERYTHING)
    if held is None:
        return None
    since = held.now - WEEK
    sql = """
        SELECT s.site_id, s.region_id, sum(viewers_mean) AS viewers, sum(egress_gbps_mean) AS gbps
        FROM sites s LEFT JOIN telemetry_1h t ON t.level = 'site' AND t.key = s.site_id AND viewers_mean IS NOT NULL AND egress_gbps_mean > 0
          AND t.ts >= $since AND t.ts < $until
        GROUP BY ALL ORDER BY s.site_id"""
    parameters = {"since": since, "until": held.now}
    rows = query(
        pin, sql, ["sites", "telemetry_1h"], scope=scope, span=(since, held.now), parameters=parameters
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
    return ViewersPerGbps({str(key): float(value) for key, value in ratio.items()}, since, held.now)


@reads("flows_1h", extent)
def ingest_paths(pin: Pin, scope: Scope) -> pd.DataFrame:
    """source_site_id, target_site_id, gbps, inflow_gbps of the last 7 days, largest first: the mean of the flow, and of
    all flows that leave at its target.

    Flows within a site count as inflow and are no path. At most PATHS_LISTED rows; none where the lake has no flows.
    """
    held = extent(pin, EVERYTHING)
    since = pd.Timestamp("1970-01-01", tz="UTC") if held is None else held.now - WEEK
    until = since + WEEK
    sql = f"""
        WITH summed AS (SELECT source_site_id, target_site_id, sum(gbps) AS gbps FROM flows_1h WHERE ts >= $since AND ts < $until GROUP BY ALL),
             hours AS (SELECT count(DISTINCT ts) AS n FROM flows_1h WHERE ts >= $since AND ts < $until)
        SELECT source_site_id, target_site_id, gbps / n AS gbps, inflow / n AS inflow_gbps
        FROM (SELECT *, sum(gbps) OVER (PARTITION BY target_site_id) AS inflow FROM summed), hours
        WHERE source_site_id <> target_site_id AND gbps > 0 ORDER BY gbps DESC, source_site_id, target_site_id LIMIT {PATHS_LISTED}"""
    return query(pin, sql, ["flows_1h"], scope=scope, span=(since, until), parameters={"since": since, "until": until})
