"""Many sites on one axis: a matrix of sites and steps, NaN for missing, and the long frame that pages take. Faster than
a join with an axis in SQL.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from data.lake.capacity import steps_in_force
from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.lake_state import extent
from data.queries.reads import reads
from data.queries.series import known_metrics
from data.schema import DIRECTION_OF

Matrix = np.ndarray[Any, np.dtype[np.float64]]
# SQL to join a table of series with: the sites that a question gives as $sites, each with its row of the matrix. Rows
# looked up by name take longer.
MATRIX_ROWS = "(SELECT unnest($sites::VARCHAR[]) AS key, generate_subscripts($sites::VARCHAR[], 1) - 1 AS row)"


def to_matrix(sites: int, steps: int, found: pd.DataFrame) -> Matrix:
    """Values of `found` (row, step, value) in a matrix of so many sites and steps."""
    matrix = np.full((sites, steps), np.nan)
    matrix[found["row"].to_numpy(), found["step"].to_numpy()] = found["value"].to_numpy()
    return matrix


def to_long_frame(sites: pd.DataFrame, name: str, axis: Any, **matrices: Matrix) -> pd.DataFrame:
    """A row for each site and step: the columns of `sites`, the axis under its name, and the values of each matrix."""
    rows = np.repeat(np.arange(len(sites)), len(axis))
    columns = {column: values.take(rows) for column, values in ((column, sites[column].array) for column in sites)}
    steps = {name: axis.take(np.tile(np.arange(len(axis)), len(sites)))}
    return pd.DataFrame(columns | steps | {column: matrix.ravel() for column, matrix in matrices.items()}, copy=False)


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
    return to_long_frame(
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
    return to_long_frame(keys, "ts", axis, value=_values(pin, keys["site_id"], metric, axis, scope))


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
    sql = f"""SELECT row, (epoch_us(ts) - epoch_us($start)) // 3600000000 AS step, {metric}_mean AS value FROM telemetry_1h JOIN {MATRIX_ROWS} USING (key)
              WHERE level = 'site' AND ts >= $start AND ts < $end"""
    span = axis.min(), axis.max() + pd.Timedelta(hours=1)
    if axis.empty:
        return np.empty((len(sites), 0))
    parameters = {"start": span[0], "end": span[1], "sites": sites.tolist()}
    return to_matrix(
        len(sites), len(axis), query(pin, sql, ["telemetry_1h"], scope=scope, span=span, parameters=parameters)
    )


def _capacity(steps: pd.DataFrame, axis: pd.DatetimeIndex) -> Matrix:
    """Capacity installed, by site and hour; NaN where undeclared."""
    rows = steps["site_id"].ne(steps["site_id"].shift()).cumsum().to_numpy() - 1
    matrix = np.full((steps["site_id"].nunique(), len(axis)), np.nan)
    for row, first, gbps in zip(rows, axis.searchsorted(steps["effective_from"]), steps["capacity_gbps"], strict=True):
        matrix[row, first:] = gbps
    return matrix


@reads("sites", "telemetry_1d", extent)
def completeness(pin: Pin, scope: Scope, days: int) -> pd.DataFrame:
    """site_id, name, region_name, date, completeness (0 to 1; 0 where nothing arrived) for the last `days` UTC days,
    every site of the catalogue.

    Days before a site was first seen are null. The last day counts only up to now.
    """
    held = extent(pin, EVERYTHING)
    if held is None:
        return pd.DataFrame(columns=["site_id", "name", "region_name", "date", "completeness"])
    axis = pd.date_range(end=held.last.floor("D"), periods=days, freq="D", unit="us")
    sites = _site_names(pin.only(("sites",)), scope)
    whole = _completeness_matrix(pin, sites["site_id"], axis, scope)
    whole[:, -1:] = np.minimum(1.0, whole[:, -1:] / min(1.0, (held.now - axis[-1]) / pd.Timedelta(days=1)))
    return to_long_frame(sites, "date", axis.date, completeness=whole)


# A small answer, and a pin never changes; it is read and not written to.
@lru_cache(maxsize=32)
def _site_names(pin: Pin, scope: Scope) -> pd.DataFrame:
    sql = "SELECT site_id, name, coalesce(region_name, region_id) AS region_name FROM sites ORDER BY region_id, site_id"
    return query(pin, sql, ["sites"], scope=scope)


def _completeness_matrix(pin: Pin, sites: pd.Series, axis: pd.DatetimeIndex, scope: Scope) -> Matrix:
    """By site and day: 0 where nothing arrived, NaN before the site's first day."""
    sql = f"""SELECT row, (epoch_us(ts) - epoch_us($first)) // 86400000000 AS step, completeness AS value FROM telemetry_1d JOIN {MATRIX_ROWS} USING (key)
              WHERE level = 'site'"""
    found = query(pin, sql, ["telemetry_1d"], scope=scope, parameters={"first": axis[0], "sites": sites.tolist()})
    before = found["step"] < 0
    matrix = to_matrix(len(sites), len(axis), found[~before])
    begun = np.logical_or.accumulate(~np.isnan(matrix), axis=1)
    begun[found.loc[before, "row"].unique()] = True
    return np.where(np.isnan(matrix) & begun, 0.0, matrix)
