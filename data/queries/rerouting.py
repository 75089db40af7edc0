"""What it means to send traffic another way: how many viewers a Gbps serves, and over which ingest-to-egress paths it
comes.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.lake_extent import extent
from data.queries.reads import reads

# A whole week: every hour of the day and every day of the week counts once.
WEEK = pd.Timedelta(days=7)
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
