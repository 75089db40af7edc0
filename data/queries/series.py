"""Series through time, of one place or of many sites side by side: what they carried, when they were silent, their
capacity, the events that touched them, and how complete each day was.

Many sites are a matrix of sites and steps (NaN for missing) until they become the long frame that pages take: faster
than a join with an axis in SQL.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from data.lake.aggregation import MEASURED, SampleFilter, aggregate_hours, aggregate_sites, first_seen, measure_grain
from data.lake.capacity_in_force import steps_in_force
from data.lake.query import EVERYTHING, Cursor, Scope, SiteFilter, connection, in_filter, in_span, query, quoted, reads
from data.lake.rollups import HOUR_SECONDS, expand_coarse_samples
from data.lake.tables import Pin
from data.queries.lake_state import extent, last_weeks
from data.schema import DIRECTION_OF, GLOBAL_KEY, METRIC, METRICS, Direction, Level, Series
from data.schema.errors import SettingError
from data.schema.validation import excerpt

Grain = Literal["5min", "1h", "1d"]
SECONDS: dict[Grain, int] = {"5min": 300, "1h": 3600, "1d": 86_400}
STATISTICS = ("mean", "p95", "max")
WEEK = pd.Timedelta(days=7)
# Days whose middle stands for what is usual.
USUAL_DAYS = 28


@reads("telemetry", "telemetry_1h", "telemetry_1d", "sites", "capacity", extent)
def history(
    pin: Pin,
    scope: Scope,
    level: Level,
    key: str,
    metrics: tuple[str, ...],
    start: datetime,
    end: datetime,
    grain: Grain,
) -> pd.DataFrame:
    """ts on a complete regular axis, start <= ts < end; {metric}_mean, _p95, _max for each metric; completeness.
    Missing is NaN.

    At "5min" the step is the telemetry's own where that is coarser. A region under a narrower scope is summed from the
    samples of the sites in scope, because the rollups hold whole regions.
    """
    known_metrics(metrics)
    ready = grain != "5min" and (scope.all or level == "site")
    rows = (
        _rolled(pin, level, key, metrics, start, end, grain, scope)
        if ready
        else _sampled(pin, level, key, metrics, start, end, grain, scope)
    )
    step = _step(pin, grain)
    axis = pd.date_range(
        pd.Timestamp(start).floor(f"{step}s"), end, freq=f"{step}s", inclusive="left", unit="us", name="ts"
    )
    return rows.set_index("ts").reindex(axis).reset_index()


@reads(extent, history)
def weekly_peaks(pin: Pin, scope: Scope, level: Level, key: str, metric: str, weeks: int) -> pd.DataFrame:
    """week (Monday 00:00 UTC), peak (highest sample, in the metric's unit) of the last `weeks` whole weeks, from the
    hourly figures. A week that is measured for less than half of its hours is left out: its peak may lie in the rest.
    """
    start, end = last_weeks(extent(pin, scope), weeks)
    hours = history(pin, scope, level, key, (metric,), start, end, "1h")
    by_week = hours.groupby(start + (hours["ts"] - start) // WEEK * WEEK)[f"{metric}_max"]
    peaks = by_week.max()[by_week.count() >= WEEK / pd.Timedelta(hours=1) / 2]
    return peaks.rename("peak").rename_axis("week").reset_index()


@reads("telemetry_1h", "telemetry_1d", "sites", "capacity", history)
def group_hours(
    pin: Pin, scope: Scope, sites: SiteFilter, metrics: tuple[str, ...], start: datetime, end: datetime
) -> pd.DataFrame:
    """ts on a complete hourly axis, start <= ts < end, and {metric}_mean of the sites of a filter together; without a
    filter, of all in scope.

    What is exactly a region is that region, from its rollup. Any other group is the sum of its sites' hourly means (a
    viewer-weighted mean for ratios), missing where too few of them report in the hour.
    """
    known_metrics(metrics)
    if sites is None:
        return history(pin, scope, "global", GLOBAL_KEY, metrics, start, end, "1h")
    for region, members in whole_regions(pin, scope, sites).items():
        if members == frozenset(sites):
            return history(pin, scope, "region", region, metrics, start, end, "1h")
    with connection(pin, GROUP_TABLES, scope=scope, span=(start, end)) as cursor:
        aggregate_group(cursor, sites, metrics, in_span(start, end))
        columns = ", ".join(["ts", *(f"{m} AS {m}_mean" for m in metrics)])
        hours = cursor.sql(f"SELECT {columns} FROM _aggregates WHERE level = 'global'").to_arrow_table().to_pandas()
    axis = pd.date_range(pd.Timestamp(start).floor("h"), end, freq="h", inclusive="left", unit="us", name="ts")
    return hours.set_index("ts").reindex(axis).reset_index()


# What the hours of a group are read from.
GROUP_TABLES = ["telemetry_1h", "telemetry_1d", "sites", "capacity"]


def aggregate_group(cursor: Cursor, sites: SiteFilter, metrics: tuple[str, ...], within: str) -> None:
    """The table `_aggregates` of data.lake.aggregation, of the hourly figures of the sites of a filter; needs views of
    GROUP_TABLES.
    """
    means = ", ".join(f"{m.name}_mean AS {m.name}" for m in METRICS)
    cursor.execute(f"""CREATE OR REPLACE TEMP VIEW telemetry AS SELECT key AS site_id, ts, ts::DATE AS date, {means}
        FROM telemetry_1h WHERE level = 'site' AND {in_filter("key", sites)}""")
    days = f"SELECT * FROM telemetry_1d WHERE {in_filter('key', sites)}"
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE _first AS {first_seen(days)}")
    aggregate_hours(cursor, SampleFilter(within, metrics=tuple(METRIC[name] for name in metrics)))


@reads("sites")
def whole_regions(pin: Pin, scope: Scope, sites: SiteFilter) -> dict[str, frozenset[str]]:
    """The regions that a filter has all sites of, with these, so that their rollups stand for them; none under a narrower
    scope, which may see but a part of a region.
    """
    if not scope.all:
        return {}
    sql = f"""SELECT region_id, list(site_id ORDER BY site_id) AS sites FROM sites
              GROUP BY region_id HAVING bool_and({in_filter("site_id", sites)}) ORDER BY region_id"""
    regions = query(pin, sql, ["sites"], scope=scope).set_index("region_id")["sites"]
    return {str(region): frozenset(members) for region, members in regions.items()}


def known_metrics(metrics: tuple[str, ...]) -> None:
    """Raise SettingError where a metric is not of the contract: metrics become SQL, and may come from an address."""
    for metric in metrics:
        if metric not in METRIC:
            raise SettingError(
                f"There is no metric {excerpt(metric)!r}.",
                cause="an address was typed or is old",
                remedy=f"use one of {', '.join(METRIC)}",
            )


def _step(pin: Pin, grain: Grain) -> int:
    """Seconds between rows: the grain, or the telemetry's own where that is coarser than five minutes."""
    telemetry = extent(pin, EVERYTHING) if grain == "5min" else None
    return SECONDS[grain] if telemetry is None else max(SECONDS[grain], telemetry.grain_seconds)


