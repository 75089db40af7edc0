"""What the newest run published: forecasts, bands, and what became of each series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.reads import reads
from data.schema import QUANTILES, Series


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
    return _published(pin, "forecasts", ("yhat", *QUANTILES, "prophet", "baseline"), series, start, end, scope)


@reads("bands", latest_run)
def bands(pin: Pin, scope: Scope, series: Series, start: datetime, end: datetime) -> pd.DataFrame:
    """ts, expected, lower_80, upper_80, lower_95, upper_95 of a series at the telemetry's grain, start <= ts < end."""
    return _published(
        pin, "bands", ("expected", "lower_80", "upper_80", "lower_95", "upper_95"), series, start, end, scope
    )


@reads("fits", latest_run)
def fit(pin: Pin, scope: Scope, series: Series) -> Fit | None:
    """What became of a series in the newest run; None where the run did not meet it."""
    sql = f"SELECT status, reason, model, observations, seconds FROM fits WHERE {OF_SERIES}"
    found = _of_newest_run(pin, "fits", sql, series, {}, scope)
    if found is None or found.empty:
        return None
    row = found.iloc[0]
    text = {name: None if pd.isna(row[name]) else str(row[name]) for name in ("reason", "model")}
    return Fit(str(row["status"]), text["reason"], text["model"], int(row["observations"]), float(row["seconds"]))


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
