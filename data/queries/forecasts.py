"""What runs have published: forecasts, bands, simulated peaks, what became of each series; which model is drawn and
why, how it would have done at past origins, and whether it gets worse from run to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.lake.query import EVERYTHING, Scope, query, reads
from data.lake.tables import Pin, Span
from data.queries.lake_state import extent
from data.queries.series import known_metrics
from data.schema import HORIZONS, MIN_HOUR_COMPLETENESS, PEAK_QUANTILES, QUANTILES, Level, Series

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
    """Outcome of one series in the newest run."""

    status: str
    reason: str | None
    model: str | None
    observations: int
    seconds: float


@reads("runs")
def latest_run(pin: Pin, scope: Scope) -> Run | None:
    """The newest published run; None where there is none. A run describes the whole lake, so every scope sees it."""
    newest_run = query(
        pin,
        f"SELECT {', '.join(Run.__slots__)} FROM runs ORDER BY number DESC, started DESC LIMIT 1",
        ["runs"],
        scope=scope,
    )
    return None if newest_run.empty else Run(*next(newest_run.itertuples(index=False, name=None)))


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
    """Outcome of a series in the newest run; None where the run did not meet it."""
    sql = f"SELECT status, reason, model, observations, seconds FROM series_status WHERE {OF_SERIES}"
    rows = _of_newest_run(pin, "series_status", sql, series, {}, scope)
    if rows is None or rows.empty:
        return None
    return _fit(rows.iloc[0])


def _fit(row: pd.Series) -> Fit:
    text = {name: None if pd.isna(row[name]) else str(row[name]) for name in ("reason", "model")}
    return Fit(str(row["status"]), text["reason"], text["model"], int(row["observations"]), float(row["seconds"]))


@reads("series_status", latest_run)
def site_fits(pin: Pin, scope: Scope, metric: str) -> dict[str, Fit]:
    """Outcome of a metric of every site in the newest run, by site_id; sites that the run did not meet are left
    out.
    """
    run = latest_run(pin, scope)
    if run is None:
        return {}
    sql = """SELECT key, status, reason, model, observations, seconds FROM series_status
             WHERE run_id = $run AND level = 'site' AND metric = $metric ORDER BY key"""
    newest = {"run_id": (run.run_id,)}
    parameters = {"run": run.run_id, "metric": metric}
    rows = query(pin, sql, ["series_status"], scope=scope, partitions=newest, parameters=parameters)
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
    run_id = "" if run is None else run.run_id
    parameters = {
        "run": run_id,
        "metric": metric,
        "sites": list(sites),
        "start": start,
        "end": end,
    }
    return query(pin, sql, ["forecasts"], scope=scope, partitions={"run_id": (run_id,)}, parameters=parameters)


OF_SERIES = "run_id = $run AND level = $level AND key = $key AND metric = $metric"


def _published(
    pin: Pin, table: str, columns: tuple[str, ...], series: Series, start: datetime, end: datetime, scope: Scope
) -> pd.DataFrame:
    sql = f"SELECT ts, {', '.join(columns)} FROM {table} WHERE {OF_SERIES} AND ts >= $start AND ts < $end ORDER BY ts"
    rows = _of_newest_run(pin, table, sql, series, {"start": start, "end": end}, scope)
    if rows is not None:
        return rows
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


class Futures(NamedTuple):
    """Draws (keys, weeks, paths) of a weekly statistic, in the metric's unit; `weeks` are consecutive Mondays 00:00
    UTC. One path is one future of all keys.
    """

    keys: tuple[str, ...]
    weeks: pd.DatetimeIndex
    draws: npt.NDArray[np.float64]


@reads("simulated_peaks", latest_run)
def futures(pin: Pin, scope: Scope, level: Level, metric: str, statistic: str) -> Futures | None:
    """The futures of all places of a level; None where the newest run has none. Places that were refused are not in
    it.
    """
    run = latest_run(pin, EVERYTHING)
    if run is None:
        return None
    sql = (
        "SELECT key, week, samples FROM simulated_peaks WHERE run_id = $run AND level = $level AND metric = $metric AND statistic = $statistic"
        " AND len(samples) > 0 ORDER BY key, week"
    )
    rows = query(
        pin,
        sql,
        ["simulated_peaks"],
        scope=scope,
        partitions={"run_id": (run.run_id,)},
        parameters={"run": run.run_id, "level": level, "metric": metric, "statistic": statistic},
    )
    if rows.empty:
        return None
    keys, weeks = tuple(sorted(set(rows["key"]))), pd.DatetimeIndex(sorted(set(rows["week"])), name="week")
    draws = np.stack([np.asarray(samples, dtype=float) for samples in rows["samples"]])
    return Futures(keys, weeks, draws.reshape(len(keys), len(weeks), -1))


# What `scores` calls the model that the licence draws, and the quantiles of the table `peaks`: those of the peak and
# those of the P95.
DRAWN, PEAKS, WEEKS_P95 = "licensed", "peaks", "peaks-p95"
# The model that repeats last week, and the horizon of the first week as a whole, in its parts.
LAST_WEEK, FIRST_WEEK = "seasonal_naive_168", "0-7 d"
_WEEK_PARTS = ("0-24 h", "1-7 d")
# The shares of `series_accuracy`: of what, and how much is meant.
_SHARES = {"inside_80": (DRAWN, 0.8), "peaks_90": (PEAKS, 0.9), "p95_90": (WEEKS_P95, 0.9)}
LICENCE = (
    "horizon",
    "model",
    "share",
    "baseline",
    "licensed",
    "error",
    "baseline_error",
    "margin",
    "origins",
    "reason",
)
BACKTEST = ("yhat", "prophet", "baseline", "q025", "q10", "q90", "q975")


@reads("licences", latest_run)
def licence(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """horizon, model, share, baseline, licensed, error, baseline_error (MASE), margin, origins, reason of a series in the
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


