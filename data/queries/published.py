"""What the newest run published: forecasts, bands, and what became of each series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.reads import reads
from data.schema import QUANTILES, Series

FORECAST = ("yhat", *QUANTILES, "prophet", "baseline")


@dataclass(frozen=True, slots=True)
class Run:
    """One published refresh: its number in this lake, the telemetry it fitted, how long it took, and how the series
    fared.
    """

    run_id: str
    number: int
    engine: str
    started: pd.Timestamp
    seconds: float
    telemetry_version: int
    telemetry_until: pd.Timestamp
    fitted: int
    refused: int
    failed: int


@dataclass(frozen=True, slots=True)
class Fit:
    """What became of one series in the newest run."""

    status: str
    reason: str | None
    model: str | None
    observations: int
    seconds: float


@reads("runs")
def latest_run(pin: Pin, scope: Scope) -> Run | None:
    """The newest published run; None where there is none. A run describes the whole lake, so every scope sees it."""
    found = query(
        pin,
        f"SELECT {', '.join(Run.__slots__)} FROM runs ORDER BY number DESC, started DESC LIMIT 1",
        ["runs"],
        scope=scope,
    )
    return None if found.empty else Run(*found.itertuples(index=False, name=None).__next__())


@reads("runs")
def runs(pin: Pin, scope: Scope, limit: int = 20) -> pd.DataFrame:
    """The newest runs, newest first, in the columns of the table `runs`."""
    return query(
        pin,
        "SELECT * FROM runs ORDER BY number DESC, started DESC LIMIT $n",
        ["runs"],
        scope=scope,
        parameters={"n": limit},
    )


@reads("forecasts", latest_run)
def forecast(pin: Pin, scope: Scope, series: Series, start: datetime, end: datetime) -> pd.DataFrame:
    """ts, yhat, the quantile columns, prophet and baseline (NaN where the run has no such curve), hourly, start <= ts <
    end; empty where the run has none.
    """
    return _published(pin, "forecasts", FORECAST, series, start, end, scope)


@reads("bands", latest_run)
def bands(pin: Pin, scope: Scope, series: Series, start: datetime, end: datetime) -> pd.DataFrame:
    """ts, expected, lower_80, upper_80, lower_95, upper_95 of a series at the telemetry's grain, start <= ts < end."""
    return _published(
        pin, "bands", ("expected", "lower_80", "upper_80", "lower_95", "upper_95"), series, start, end, scope
    )


@reads("series_status", latest_run)
def fit(pin: Pin, scope: Scope, series: Series) -> Fit | None:
    """What became of a series in the newest run; None where the run did not meet it."""
    sql = f"SELECT status, reason, model, observations, seconds FROM series_status WHERE {OF_SERIES}"
    found = _of_newest_run(pin, "series_status", sql, series, {}, scope)
    if found is None or found.empty:
        return None
    return _fit(found.iloc[0])


def _fit(row: pd.Series) -> Fit:
    text = {name: None if pd.isna(row[name]) else str(row[name]) for name in ("reason", "model")}
    return Fit(str(row["status"]), text["reason"], text["model"], int(row["observations"]), float(row["seconds"]))


@reads("series_status", latest_run)
def site_fits(pin: Pin, scope: Scope, metric: str) -> dict[str, Fit]:
    """What became of a metric of every site in the newest run, by site_id; sites that the run did not meet are left
    out.
    """
    run = latest_run(pin, scope)
    if run is None:
        return {}
    sql = """SELECT key, status, reason, model, observations, seconds FROM series_status
             WHERE run_id = $run AND level = 'site' AND metric = $metric ORDER BY key"""
    rows = query(pin, sql, ["series_status"], scope=scope, parameters={"run": run.run_id, "metric": metric})
    return {str(row["key"]): _fit(row) for _, row in rows.iterrows()}


@reads("forecasts", latest_run)
def site_forecasts(
    pin: Pin, scope: Scope, metric: str, sites: tuple[str, ...], start: datetime, end: datetime
) -> pd.DataFrame:
    """site_id and the columns of `forecast`, of these sites, by site and hour; sites without a forecast are left out."""
    run = latest_run(pin, scope)
    sql = f"""SELECT key AS site_id, ts, {", ".join(FORECAST)} FROM forecasts
              WHERE run_id = $run AND level = 'site' AND metric = $metric AND list_contains($sites::VARCHAR[], key) AND ts >= $start AND ts < $end
              ORDER BY site_id, ts"""
    parameters = {
        "run": "" if run is None else run.run_id,
        "metric": metric,
        "sites": list(sites),
        "start": start,
        "end": end,
    }
    return query(pin, sql, ["forecasts"], scope=scope, parameters=parameters)


OF_SERIES = "run_id = $run AND level = $level AND key = $key AND metric = $metric"


def _published(
    pin: Pin, table: str, columns: tuple[str, ...], series: Series, start: datetime, end: datetime, scope: Scope
) -> pd.DataFrame:
    sql = f"SELECT ts, {', '.join(columns)} FROM {table} WHERE {OF_SERIES} AND ts >= $start AND ts < $end ORDER BY ts"
    found = _of_newest_run(pin, table, sql, series, {"start": start, "end": end}, scope)
    if found is not None:
        return found
    return pd.DataFrame(
        {"ts": pd.DatetimeIndex([], dtype="datetime64[us, UTC]"), **{name: pd.Series(dtype=float) for name in columns}}
    )


def _of_newest_run(
    pin: Pin, table: str, sql: str, series: Series, more: dict[str, datetime], scope: Scope
) -> pd.DataFrame | None:
    run = latest_run(pin, EVERYTHING)
    if run is None:
        return None
    parameters = {"run": run.run_id, "level": series.level, "key": series.key, "metric": series.metric, **more}
    return query(pin, sql, [table], scope=scope, partitions={"run_id": (run.run_id,)}, parameters=parameters)