def _rolled(
    pin: Pin,
    level: Level,
    key: str,
    metrics: tuple[str, ...],
    start: datetime,
    end: datetime,
    grain: Grain,
    scope: Scope,
) -> pd.DataFrame:
    table = "telemetry_1h" if grain == "1h" else "telemetry_1d"
    columns = ", ".join(["ts", *(f"{m}_{s}" for m in metrics for s in STATISTICS), "completeness"])
    begin = pd.Timestamp(start).floor(f"{SECONDS[grain]}s")
    sql = f"SELECT {columns} FROM {table} WHERE level = $level AND key = $key AND ts >= $start AND ts < $end"
    return query(
        pin,
        sql,
        [table],
        scope=scope,
        span=(begin, end),
        parameters={"level": level, "key": key, "start": begin, "end": end},
    )


def _sampled(
    pin: Pin,
    level: Level,
    key: str,
    metrics: tuple[str, ...],
    start: datetime,
    end: datetime,
    grain: Grain,
    scope: Scope,
) -> pd.DataFrame:
    """History from the samples themselves; whole days of them, for hours those beside too, because a grain cannot be told from
    a few stamps.
    """
    step = _step(pin, grain)
    days = pd.Timestamp(start).floor("D"), pd.Timestamp(end).ceil("D")
    beside = pd.Timedelta(days=1 if step == HOUR_SECONDS else 0)
    span = days[0] - beside, days[1] + beside
    columns = "".join(
        f"avg({m}) AS {m}_mean, quantile_cont({m}, 0.95) AS {m}_p95, max({m}) AS {m}_max, " for m in metrics
    )
    requested = in_span(pd.Timestamp(start).floor(f"{step}s"), end)
    with connection(pin, ["telemetry", "telemetry_1d", "sites", "capacity"], scope=scope, span=span) as cursor:
        _aggregate_span(cursor, level, key, in_span(*days), metrics, by_hour=step == HOUR_SECONDS)
        return (
            cursor.sql(f"""
            SELECT time_bucket(INTERVAL {step} SECOND, ts) AS ts, {columns}
                   least(1.0, coalesce(sum(present) FILTER (usable), 0) / (max(expected) * greatest(1, {step} / any_value(seconds)))) AS completeness
            FROM series WHERE {requested} GROUP BY ALL""")
            .to_arrow_table()
            .to_pandas()
        )


