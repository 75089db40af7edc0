"""How full a site was and how its viewers fared at the same moments: what a safe utilisation is learned from."""

from __future__ import annotations

from datetime import datetime
from math import ceil

import pandas as pd

from data.lake.capacity import steps_in_force
from data.lake.query import Scope, query
from data.lake.tables import Pin
from data.queries.lake_extent import extent
from data.queries.reads import reads
from data.queries.series import known_metrics
from data.schema import Direction

# Rows that are fetched at most: some 100 MB as a frame.
MOST_ROWS = 1_500_000


@reads("telemetry", "capacity", "sites", extent)
def loads(
    pin: Pin,
    scope: Scope,
    region_id: str | None,
    direction: Direction,
    quality: str,
    start: datetime,
    end: datetime,
    most: int = MOST_ROWS,
) -> pd.DataFrame:
    """ts, site_id, utilisation (traffic over the capacity installed at ts), quality (the metric of that name), start <=
    ts < end, of a region's sites or all.

    Samples without either are left out, and those that fell on a site without capacity. Of more than about `most`
    samples every second, third ... stamp is taken, the same ones at all sites.
    """
    known_metrics((quality,))
    held = extent(pin, scope)
    if held is None:
        return pd.DataFrame(columns=["ts", "site_id", "utilisation", "quality"])
    every = stride(held.sites, (pd.Timestamp(end) - pd.Timestamp(start)).total_seconds(), held.grain_seconds, most)
    sql = f"""
        WITH steps AS (SELECT site_id, effective_from, capacity_gbps FROM ({steps_in_force()}) WHERE direction = $direction),
        samples AS (SELECT ts, site_id, {direction}_gbps AS gbps, {quality} AS quality FROM telemetry
                    WHERE ts >= $start AND ts < $end AND {direction}_gbps IS NOT NULL AND {quality} IS NOT NULL
                      AND (epoch(ts)::BIGINT // {held.grain_seconds}) % {every} = 0
                      AND ($region IS NULL OR site_id IN (SELECT site_id FROM sites WHERE region_id = $region)))
        SELECT ts, x.site_id, gbps / capacity_gbps AS utilisation, quality
        FROM samples x ASOF JOIN steps s ON x.site_id = s.site_id AND x.ts >= s.effective_from WHERE capacity_gbps > 0 ORDER BY site_id, ts"""
    parameters = {"start": start, "end": end, "region": region_id, "direction": direction}
    return query(pin, sql, ["telemetry", "capacity", "sites"], scope=scope, span=(start, end), parameters=parameters)


def stride(sites: int, seconds: float, grain_seconds: int, most: int) -> int:
    """Every how many stamps a sample is taken, so that about `most` are: 1 takes all."""
    return max(1, ceil(sites * seconds / grain_seconds / most))
