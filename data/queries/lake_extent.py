"""What the lake holds, and what "now" means: the end of the telemetry, never the wall clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import pandas as pd

from data.lake.query import Scope, day_span, query
from data.lake.tables import Pin, Span, files
from data.queries.reads import reads
from data.schema import METRICS

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
    """What the lake holds; None where it holds no telemetry. Times are those of the whole lake, `sites` those in
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
        pin, f"SELECT coalesce(bool_or(starts_with(source, '{SIMULATOR}')), false) AS it FROM snapshots", ["snapshots"]
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
        pin, "SELECT min(ts) AS ts FROM telemetry", ["telemetry"], span=day_span(date.fromisoformat(days[0]))
    )["ts"][0]
    newest = day_span(date.fromisoformat(days[-1]))
    row = query(
        pin, "SELECT max(ts) AS ts, max(received_at) AS received FROM telemetry", ["telemetry"], span=newest
    ).iloc[0]
    return first, row["ts"], _grain(pin, newest), row["received"]


def _grain(pin: Pin, day: Span) -> int:
    """The most common step between stamps of one site, in seconds; from the day before too where the last has but one
    stamp.
    """
    for start in (day[0], day[0] - timedelta(days=1)):
        sql = """SELECT step FROM (SELECT date_diff('second', lag(ts) OVER (PARTITION BY site_id ORDER BY ts), ts) AS step FROM telemetry)
                 WHERE step > 0 GROUP BY step ORDER BY count(*) DESC, step LIMIT 1"""
        steps = query(pin, sql, ["telemetry"], span=(start, day[1]))
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
