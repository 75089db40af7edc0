"""What does each site usually carry? It says how much of a region an event at one site touches."""

from __future__ import annotations

import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.series import known_metrics

# Days whose middle stands for what is usual.
DAYS = 28


def usual(pin: Pin, metric: str, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """site_id, region_id, timezone, usual (median of the daily means of the last 28 days that have one; null where none
    has) of every site.
    """
    known_metrics((metric,))
    sql = f"""
        WITH days AS (SELECT key, {metric}_mean AS value, row_number() OVER (PARTITION BY key ORDER BY ts DESC) AS back FROM telemetry_1d
                      WHERE level = 'site' AND {metric}_mean IS NOT NULL)
        SELECT s.site_id, any_value(s.region_id) AS region_id, any_value(s.timezone) AS timezone, median(d.value) FILTER (d.back <= {DAYS}) AS usual
        FROM sites s LEFT JOIN days d ON d.key = s.site_id GROUP BY s.site_id ORDER BY s.site_id"""
    return query(pin, sql, ["sites", "telemetry_1d"], scope=scope)
