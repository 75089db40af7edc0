"""The sites of a region side by side: one metric, on one axis."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import numpy as np
import pandas as pd

from data.lake.capacity import steps_in_force
from data.lake.query import Scope, query
from data.lake.tables import Pin
from data.queries.grid import ROWS, Matrix, spread, unrolled
from data.queries.reads import reads
from data.queries.series import known_metrics
from data.schema import DIRECTION_OF


@reads("sites", "capacity", "telemetry_1h")
def site_series(
    pin: Pin, scope: Scope, region_id: str | None, metric: str, start: datetime, end: datetime
) -> pd.DataFrame:
    """site_id, name, ts (each hour, missing ones too), value (hourly mean), capacity_gbps in force then; the sites of a
    region, or all.
    """
    known_metrics((metric,))
    axis = pd.date_range(pd.Timestamp(start).floor("h"), end, freq="h", inclusive="left", unit="us")
    steps = _steps(pin.only(("sites", "capacity")), region_id, metric, scope)
    sites = steps[["site_id", "name"]].drop_duplicates(ignore_index=True)
    return unrolled(
        sites,
        "ts",
        axis,
        value=_values(pin, sites["site_id"], metric, axis, scope),
        capacity_gbps=_capacity(steps, axis),
    )


@reads("telemetry_1h")
def site_hours(
    pin: Pin, scope: Scope, metric: str, sites: tuple[str, ...], start: datetime, end: datetime
) -> pd.DataFrame:
    """site_id, ts (each hour, missing ones too), value (hourly mean) of these sites, in their order."""
    known_metrics((metric,))
    axis = pd.date_range(pd.Timestamp(start).floor("h"), end, freq="h", inclusive="left", unit="us")
    keys = pd.DataFrame({"site_id": pd.Series(sites, dtype="str")})
    return unrolled(keys, "ts", axis, value=_values(pin, keys["site_id"], metric, axis, scope))


# A small answer that every span and metric of a page shares, and a pin never changes; it is read and not written to.
@lru_cache(maxsize=64)
def _steps(pin: Pin, region_id: str | None, metric: str, scope: Scope) -> pd.DataFrame:
    """site_id, name, effective_from, capacity_gbps: a row for each step of capacity installed; one of nulls for a site
    without any.
    """
    sql = f"""SELECT s.site_id, s.name, c.effective_from, c.capacity_gbps
             FROM sites s LEFT JOIN ({steps_in_force()}) c ON c.site_id = s.site_id AND c.direction = $direction
             WHERE $region IS NULL OR s.region_id = $region ORDER BY s.site_id, c.effective_from"""
    return query(
        pin,
        sql,
        ["sites", "capacity"],
        scope=scope,
        parameters={"direction": DIRECTION_OF.get(metric, ""), "region": region_id},
    )


def _values(pin: Pin, sites: pd.Series, metric: str, axis: pd.DatetimeIndex, scope: Scope) -> Matrix:
    """Hourly means by site and hour."""
    sql = f"""SELECT row, (epoch_us(ts) - epoch_us($start)) // 3600000000 AS step, {metric}_mean AS value FROM telemetry_1h JOIN {ROWS} USING (key)
              WHERE level = 'site' AND ts >= $start AND ts < $end"""
    span = axis.min(), axis.max() + pd.Timedelta(hours=1)
    if axis.empty:
        return np.empty((len(sites), 0))
    parameters = {"start": span[0], "end": span[1], "sites": sites.tolist()}
    return spread(
        len(sites), len(axis), query(pin, sql, ["telemetry_1h"], scope=scope, span=span, parameters=parameters)
    )


def _capacity(steps: pd.DataFrame, axis: pd.DatetimeIndex) -> Matrix:
    """Capacity installed, by site and hour; NaN where undeclared."""
    rows = steps["site_id"].ne(steps["site_id"].shift()).cumsum().to_numpy() - 1
    matrix = np.full((steps["site_id"].nunique(), len(axis)), np.nan)
    for row, first, gbps in zip(rows, axis.searchsorted(steps["effective_from"]), steps["capacity_gbps"], strict=True):
        matrix[row, first:] = gbps
    return matrix
