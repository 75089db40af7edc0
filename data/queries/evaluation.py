"""May a forecast be trusted? Which model is drawn and why, how it would have done at past origins, and how its
intervals held.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin, Span
from data.queries.published import OF_SERIES, latest_run
from data.queries.reads import reads
from data.queries.series import known_metrics
from data.schema import HORIZONS, PEAK_QUANTILES, Series

# What `scores` calls the model that the licence draws, and the quantiles of the table `peaks`: those of the peak and
# those of the P95.
DRAWN, PEAKS, WEEKS_P95 = "licensed", "peaks", "peaks-p95"
# The mean of less than half of an hour's samples is not what came in that hour.
COMPLETE_ENOUGH = 0.5
LICENCE = ("horizon", "model", "baseline", "licensed", "error", "baseline_error", "margin", "origins", "reason")
BACKTEST = ("yhat", "prophet", "baseline", "q025", "q10", "q90", "q975")


@reads("licences", latest_run)
def licence(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """horizon, model, baseline, licensed, error, baseline_error (MASE), margin, origins, reason of a series in the
    newest run, the nearest horizon first.
    """
    sql = f"SELECT {', '.join(LICENCE)} FROM licences WHERE {OF_SERIES} ORDER BY {in_order()}"
    return _query_newest(pin, sql, "licences", scope, series._asdict())


@reads("licences", latest_run)
def licences(pin: Pin, scope: Scope) -> pd.DataFrame:
    """level, key, metric and the columns of `licence`, of every series of the newest run."""
    sql = f"SELECT level, key, metric, {', '.join(LICENCE)} FROM licences WHERE run_id = $run ORDER BY level, key, metric, {in_order()}"
    return _query_newest(pin, sql, "licences", scope)


@reads("scores", latest_run)
def scores(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """model, horizon, score, value, origins of a series in the newest run: every model that was tried, and the weekly
    quantiles.
    """
    sql = f"SELECT model, horizon, score, value, origins FROM scores WHERE {OF_SERIES} ORDER BY model, {in_order()}, horizon, score"
    return _query_newest(pin, sql, "scores", scope, series._asdict())


@reads("scores", latest_run)
def calibration(pin: Pin, scope: Scope) -> pd.DataFrame:
    """level, key, metric, model (licensed, peaks, peaks-p95), horizon, nominal, observed (shares), origins, of every
    series of the newest run.
    """
    sql = f"""
        SELECT level, key, metric, model, horizon, split_part(score, '_', 2)::DOUBLE / 100 AS nominal, value AS observed, origins FROM scores
        WHERE run_id = $run AND model IN ('{DRAWN}', '{PEAKS}', '{WEEKS_P95}') AND starts_with(score, 'coverage_')
        ORDER BY level, key, metric, model, {in_order()}, horizon, nominal"""
    return _query_newest(pin, sql, "scores", scope)


@reads("backtests", "telemetry_1h", latest_run)
def coverage(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """origin, days (that it reaches), hours (with a value), coverage_80, coverage_95 (shares of these hours inside),
    wape, prophet_wape, baseline_wape: a row for each backtest.
    """
    errors = ", ".join(
        f"sum(abs(value - {column})) / nullif(sum(value) FILTER ({column} IS NOT NULL), 0) AS {name}"
        for column, name in (("yhat", "wape"), ("prophet", "prophet_wape"), ("baseline", "baseline_wape"))
    )
    sql = f"""
        SELECT origin, ceil((date_diff('hour', origin, max(ts)) + 1) / 24.0)::INT AS days, count(value) AS hours,
               avg((value BETWEEN q10 AND q90)::INT) AS coverage_80, avg((value BETWEEN q025 AND q975)::INT) AS coverage_95,
               {errors}
        FROM ({_tested(series)}) GROUP BY origin ORDER BY origin"""
    return _ask_tested(pin, series, sql, scope)


@reads("backtests", "telemetry_1h", latest_run)
def backtest(pin: Pin, scope: Scope, series: Series, origin: datetime) -> pd.DataFrame:
    """ts, value (what came; NaN where nothing did), yhat, prophet, baseline, q025, q10, q90, q975: what one past origin
    would have forecast.
    """
    sql = f"SELECT ts, value, {', '.join(BACKTEST)} FROM ({_tested(series)}) WHERE origin = $origin ORDER BY ts"
    return _ask_tested(pin, series, sql, scope, {"origin": origin})


@reads("backtests", "telemetry_1h", latest_run)
def residuals(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """origin, ts, yhat, value, residual (value less yhat) of every hour with a value that a backtest of one week
    covers.
    """
    weeks = f"SELECT * FROM ({_tested(series)}) QUALIFY max(ts) OVER (PARTITION BY origin) < origin + INTERVAL 7 DAY"
    sql = f"SELECT origin, ts, yhat, value, value - yhat AS residual FROM ({weeks}) WHERE value IS NOT NULL ORDER BY origin, ts"
    return _ask_tested(pin, series, sql, scope)


@reads("peaks", latest_run)
def peaks(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """week (Monday 00:00 UTC), statistic (peak, p95), q05, q10, q50, q90, q95 of a series in the newest run."""
    sql = f"SELECT week, statistic, {', '.join(PEAK_QUANTILES)} FROM peaks WHERE {OF_SERIES} ORDER BY week, statistic"
    return _query_newest(pin, sql, "peaks", scope, series._asdict())


def newest(pin: Pin) -> str:
    """The identifier of the newest run; no run has the empty one."""
    run = latest_run(pin, EVERYTHING)
    return "" if run is None else run.run_id


def hours_of(series: Series) -> str:
    """SQL: ts and value of the hours of a series that are complete enough; needs $level and $key."""
    known_metrics((series.metric,))
    return f"SELECT ts, {series.metric}_mean AS value FROM telemetry_1h WHERE level = $level AND key = $key AND completeness >= {COMPLETE_ENOUGH}"


def _query_newest(
    pin: Pin, sql: str, table: str, scope: Scope, parameters: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Run `sql` over the newest run's part of a table; $run is its identifier."""
    run = newest(pin)
    return query(
        pin, sql, [table], scope=scope, partitions={"run_id": (run,)}, parameters={"run": run, **(parameters or {})}
    )


def in_order() -> str:
    """SQL that sorts horizon bands by how far ahead they are; what is none comes after them."""
    listed = ", ".join(f"'{name}'" for name in HORIZONS)
    return f"coalesce(nullif(list_position([{listed}], horizon), 0), {len(HORIZONS) + 1})"


def _tested(series: Series) -> str:
    """SQL: every hour of every backtest of a series with what came."""
    return f"SELECT b.*, h.value FROM (SELECT * FROM backtests WHERE {OF_SERIES}) b LEFT JOIN ({hours_of(series)}) h ON h.ts = b.ts"


def _ask_tested(
    pin: Pin, series: Series, sql: str, scope: Scope, more: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    run = newest(pin)
    return query(
        pin,
        sql,
        ["backtests", "telemetry_1h"],
        scope=scope,
        span=_reach(pin, series, scope),
        partitions={"run_id": (run,)},
        parameters={"run": run, **series._asdict(), **(more or {})},
    )


def _reach(pin: Pin, series: Series, scope: Scope) -> Span | None:
    """From the first to past the last hour of the backtests, so that other months of telemetry are left alone."""
    sql = f"SELECT min(ts) AS first, max(ts) AS last FROM backtests WHERE {OF_SERIES}"
    first, last = _query_newest(pin, sql, "backtests", scope, series._asdict()).iloc[0]
    return None if pd.isna(first) else (first, last + pd.Timedelta(hours=1))