def _aggregate_span(
    cursor: Cursor, level: Level, key: str, within: str, metrics: tuple[str, ...], *, by_hour: bool
) -> None:
    """The view `series`: its stamps with the metrics, sites present and expected, whether enough are, and the grain in
    seconds; coarser ones each hour too.
    """
    mine = f"{within} AND {members(level, key)}"
    if level == "site":
        measure_grain(cursor, mine)
        stamps = f"SELECT *, 1 AS present, 1 AS expected, true AS usable FROM telemetry JOIN _grain USING (site_id, date) WHERE {mine} AND {MEASURED}"
    else:
        cursor.execute(f"CREATE TEMP TABLE _first AS {first_seen('SELECT * FROM telemetry_1d')}")
        aggregate_sites(
            cursor,
            SampleFilter(
                mine, f"level = {quoted(level)} AND key = {quoted(key)}", tuple(METRIC[name] for name in metrics)
            ),
        )
        stamps = "SELECT * FROM _aggregates JOIN _grid_grain USING (date)"
        if by_hour:
            expand_coarse_samples(cursor, mine)
            stamps = "SELECT * FROM _aggregate_hours"
    cursor.execute(f"CREATE TEMP VIEW series AS {stamps}")


def members(level: Level, key: str) -> str:
    """SQL: the sites that make up a series."""
    if level == "site":
        return f"site_id = {quoted(key)}"
    return f"site_id IN (SELECT site_id FROM sites WHERE region_id = {quoted(key)})" if level == "region" else "true"


@reads("set_aside", "sites")
def samples_set_aside(
    pin: Pin, scope: Scope, level: Level, key: str, metric: str, start: datetime, end: datetime
) -> pd.DataFrame:
    """ts, name (of the site), value, usual, reason of the samples of a place that are set aside, start <= ts < end, by ts."""
    known_metrics((metric,))
    sql = f"""SELECT ts, coalesce(s.name, a.site_id) AS name, value, usual, reason FROM set_aside a LEFT JOIN sites s USING (site_id)
              WHERE metric = $metric AND ts >= $start AND ts < $end AND {members(level, key)} ORDER BY ts, a.site_id"""
    parameters = {"metric": metric, "start": start, "end": end}
    return query(pin, sql, ["set_aside", "sites"], scope=scope, parameters=parameters)


@reads("capacity")
def capacity(pin: Pin, scope: Scope) -> pd.DataFrame:
    """Every declared step, in the columns of the table `capacity`."""
    return query(pin, "SELECT * FROM capacity", ["capacity"], scope=scope)