@reads("scores", latest_run)
def accuracy(pin: Pin, scope: Scope) -> pd.DataFrame:
    """level, key, metric, horizon, wape, last_week_wape, gain, inside_95, origins of what is drawn for every series of
    the newest run, as measured in backtests: its error and that of repeating last week, as shares of what came; how much
    lower the first is (0.14 = 14 % lower); the share of hours inside the 95 % interval; and in how many backtests.

    By horizon, `FIRST_WEEK` before the others where both of its parts were tested: their mean by hours.
    """
    sql = f"""
        SELECT level, key, metric, horizon, any_value(value) FILTER (model = '{DRAWN}' AND score = 'wape') AS wape,
               any_value(value) FILTER (model = '{LAST_WEEK}' AND score = 'wape') AS last_week_wape,
               any_value(value) FILTER (model = '{DRAWN}' AND score = 'coverage_95') AS inside_95,
               max(origins) FILTER (model = '{DRAWN}' AND score = 'wape') AS origins
        FROM scores WHERE run_id = $run AND model IN ('{DRAWN}', '{LAST_WEEK}') AND score IN ('wape', 'coverage_95')
        GROUP BY level, key, metric, horizon HAVING wape IS NOT NULL ORDER BY level, key, metric, {in_order()}"""
    rows = _query_newest(pin, sql, "scores", scope)
    rows = pd.concat([_first_week(rows), rows], ignore_index=True)
    rows = rows.sort_values([*Series._fields], kind="stable", ignore_index=True)
    return rows.assign(gain=1 - rows["wape"] / rows["last_week_wape"].where(rows["last_week_wape"] > 0))


