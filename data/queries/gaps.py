"""When was a series silent, and which sites were?"""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.lake_extent import extent
from data.queries.reads import reads
from data.queries.series import history, members
from data.schema import Level

# A shorter silence is a late sample, not a gap worth hatching.
SHORTEST = pd.Timedelta(hours=1)
# Names that fit beside a hatched stretch; more become a count.
NAMES_SHOWN = 3
# A site with less than this share of a stretch was silent in it.
SILENT_BELOW = 0.9
COLUMNS = ["start", "end", "names", "sites"]


@reads("telemetry_1h", "telemetry_1d", "sites", extent, history)
def gaps(pin: Pin, scope: Scope, level: Level, key: str, start: datetime, end: datetime) -> pd.DataFrame:
    """start, end, names (of the silent sites, at most three and a count), sites: stretches of an hour or more without a
    value.

    Read off hourly completeness, so an edge inside an hour is exact where the hour has one stretch. Of a region or the
    network, the stretches are those in which too few sites report for it to have a value.
    """
    held = extent(pin, EVERYTHING)
    if held is None:
        return pd.DataFrame(columns=COLUMNS)
    until = min(pd.Timestamp(end), held.now)
    hours = history(
        pin, scope, level, key, (), max(pd.Timestamp(start), _first(pin, level, key, held.first, scope)), until, "1h"
    )
    found = silences(hours, until)
    return _named(pin, level, key, found, scope) if len(found) else pd.DataFrame(columns=COLUMNS)


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
    found = pd.DataFrame({"start": begins, "end": ends}).apply(lambda edge: edge.dt.round("s"))
    return found[found["end"] - found["start"] >= SHORTEST].reset_index(drop=True)


def _first(pin: Pin, level: Level, key: str, otherwise: pd.Timestamp, scope: Scope) -> pd.Timestamp:
    """When the series begins; before it nothing is missing."""
    sql = f"SELECT min(ts) AS ts FROM telemetry_1d WHERE level = 'site' AND key IN (SELECT site_id FROM sites WHERE {members(level, key)})"
    first = query(pin, sql, ["telemetry_1d", "sites"], scope=scope)["ts"][0]
    return otherwise if pd.isna(first) else max(pd.Timestamp(first), otherwise)


def _named(pin: Pin, level: Level, key: str, found: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """The stretches with the names of the sites that were silent in them."""
    listed = ", ".join(
        f"(TIMESTAMPTZ '{row.start.isoformat()}', TIMESTAMPTZ '{row.end.isoformat()}')" for row in found.itertuples()
    )
    sql = f"""
        WITH g(a, b) AS (VALUES {listed}),
        seen AS (SELECT key, min(ts) AS first FROM telemetry_1d WHERE level = 'site' GROUP BY key),
        present AS (SELECT g.a, g.b, s.name, sum(t.completeness * epoch(least(g.b, t.ts + INTERVAL 1 HOUR) - greatest(g.a, t.ts))) AS seconds
                    FROM g CROSS JOIN sites s JOIN seen f ON f.key = s.site_id AND f.first < g.b
                    LEFT JOIN telemetry_1h t ON t.level = 'site' AND t.key = s.site_id AND t.ts < g.b AND t.ts + INTERVAL 1 HOUR > g.a
                    WHERE {members(level, key)} GROUP BY g.a, g.b, s.site_id, s.name)
        SELECT a AS start, b AS "end", list(name ORDER BY name) AS names
        FROM present WHERE coalesce(seconds, 0) < {SILENT_BELOW} * epoch(b - a) GROUP BY a, b ORDER BY a"""
    named = query(
        pin,
        sql,
        ["telemetry_1h", "telemetry_1d", "sites"],
        scope=scope,
        span=(found["start"].min().floor("h"), found["end"].max()),
    )
    named["sites"] = [len(names) for names in named["names"]]
    named["names"] = [shortened(list(names)) for names in named["names"]]
    return named[COLUMNS]


def shortened(names: list[str]) -> str:
    """At most three names, then how many more."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" +{more}" if more > 0 else "")