@reads("capacity")
def planned_augments(pin: Pin, scope: Scope, direction: Direction) -> tuple[str, ...]:
    """The sites that have planned augments, in order."""
    sql = "SELECT DISTINCT site_id FROM capacity WHERE direction = $direction AND status = 'planned' ORDER BY site_id"
    return tuple(query(pin, sql, ["capacity"], scope=scope, parameters={"direction": direction})["site_id"])


@reads("capacity", "sites", extent)
def capacity_steps(pin: Pin, scope: Scope, level: Level, key: str, direction: Direction) -> pd.DataFrame:
    """effective_from, capacity_gbps, status: the capacity of a site, or the sum over the sites of a region or the
    network, as steps in time; a planned step that is late is none.

    A step is "planned" where any part of the capacity then in force is.
    """
    telemetry = extent(pin, EVERYTHING)
    sql = f"""
        WITH mine AS (SELECT site_id, effective_from, capacity_gbps, coalesce(status, 'installed') = 'planned' AS planned
                      FROM ({steps_in_force(telemetry.now if telemetry else None)}) WHERE direction = $direction AND {members(level, key)}),
        stamps AS (SELECT DISTINCT effective_from AS moment FROM mine),
        in_force AS (SELECT s.moment, m.site_id, arg_max(m.capacity_gbps, m.effective_from) AS gbps, arg_max(m.planned, m.effective_from) AS planned
                 FROM stamps s JOIN mine m ON m.effective_from <= s.moment GROUP BY ALL)
        SELECT moment AS effective_from, sum(gbps) AS capacity_gbps, CASE WHEN bool_or(planned) THEN 'planned' ELSE 'installed' END AS status
        FROM in_force GROUP BY moment ORDER BY moment"""
    return query(pin, sql, ["capacity", "sites"], scope=scope, parameters={"direction": direction})


@reads("capacity", extent)
def site_capacity_steps(pin: Pin, scope: Scope, direction: Direction, sites: tuple[str, ...]) -> pd.DataFrame:
    """site_id and the columns of `capacity_steps`, of these sites, by site and step."""
    telemetry = extent(pin, EVERYTHING)
    sql = f"""SELECT site_id, effective_from, capacity_gbps, coalesce(status, 'installed') AS status
             FROM ({steps_in_force(telemetry.now if telemetry else None)})
             WHERE direction = $direction AND list_contains($sites::VARCHAR[], site_id) ORDER BY site_id, effective_from"""
    return query(pin, sql, ["capacity"], scope=scope, parameters={"direction": direction, "sites": list(sites)})


@reads("events", "sites")
def events(pin: Pin, scope: Scope, level: Level, key: str, start: datetime, end: datetime) -> pd.DataFrame:
    """event_id, kind, title, start, end, scope, treatment of what touches a series between two moments: of the network,
    its region or its sites.
    """
    sql = f"""
        SELECT event_id, kind, title, start, "end", scope, treatment FROM events
        WHERE start < $end AND "end" > $start
          AND ($level = 'global' OR scope IN ('global', $key) OR scope IN (SELECT {_kin(level)} FROM sites WHERE {members(level, key)}))
        ORDER BY start, event_id"""
    return query(
        pin, sql, ["events", "sites"], scope=scope, parameters={"start": start, "end": end, "level": level, "key": key}
    )


def _kin(level: Level) -> str:
    """A site is touched by what touches its region, a region by what touches its sites."""
    return "region_id" if level == "site" else "site_id"


