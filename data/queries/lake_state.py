"""The state of the lake: how far its telemetry reaches and what "now" means (the end of the telemetry, never the wall
clock), how fresh it is, what was refused, and which versions there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import pandas as pd
import pyarrow as pa

from data.lake.query import EVERYTHING, Scope, day_span, query, reads
from data.lake.tables import Lake, Pin, Span, files
from data.schema import METRICS, TABLES, week_start

HOUR = timedelta(hours=1)
SIMULATOR = "simulator:"


@dataclass(frozen=True, slots=True)
class Extent:
    """The telemetry of a lake: first and last stamp, `now` (the end of the last interval), grain, newest arrival, and
    what is measured.
    """

    first: pd.Timestamp
    last: pd.Timestamp
    now: pd.Timestamp
    grain_seconds: int
    received_at: pd.Timestamp
    sites: int
    simulated: bool
    telemetry_version: int
    metrics: tuple[str, ...]


@reads("telemetry", "telemetry_1d", "sites", "snapshots")
def extent(pin: Pin, scope: Scope) -> Extent | None:
    """Extent of the telemetry; None where it holds no telemetry. Times are those of the whole lake, `sites` those in
    scope.
    """
    return _extent(pin.only(("telemetry", "telemetry_1d", "sites", "snapshots")), scope)


# Nearly every question starts from what is now, and a pin never changes.
@lru_cache(maxsize=128)
def _extent(pin: Pin, scope: Scope) -> Extent | None:
    version = pin.version("telemetry")
    ends = None if version is None else _ends(pin.only(("telemetry",)))
    if ends is None or version is None:
        return None
    first, last, grain, received = ends
    sites = int(query(pin, "SELECT count(*) AS n FROM sites", ["sites"], scope=scope)["n"][0])
    simulated = query(
        pin,
        f"SELECT coalesce(bool_or(starts_with(source, '{SIMULATOR}')), false) AS it FROM snapshots",
        ["snapshots"],
        scope=EVERYTHING,
    )["it"][0]
    return Extent(
        first,
        last,
        last + pd.Timedelta(seconds=grain),
        grain,
        received,
        sites,
        bool(simulated),
        version,
        _measured(pin, scope),
    )


@lru_cache(maxsize=32)
def _ends(pin: Pin) -> tuple[pd.Timestamp, pd.Timestamp, int, pd.Timestamp] | None:
    """First and last stamp, grain and newest arrival, from the first and the last day alone; a version never changes,
    so it is kept.
    """
    days = sorted(value for _, value in files(pin.url, "telemetry", pin.version("telemetry") or 0) if value)
    if not days:
        return None
    first = query(
        pin,
        "SELECT min(ts) AS ts FROM telemetry",
        ["telemetry"],
        scope=EVERYTHING,
        span=day_span(date.fromisoformat(days[0])),
    )["ts"][0]
    newest = day_span(date.fromisoformat(days[-1]))
    row = query(
        pin,
        "SELECT max(ts) AS ts, max(received_at) AS received FROM telemetry",
        ["telemetry"],
        scope=EVERYTHING,
        span=newest,
    ).iloc[0]
    return first, row["ts"], _grain(pin, newest), row["received"]


def _grain(pin: Pin, day: Span) -> int:
    """The most common step between stamps of one site, in seconds; from the day before too where the last has but one
    stamp.
    """
    for start in (day[0], day[0] - timedelta(days=1)):
        sql = """SELECT step FROM (SELECT date_diff('second', lag(ts) OVER (PARTITION BY site_id ORDER BY ts), ts) AS step FROM telemetry)
                 WHERE step > 0 GROUP BY step ORDER BY count(*) DESC, step LIMIT 1"""
        steps = query(pin, sql, ["telemetry"], scope=EVERYTHING, span=(start, day[1]))
        if len(steps):
            return int(steps["step"][0])
    return 300


def _measured(pin: Pin, scope: Scope) -> tuple[str, ...]:
    """Metrics that have any value."""
    flags = ", ".join(f"coalesce(bool_or({m.name}_mean IS NOT NULL), false) AS {m.name}" for m in METRICS)
    row = query(pin, f"SELECT {flags} FROM telemetry_1d WHERE level = 'site'", ["telemetry_1d"], scope=scope).iloc[0]
    return tuple(m.name for m in METRICS if row[m.name])


def hour_of(ts: datetime) -> pd.Timestamp:
    """The start of the hour that holds a moment."""
    return pd.Timestamp(ts).floor("h")


def last_hour(now: pd.Timestamp) -> pd.Timestamp:
    """The start of the newest hour that has begun at the end of the telemetry."""
    return hour_of(now - pd.Timedelta(microseconds=1))


# The end of the telemetry where there is none.
BEFORE_ALL = pd.Timestamp(0, tz="UTC")


def last_days(extent: Extent | None, days: int) -> Span:
    """Span of so many days up to the end of the telemetry; without telemetry, before all."""
    end = BEFORE_ALL if extent is None else extent.now
    return end - timedelta(days=days), end


def last_weeks(extent: Extent | None, weeks: int) -> Span:
    """Span of so many weeks (Monday 00:00 UTC on) that are over at the end of the telemetry; without telemetry, before all."""
    end = week_start(BEFORE_ALL if extent is None else extent.now)
    return end - timedelta(weeks=weeks), end


def last_months(extent: Extent | None, months: int) -> Span:
    """The newest month (UTC) and those before it, so many in all, as far as there is telemetry; without any, before
    all.
    """
    if extent is None:
        return BEFORE_ALL, BEFORE_ALL
    first = extent.last.floor("D").replace(day=1) - pd.DateOffset(months=months - 1)
    return max(first, extent.first), extent.now


@reads("sites", "telemetry", "telemetry_1d", extent)
def freshness(pin: Pin, scope: Scope) -> pd.DataFrame:
    """site_id, name, last_ts, received_at (of that sample), age_seconds (now less the end of its interval) of every
    site; null where none ever came.
    """
    telemetry = extent(pin, EVERYTHING)
    days = query(
        pin,
        "SELECT key AS site_id, max(ts)::DATE AS date FROM telemetry_1d WHERE level = 'site' GROUP BY key",
        ["telemetry_1d"],
        scope=scope,
    )
    newest = sorted({str(day)[:10] for day in days["date"]})
    sql = """
        WITH newest AS (SELECT site_id, max(ts) AS last_ts, arg_max(received_at, ts) AS received_at FROM telemetry GROUP BY site_id)
        SELECT s.site_id, s.name, n.last_ts, n.received_at, epoch($last::TIMESTAMPTZ - n.last_ts) AS age_seconds
        FROM sites s LEFT JOIN newest n USING (site_id) ORDER BY s.site_id"""
    return query(
        pin,
        sql,
        ["sites", "telemetry"],
        scope=scope,
        partitions={"date": newest},
        parameters={"last": telemetry.last if telemetry else None},
    )


@reads("quarantine")
def quarantined(pin: Pin, scope: Scope, limit: int = 500) -> pd.DataFrame:
    """The newest refusals with their reasons, in the columns of the table `quarantine`. They name whole snapshots, so a
    narrower scope sees none.
    """
    rows = limit if scope.all else 0
    return query(
        pin,
        "SELECT * FROM quarantine ORDER BY refused_at DESC, source LIMIT $n",
        ["quarantine"],
        scope=scope,
        parameters={"n": rows},
    )


@reads("set_aside", "sites")
def set_aside(pin: Pin, scope: Scope, limit: int = 500) -> pd.DataFrame:
    """site_id, name, metric, start, last, samples, value (the highest), usual and capacity_gbps at that sample, cause, reason of
    the samples that are set aside, those that follow one another in one row; the newest first.
    """
    sql = """
        WITH told AS (SELECT *, reason IS DISTINCT FROM lag(reason) OVER series OR ts > lag(ts) OVER series + INTERVAL 1 DAY AS begins
                      FROM set_aside WINDOW series AS (PARTITION BY site_id, metric ORDER BY ts)),
        stretches AS (SELECT *, count(*) FILTER (begins) OVER (PARTITION BY site_id, metric ORDER BY ts) AS stretch FROM told)
        SELECT a.site_id, coalesce(any_value(s.name), a.site_id) AS name, metric, min(ts) AS start, max(ts) AS last, count(*) AS samples,
               max(value) AS value, arg_max(usual, value) AS usual, arg_max(capacity_gbps, value) AS capacity_gbps,
               any_value(cause) AS cause, any_value(reason) AS reason
        FROM stretches a LEFT JOIN sites s USING (site_id) GROUP BY a.site_id, metric, stretch
        ORDER BY start DESC, a.site_id, metric LIMIT $n"""
    return query(pin, sql, ["set_aside", "sites"], scope=scope, parameters={"n": limit})


@reads("level_changes", "sites")
def level_changes(pin: Pin, scope: Scope) -> pd.DataFrame:
    """The lasting changes by a factor of five or more, in the columns of the table `level_changes` and the site's name, the
    newest first.
    """
    sql = """SELECT l.*, coalesce(s.name, l.site_id) AS name FROM level_changes l LEFT JOIN sites s USING (site_id)
             ORDER BY ts DESC, l.site_id, metric"""
    return query(pin, sql, ["level_changes", "sites"], scope=scope)


@reads("snapshots")
def snapshots(pin: Pin, scope: Scope, limit: int = 200) -> pd.DataFrame:
    """The newest snapshots seen, in the columns of the table `snapshots`. They name whole snapshots, so a narrower
    scope sees none.
    """
    rows = limit if scope.all else 0
    return query(
        pin,
        "SELECT * FROM snapshots ORDER BY ingested_at DESC, source LIMIT $n",
        ["snapshots"],
        scope=scope,
        parameters={"n": rows},
    )


@reads(*TABLES)
def table_versions(pin: Pin, scope: Scope) -> pd.DataFrame:
    """table, version, committed, rows, bytes, files, operation of every table of the pin. It tells nothing of single
    sites: every scope sees it.
    """
    rows = [_as_committed(pin, name) for name, _ in pin.versions]
    return pd.DataFrame(rows, columns=["table", "version", "committed", "rows", "bytes", "files", "operation"])


def _as_committed(pin: Pin, name: str) -> dict[str, Any]:
    lake, version = Lake(pin.url), pin.version(name)
    table = lake.open(name, version)
    if table is None or version is None:
        return {"table": name}
    files = pa.table(table.get_add_actions(flatten=True)).select(["num_records", "size_bytes"]).to_pylist()
    rows, size = (sum(file[column] or 0 for file in files) for column in ("num_records", "size_bytes"))
    commit = lake.committed(name, version)
    return {
        "table": name,
        "version": version,
        "committed": commit["committed"],
        "rows": rows,
        "bytes": size,
        "files": len(files),
        "operation": commit["operation"],
    }