def _first_week(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each series that was tested over both parts of the first week."""
    series, shares = [*Series._fields], ["wape", "last_week_wape", "inside_95"]
    parts = rows[rows["horizon"].isin(_WEEK_PARTS)]
    parts = parts[parts.groupby(series)["horizon"].transform("size") == len(_WEEK_PARTS)]
    hours = parts["horizon"].map({name: last - first for name, (first, last) in HORIZONS.items()}).astype(float)
    weighted = parts.assign(**{name: parts[name] * hours / HORIZONS[_WEEK_PARTS[-1]][1] for name in shares})
    groups = weighted.groupby(series, sort=False)
    week = groups[shares].sum(min_count=len(_WEEK_PARTS)).assign(origins=groups["origins"].min())
    return week.reset_index().assign(horizon=FIRST_WEEK)


@reads(accuracy, licences, calibration)
def series_accuracy(pin: Pin, scope: Scope) -> pd.DataFrame:
    """One row for each series of the newest run, the least covered first: level, key, metric; wape and gain of the
    first week (of the first day where no more was tested); inside_95 of the horizon where the 95 % interval held worst,
    `least_at`; the mean over horizons of inside_80; won of `tested` horizons are licensed; against_baseline, the mean
    error (MASE) over that of the best baseline, less one; peaks_90 and p95_90, the share of past weeks under the 0.9
    quantile of the peak and of the P95.
    """
    identity = [*Series._fields]
    scored, decided, held = accuracy(pin, scope), licences(pin, scope), calibration(pin, scope)
    near = scored.drop_duplicates(identity).set_index(identity)[["wape", "gain"]]
    parts = scored[scored["horizon"] != FIRST_WEEK].dropna(subset="inside_95")
    least = parts.loc[parts.groupby(identity)["inside_95"].idxmin()].set_index(identity)
    least = least[["inside_95", "horizon"]].rename(columns={"horizon": "least_at"})
    shares = {
        name: held[(held["model"] == model) & (held["nominal"] == nominal)].groupby(identity)["observed"].mean()
        for name, (model, nominal) in _SHARES.items()
    }
    tested = decided[decided["origins"] > 0].groupby(identity)
    errors = tested[["error", "baseline_error"]].mean()
    verdicts = {
        "won": tested["licensed"].sum(),
        "tested": tested.size(),
        "against_baseline": errors["error"] / errors["baseline_error"] - 1,
    }
    rows = decided[identity].drop_duplicates().set_index(identity)
    rows = rows.join([near, least, pd.DataFrame(shares | verdicts)])
    rows[["won", "tested"]] = rows[["won", "tested"]].fillna(0).astype(int)
    return rows.sort_values("inside_95", na_position="last", kind="stable").reset_index()


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


@reads("backtests", "telemetry_1h", latest_run)
def backtest_weeks(pin: Pin, scope: Scope, metric: str) -> pd.DataFrame:
    """key (of a site), start (of the week, from the origin on), expected, high, came: the busiest hour of each week of the
    backtest that reaches furthest, as expected, the upper end of its 95 % interval, and as it came (NaN where too little was measured).
    """
    known_metrics((metric,))
    of_metric = "run_id = $run AND level = 'site' AND metric = $metric"
    furthest = f"SELECT origin FROM backtests WHERE {of_metric} GROUP BY origin ORDER BY max(ts) - origin DESC, origin DESC LIMIT 1"
    span = _query_newest(
        pin,
        f"SELECT min(ts) AS first, max(ts) AS last FROM backtests WHERE {of_metric} AND origin = ({furthest})",
        "backtests",
        scope,
        {"metric": metric},
    ).iloc[0]
    if pd.isna(span["first"]):
        return pd.DataFrame(columns=["key", "start", "expected", "high", "came"])
    run = newest(pin)
    return query(
        pin,
        f"""
        SELECT b.key, b.origin + INTERVAL 7 DAY * (date_diff('hour', b.origin, b.ts) // 168) AS start,
               max(b.yhat) AS expected, max(b.q975) AS high,
               CASE WHEN count(h.value) >= {MIN_HOUR_COMPLETENESS} * 168 THEN max(h.value) END AS came
        FROM (SELECT * FROM backtests WHERE {of_metric} AND origin = ({furthest})) b
        LEFT JOIN (SELECT key, ts, {metric}_mean AS value FROM telemetry_1h
                   WHERE level = 'site' AND completeness >= {MIN_HOUR_COMPLETENESS}) h ON h.key = b.key AND h.ts = b.ts
        GROUP BY ALL HAVING count(*) = 168 ORDER BY b.key, start""",
        ["backtests", "telemetry_1h"],
        scope=scope,
        span=(span["first"], span["last"] + pd.Timedelta(hours=1)),
        partitions={"run_id": (run,)},
        parameters={"run": run, "metric": metric},
    )


def newest(pin: Pin) -> str:
    """The identifier of the newest run; no run has the empty one."""
    run = latest_run(pin, EVERYTHING)
    return "" if run is None else run.run_id


def hours_of(series: Series) -> str:
    """SQL: ts and value of the hours of a series that are complete enough; needs $level and $key."""
    known_metrics((series.metric,))
    return f"SELECT ts, {series.metric}_mean AS value FROM telemetry_1h WHERE level = $level AND key = $key AND completeness >= {MIN_HOUR_COMPLETENESS}"


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
    """Span from the first to past the last hour of the backtests, so that other months of telemetry are left alone."""
    sql = f"SELECT min(ts) AS first, max(ts) AS last FROM backtests WHERE {OF_SERIES}"
    first, last = _query_newest(pin, sql, "backtests", scope, series._asdict()).iloc[0]
    return None if pd.isna(first) else (first, last + pd.Timedelta(hours=1))


# How many days after each run are telemetry against what came: the same lead for all, so that an old run is not judged by
# weeks and a new one by hours.
LEAD_DAYS = 7
ONE_SERIES = "level = $level AND key = $key AND metric = $metric"


@reads("scores", "runs")
def drift(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """number, started, horizon, value, origins: the backtest error (MASE) of the drawn model in every run that is kept,
    the oldest first.
    """
    sql = f"""
        SELECT r.number, r.started, s.horizon, s.value, s.origins FROM scores s JOIN runs r USING (run_id)
        WHERE {ONE_SERIES} AND s.model = '{DRAWN}' AND s.score = 'mase' ORDER BY r.number, {in_order()}"""
    return query(pin, sql, ["scores", "runs"], scope=scope, parameters=series._asdict())


@reads("forecasts", "runs", "telemetry_1h", extent)
def hindsight(pin: Pin, scope: Scope, series: Series) -> pd.DataFrame:
    """number, started, hours, wape, coverage_80, coverage_95: what each kept run published for the week after it,
    against what came in it.

    Where the week is not over, what there is of it; `hours` counts those that came. A run without an hour to its name
    yet is left out.
    """
    telemetry = extent(pin, EVERYTHING)
    until = pd.Timestamp(0, tz="UTC") if telemetry is None else telemetry.now
    first = query(pin, "SELECT min(telemetry_until) AS ts FROM runs", ["runs"], scope=EVERYTHING)["ts"][0]
    sql = f"""
        SELECT r.number, r.started, count(*) AS hours, sum(abs(h.value - f.yhat)) / nullif(sum(h.value), 0) AS wape,
               avg((h.value BETWEEN f.q10 AND f.q90)::INT) AS coverage_80, avg((h.value BETWEEN f.q025 AND f.q975)::INT) AS coverage_95
        FROM (SELECT * FROM forecasts WHERE {ONE_SERIES}) f JOIN runs r USING (run_id) JOIN ({hours_of(series)}) h ON h.ts = f.ts
        WHERE f.ts >= r.telemetry_until AND f.ts < r.telemetry_until + INTERVAL {LEAD_DAYS} DAY AND f.ts + INTERVAL 1 HOUR <= $until AND h.value IS NOT NULL
        GROUP BY r.number, r.started ORDER BY r.number"""
    span = None if pd.isna(first) or first >= until else (first, until)
    return query(
        pin,
        sql,
        ["forecasts", "runs", "telemetry_1h"],
        scope=scope,
        span=span,
        parameters={**series._asdict(), "until": until},
    )


@reads("scores", "runs")
def run_against_run(pin: Pin, scope: Scope, run: int, against: int, series: Series) -> pd.DataFrame:
    """model, horizon, score, value, other_value of a series in two runs, by their numbers; mean, other_mean over the
    series that both scored, `series` of them.

    Null where one of the runs has no such score. Ordered by horizon and score, the lowest value first.
    """
    both = " FULL JOIN ".join(
        f"(SELECT s.* FROM scores s JOIN runs r USING (run_id) WHERE r.number = ${name}) {alias}"
        for name, alias in (("run", "a"), ("against", "b"))
    )
    mine = " AND ".join(f"{column} = ${column}" for column in Series._fields)
    sql = f"""
        SELECT model, horizon, score, any_value(value) FILTER ({mine}) AS value, any_value(other) FILTER ({mine}) AS other_value,
               avg(value) FILTER (paired) AS mean, avg(other) FILTER (paired) AS other_mean, count(*) FILTER (paired) AS series
        FROM (SELECT level, key, metric, model, horizon, score, a.value, b.value AS other, a.value IS NOT NULL AND b.value IS NOT NULL AS paired
              FROM {both} USING (level, key, metric, model, horizon, score))
        GROUP BY model, horizon, score HAVING bool_or({mine}) ORDER BY {in_order()}, horizon, score, value, model"""
    numbers = {"run": run, "against": against}
    named = query(
        pin, "SELECT run_id FROM runs WHERE number IN ($run, $against)", ["runs"], scope=EVERYTHING, parameters=numbers
    )
    return query(
        pin,
        sql,
        ["scores", "runs"],
        scope=scope,
        partitions={"run_id": tuple(named["run_id"])},
        parameters={**series._asdict(), **numbers},
    )