@reads("sites", "telemetry_1d")
def usual(pin: Pin, scope: Scope, metric: str) -> pd.DataFrame:
    """site_id, region_id, timezone, usual (median of the daily means of the last 28 days that have one; null where none
    has) of every site.
    """
    known_metrics((metric,))
    sql = f"""
        WITH days AS (SELECT key, {metric}_mean AS value, row_number() OVER (PARTITION BY key ORDER BY ts DESC) AS back FROM telemetry_1d
                      WHERE level = 'site' AND {metric}_mean IS NOT NULL)
        SELECT s.site_id, any_value(s.region_id) AS region_id, any_value(s.timezone) AS timezone, median(d.value) FILTER (d.back <= {USUAL_DAYS}) AS usual
        FROM sites s LEFT JOIN days d ON d.key = s.site_id GROUP BY s.site_id ORDER BY s.site_id"""
    return query(pin, sql, ["sites", "telemetry_1d"], scope=scope)


class RefitInputs(NamedTuple):
    """Inputs of a refit of one series: hours (ts on a complete axis, value, completeness), its events until the end of
    the horizon, `usual` of every site, and now.
    """

    hours: pd.DataFrame
    events: pd.DataFrame
    sites: pd.DataFrame
    now: pd.Timestamp


@reads(extent, history, events, usual)
def refit_inputs(pin: Pin, scope: Scope, series: Series, horizon: timedelta) -> RefitInputs | None:
    """The whole history of a series with what is known to have touched it, or will within the horizon; None where there
    is no telemetry.
    """
    reach = extent(pin, scope)
    if reach is None:
        return None
    level, key, metric = series
    hours = history(pin, scope, level, key, (metric,), reach.first, reach.now, "1h")
    values = hours.rename(columns={f"{metric}_mean": "value"})[["ts", "value", "completeness"]]
    touching = events(pin, scope, level, key, reach.first, reach.now + horizon)
    return RefitInputs(values, touching, usual(pin, scope, metric), reach.now)


# A shorter silence is a late sample, not a gap worth hatching.
MIN_GAP = pd.Timedelta(hours=1)
# Names that fit beside a hatched stretch; more become a count.
NAMES_SHOWN = 3
# A site with less than this share of a stretch was silent in it.
MIN_PRESENT_SHARE = 0.9
GAP_COLUMNS = ["start", "end", "names", "sites"]


@reads("telemetry_1h", "telemetry_1d", "sites", extent, history)
def gaps(pin: Pin, scope: Scope, level: Level, key: str, start: datetime, end: datetime) -> pd.DataFrame:
    """start, end, names (of the silent sites, at most three and a count), sites: stretches of an hour or more without a
    value.

    Read off hourly completeness, so an edge inside an hour is exact where the hour has one stretch. Of a region or the
    network, the stretches are those in which too few sites report for it to have a value.
    """
    telemetry = extent(pin, EVERYTHING)
    if telemetry is None:
        return pd.DataFrame(columns=GAP_COLUMNS)
    until = min(pd.Timestamp(end), telemetry.now)
    hours = history(
        pin,
        scope,
        level,
        key,
        (),
        max(pd.Timestamp(start), _series_start(pin, level, key, telemetry.first, scope)),
        until,
        "1h",
    )
    stretches = silences(hours, until)
    return (
        _with_silent_sites(pin, level, key, stretches, scope) if len(stretches) else pd.DataFrame(columns=GAP_COLUMNS)
    )


