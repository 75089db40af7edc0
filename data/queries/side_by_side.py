"""The sites of a region side by side: one metric, on one axis."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from data.contract import DIRECTION_OF
from data.duck import EVERYTHING, Scope, ask
from data.lake import Pin
from data.queries.grid import Matrix, spread, unrolled
from data.queries.series import known_metrics


def site_series(pin: Pin, region_id: str | None, metric: str, start: datetime, end: datetime, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """site_id, name, ts (each hour, missing ones too), value (hourly mean), capacity_gbps in force then; the sites of a region, or all."""
    known_metrics((metric,))
    axis = pd.date_range(pd.Timestamp(start).floor("h"), end, freq="h", inclusive="left", unit="us")
    sql = "SELECT site_id, name FROM sites WHERE $region IS NULL OR region_id = $region ORDER BY site_id"
    sites = ask(pin, sql, ["sites"], scope=scope, parameters={"region": region_id})
    values, capacity = _values(pin, sites["site_id"], metric, axis, scope), _capacity(pin, sites["site_id"], metric, axis, scope)
    return unrolled(sites, "ts", axis, value=values, capacity_gbps=capacity)


def _values(pin: Pin, sites: pd.Series, metric: str, axis: pd.DatetimeIndex, scope: Scope) -> Matrix:
    """Hourly means by site and hour."""
    sql = f"""SELECT key, (epoch_us(ts) - epoch_us($start)) // 3600000000 AS step, {metric}_mean AS value FROM telemetry_1h
              WHERE level = 'site' AND ts >= $start AND ts < $end AND key IN (SELECT unnest($sites::VARCHAR[]))"""
    span = axis.min(), axis.max() + pd.Timedelta(hours=1)
    if axis.empty:
        return np.empty((len(sites), 0))
    parameters = {"start": span[0], "end": span[1], "sites": sites.tolist()}
    return spread(sites, len(axis), ask(pin, sql, ["telemetry_1h"], scope=scope, span=span, parameters=parameters))


def _capacity(pin: Pin, sites: pd.Series, metric: str, axis: pd.DatetimeIndex, scope: Scope) -> Matrix:
    """Capacity installed, by site and hour; NaN where undeclared, or where the metric has none."""
    sql = """SELECT site_id, effective_from, capacity_gbps FROM capacity
             WHERE direction = $direction AND status IS DISTINCT FROM 'planned' ORDER BY effective_from"""
    steps = ask(pin, sql, ["capacity"], scope=scope, parameters={"direction": DIRECTION_OF.get(metric, "")})
    matrix = np.full((len(sites), len(axis)), np.nan)
    places = pd.Index(sites).get_indexer(steps["site_id"])
    for place, first, gbps in zip(places, axis.searchsorted(steps["effective_from"]), steps["capacity_gbps"], strict=True):
        if place >= 0:
            matrix[place, first:] = gbps
    return matrix