def silences(hours: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """start, end of the stretches of an hour or more that lack data, from hourly ts and completeness (NaN: nothing
    came).
    """
    seen = hours[hours["completeness"] > 0]
    hour = pd.Timedelta(hours=1)
    elapsed = ((until - seen["ts"]) / hour).clip(upper=1.0)
    share = (seen["completeness"] / elapsed).clip(upper=1.0) * elapsed
    begins = pd.concat([hours["ts"].head(1), seen["ts"] + share * hour], ignore_index=True)
    ends = pd.concat([seen["ts"] + (elapsed - share) * hour, pd.Series([until])], ignore_index=True)
    stretches = pd.DataFrame({"start": begins, "end": ends}).apply(lambda edge: edge.dt.round("s"))
    return stretches[stretches["end"] - stretches["start"] >= MIN_GAP].reset_index(drop=True)


def _series_start(pin: Pin, level: Level, key: str, otherwise: pd.Timestamp, scope: Scope) -> pd.Timestamp:
    """The first stamp of the series; before it nothing is missing."""
    sql = f"SELECT min(ts) AS ts FROM telemetry_1d WHERE level = 'site' AND key IN (SELECT site_id FROM sites WHERE {members(level, key)})"
    first = query(pin, sql, ["telemetry_1d", "sites"], scope=scope)["ts"][0]
    return otherwise if pd.isna(first) else max(pd.Timestamp(first), otherwise)


def _with_silent_sites(pin: Pin, level: Level, key: str, stretches: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """The stretches with the names of the sites that were silent in them."""
    listed = ", ".join(
        f"(TIMESTAMPTZ '{row.start.isoformat()}', TIMESTAMPTZ '{row.end.isoformat()}')"
        for row in stretches.itertuples()
    )
    sql = f"""
        WITH g(a, b) AS (VALUES {listed}),
        seen AS (SELECT key, min(ts) AS first FROM telemetry_1d WHERE level = 'site' GROUP BY key),
        present AS (SELECT g.a, g.b, s.name, sum(t.completeness * epoch(least(g.b, t.ts + INTERVAL 1 HOUR) - greatest(g.a, t.ts))) AS seconds
                    FROM g CROSS JOIN sites s JOIN seen f ON f.key = s.site_id AND f.first < g.b
                    LEFT JOIN telemetry_1h t ON t.level = 'site' AND t.key = s.site_id AND t.ts < g.b AND t.ts + INTERVAL 1 HOUR > g.a
                    WHERE {members(level, key)} GROUP BY g.a, g.b, s.site_id, s.name)
        SELECT a AS start, b AS "end", list(name ORDER BY name) AS names
        FROM present WHERE coalesce(seconds, 0) < {MIN_PRESENT_SHARE} * epoch(b - a) GROUP BY a, b ORDER BY a"""
    named = query(
        pin,
        sql,
        ["telemetry_1h", "telemetry_1d", "sites"],
        scope=scope,
        span=(stretches["start"].min().floor("h"), stretches["end"].max()),
    )
    named["sites"] = [len(names) for names in named["names"]]
    named["names"] = [shortened(list(names)) for names in named["names"]]
    return named[GAP_COLUMNS]


def shortened(names: list[str]) -> str:
    """At most three names, then how many more."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" +{more}" if more > 0 else "")


Matrix = np.ndarray[Any, np.dtype[np.float64]]
# SQL to join a table of series with: the sites that a question gives as $sites, each with its row of the matrix. Rows
# looked up by name take longer.
MATRIX_ROWS = "(SELECT unnest($sites::VARCHAR[]) AS key, generate_subscripts($sites::VARCHAR[], 1) - 1 AS row)"


def to_matrix(sites: int, steps: int, values: pd.DataFrame) -> Matrix:
    """Values of `values` (row, step, value) in a matrix of so many sites and steps."""
    matrix = np.full((sites, steps), np.nan)
    matrix[values["row"].to_numpy(), values["step"].to_numpy()] = values["value"].to_numpy()
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
    telemetry = extent(pin, EVERYTHING)
    if telemetry is None:
        return pd.DataFrame(columns=["site_id", "name", "region_name", "date", "completeness"])
    axis = pd.date_range(end=telemetry.last.floor("D"), periods=days, freq="D", unit="us")
    sites = _site_names(pin.only(("sites",)), scope)
    whole = _completeness_matrix(pin, sites["site_id"], axis, scope)
    whole[:, -1:] = np.minimum(1.0, whole[:, -1:] / min(1.0, (telemetry.now - axis[-1]) / pd.Timedelta(days=1)))
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
    days = query(pin, sql, ["telemetry_1d"], scope=scope, parameters={"first": axis[0], "sites": sites.tolist()})
    before = days["step"] < 0
    matrix = to_matrix(len(sites), len(axis), days[~before])
    begun = np.logical_or.accumulate(~np.isnan(matrix), axis=1)
    begun[days.loc[before, "row"].unique()] = True
    return np.where(np.isnan(matrix) & begun, 0.0, matrix)
