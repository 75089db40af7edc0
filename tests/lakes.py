"""Small lakes for tests, made in seconds: full, empty, partial and stale.

Every value follows from its place and time, so that a test can work out what to expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from data.lake.rollups import refresh_rollups
from data.lake.tables import Change, Lake
from data.schema import PEAK_QUANTILES, QUANTILES

SITES = (
    ("fra-01", "Frankfurt", "eu-west", "Europe West", "DE", 50.11, 8.68, "Europe/Berlin", "Northwind", "ingest,edge"),
    ("par-01", "Paris", "eu-west", "Europe West", "FR", 48.86, 2.35, "Europe/Paris", "Northwind", "ingest,edge"),
    ("lon-01", "London", "eu-west", "Europe West", "GB", 51.51, -0.13, "Europe/London", "Fjord", "ingest,edge"),
    ("mad-01", "Madrid", "eu-west", "Europe West", "ES", 40.42, -3.70, "Europe/Madrid", "Fjord", "edge"),
    ("mil-01", "Milan", "eu-west", "Europe West", "IT", 45.46, 9.19, "Europe/Rome", "Northwind", "edge"),
    ("waw-01", "Warsaw", "eu-west", "Europe West", "PL", 52.23, 21.01, "Europe/Warsaw", "Fjord", "edge"),
    ("iad-01", "Ashburn", "us-east", "US East", "US", 39.04, -77.49, "America/New_York", "Meridian", "ingest,edge"),
    ("cmh-01", "Columbus", "us-east", "US East", "US", 39.96, -83.00, "America/New_York", "Meridian", "ingest,edge"),
    ("atl-01", "Atlanta", "us-east", "US East", "US", 33.75, -84.39, "America/New_York", "Meridian", "edge"),
    ("mia-01", "Miami", "us-east", "US East", "US", 25.76, -80.19, "America/New_York", "Northwind", "edge"),
    ("chi-01", "Chicago", "us-east", "US East", "US", 41.88, -87.63, "America/Chicago", "Northwind", "edge"),
    ("dfw-01", "Dallas", "us-east", "US East", "US", 32.78, -96.80, "America/Chicago", "Meridian", "edge"),
)
# Frankfurt is past 90 % of its capacity, Paris passes 80 % in about 40 days, Dallas declares none; the others stay
# below 80 %.
CAPACITY = {"fra-01": 90.0, "par-01": 157.0}
RUN = "run-0001"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a lake holds. `end` is the end of its telemetry; `gap` a silence of one site, in hours before the end."""

    sites: int = 12
    days: int = 16
    end: datetime = datetime(2026, 3, 17, 9, 25, tzinfo=UTC)
    grain: timedelta = timedelta(minutes=5)
    viewers: bool = True
    quality: bool = True
    capacity: bool = True
    events: bool = True
    flows: bool = True
    forecasts: bool = True
    ledger: bool = True
    source: str = "simulator:tests"
    gap: tuple[str, int, int] | None = ("mad-01", 50, 47)


def full_lake(folder: Path, plan: Plan = Plan()) -> Lake:
    """A lake with everything: 12 sites in two regions, 16 days at 5 minutes, one silence of 3 hours, one run of
    forecasts and bands.
    """
    lake = Lake(folder)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("site", _sites(plan))
        lake.replace("sites", _table(con, "SELECT * EXCLUDE (size, place) FROM site"))
        lake.append("telemetry", _table(con, _telemetry(plan)))
        for name, sql in _extras(plan).items():
            lake.replace(name, _table(con, sql))
        refresh_rollups(lake)
        for name, sql in _published(lake, plan).items():
            lake.append(name, _table(con, sql))
    return lake


def empty_lake(folder: Path) -> Lake:
    """A folder without tables."""
    folder.mkdir(parents=True, exist_ok=True)
    return Lake(folder)


def partial_lake(folder: Path) -> Lake:
    """Ingest and egress alone: no optional column, capacity, events, flows, ledger or forecasts."""
    bare = Plan(
        sites=3,
        days=9,
        viewers=False,
        quality=False,
        capacity=False,
        events=False,
        flows=False,
        forecasts=False,
        ledger=False,
        gap=None,
    )
    return full_lake(folder, bare)


def stale_lake(folder: Path) -> Lake:
    """A lake whose telemetry ended in 2004."""
    return full_lake(
        folder,
        replace(Plan(), sites=3, days=9, end=datetime(2004, 3, 8, tzinfo=UTC), source="abilene.parquet", gap=None),
    )


# The values
# ----------------------------------------------------------------------------------------------------------------


def egress(plan: Plan) -> str:
    """SQL: egress of a site (size, place) at ts, in Gbps: a day's wave around its size, half a percent more with every
    day of the lake.
    """
    day = f"(epoch(ts) - {(plan.end - timedelta(days=plan.days)).timestamp()}) / 86400"
    return f"size * (1 + 0.4 * sin(2 * pi() * (epoch(ts) / 3600 + place) / 24)) * (1 + 0.005 * {day})"


def _sites(plan: Plan) -> pa.Table:
    names = ["site_id", "name", "region_id", "region_name", "country", "lat", "lon", "timezone", "partner", "roles"]
    chosen = SITES[: plan.sites]
    columns = {name: [row[i] for row in chosen] for i, name in enumerate(names)}
    columns |= {"city": columns["name"], "lead_time_days": [30.0] * len(chosen)}
    columns |= {
        "size": [60.0 + 10 * (i % 5) for i in range(len(chosen))],
        "place": [0.0 if row[2] == "eu-west" else 6.0 for row in chosen],
    }
    return pa.table(columns)


def _telemetry(plan: Plan) -> str:
    step = int(plan.grain.total_seconds())
    start = plan.end - timedelta(days=plan.days)
    optional = []
    if plan.viewers:
        optional += ["egress * 250 AS viewers", "CASE WHEN contains(roles, 'ingest') THEN egress * 9 END AS streams"]
    if plan.quality:
        optional += [
            "0.002 + 0.00001 * size AS rebuffer_ratio",
            "1.1 + size / 1000 AS startup_seconds",
            "0.001 AS playback_failure_ratio",
            "CASE WHEN contains(roles, 'ingest') THEN 0.01 END AS ingest_starved_ratio",
            "0.4 AS transcode_used_ratio",
        ]
    silent = "false"
    if plan.gap is not None:
        site, first, last = plan.gap
        begins, ends = _at(plan.end - timedelta(hours=first)), _at(plan.end - timedelta(hours=last))
        silent = f"site_id = '{site}' AND ts >= {begins} AND ts < {ends}"
    return f"""
        SELECT ts, ts + INTERVAL 40 SECOND AS received_at, site_id,
               CASE WHEN contains(roles, 'ingest') THEN egress / 6 END AS ingest_gbps, egress AS egress_gbps
               {"".join(f", {column}" for column in optional)}
        FROM (SELECT *, {egress(plan)} AS egress FROM site, ({_axis(start, plan.grain, plan.days * 86400 // step)}))
        WHERE NOT ({silent}) ORDER BY ts::DATE, site_id, ts"""


def _extras(plan: Plan) -> dict[str, str]:
    """SQL of the tables that a lake may do without."""
    wanted = {
        "capacity": plan.capacity and _capacity(plan),
        "events": plan.events and _events(plan),
        "flows": plan.flows and _flows(plan),
        "snapshots": plan.ledger and _snapshots(plan),
        "quarantine": plan.ledger and _quarantine(plan),
    }
    return {name: sql for name, sql in wanted.items() if sql}


def _capacity(plan: Plan) -> str:
    usual = " ".join(f"WHEN '{site}' THEN {gbps}" for site, gbps in CAPACITY.items())
    return f"""
        SELECT site_id, 'egress' AS direction, TIMESTAMPTZ '2000-01-01' AS effective_from, CASE site_id {usual} ELSE size * 3 END AS capacity_gbps,
               'installed' AS status, 1000.0 AS cost_usd_month FROM site WHERE site_id <> 'dfw-01'
        UNION ALL SELECT 'fra-01', 'egress', {_at(plan.end + timedelta(days=20))}, 240.0, 'planned', NULL
        UNION ALL SELECT site_id, 'ingest', TIMESTAMPTZ '2000-01-01', size, 'installed', NULL FROM site WHERE contains(roles, 'ingest')"""


def _events(plan: Plan) -> str:
    start = f"{_at(plan.end)} + n * INTERVAL 2 DAY"
    return f"""
        SELECT 'e-' || n AS event_id, kind, title, {start} AS start, {start} + INTERVAL 5 HOUR AS "end", touches AS scope, treatment, 'tests' AS author
        FROM (VALUES (-3, 'tournament', 'Spring Cup', 'global', 'regressor'), (-2, 'outage', 'Power loss', 'par-01', 'mask'),
                     (-1, 'maintenance', 'Line cards', 'eu-west', 'note'), (3, 'release', 'Big Game II', 'global', 'regressor'))
             t(n, kind, title, touches, treatment)"""


def _flows(plan: Plan) -> str:
    days = min(plan.days, 9)
    return f"""
        SELECT ts, a.site_id AS source_site_id, b.site_id AS target_site_id, (a.size + b.size) / 20 AS gbps
        FROM site a JOIN site b ON contains(a.roles, 'ingest') AND a.site_id <> b.site_id,
             ({_axis(plan.end - timedelta(days=days), timedelta(minutes=15), days * 96)})
        ORDER BY ts"""


def _snapshots(plan: Plan) -> str:
    first, last = _at(plan.end - timedelta(days=plan.days)), _at(plan.end - plan.grain)
    return f"""
        SELECT repeat('a', 64) AS sha256, '{plan.source}' AS source, 'telemetry' AS "table", {_at(plan.end)} AS ingested_at, 'accepted' AS state,
               1000 AS rows, 1000 AS rows_accepted, 0 AS rows_quarantined, {first} AS first_ts, {last} AS last_ts
        UNION ALL SELECT repeat('b', 64), 'inbox/broken.parquet', 'telemetry', {_at(plan.end)}, 'partial', 10, 8, 2, NULL, NULL"""


def _quarantine(plan: Plan) -> str:
    return f"""
        SELECT repeat('b', 64) AS sha256, 'inbox/broken.parquet' AS source, 'telemetry' AS "table", {_at(plan.end)} AS refused_at, 'rows' AS level,
               'egress_gbps' AS "column", '-3' AS value, 'at least 0 Gbps' AS bound, 2 AS count, 'a counter was reset or wrapped' AS cause,
               'difference counters before export' AS remedy, 'var/quarantine/broken.parquet' AS kept_at"""


# The run
# -------------------------------------------------------------------------------------------------------------------

SERIES = """SELECT 'site' AS level, site_id AS key, size, place, metric FROM site, (VALUES ('egress_gbps'), ('ingest_gbps'), ('viewers')) m(metric)
            WHERE metric <> 'ingest_gbps' OR contains(roles, 'ingest')"""


def _published(lake: Lake, plan: Plan) -> dict[str, str]:
    """One run: what the formula says, and bounds around it; its row in `runs` comes last."""
    peaks = ", ".join(f"100.0 + {p * 10} AS {name}" for name, p in PEAK_QUANTILES.items())
    tables = {
        "forecasts": _forecasts(plan),
        "bands": _bands(plan),
        "series_status": """SELECT level, key, metric, CASE key WHEN 'dfw-01' THEN 'refused' ELSE 'fitted' END AS status,
                          CASE key WHEN 'dfw-01' THEN 'too little to go on' END AS reason,
                          'prophet' AS model, 384 AS observations, 0.5 AS seconds FROM series""",
        "peaks": f"SELECT level, key, metric, date_trunc('week', {_at(plan.end)}) + INTERVAL 7 DAY AS week, 'peak' AS statistic, {peaks} FROM series",
        "runs": f"""SELECT 1 AS number, {lake.version("telemetry")} AS telemetry_version, {_at(plan.end)} AS telemetry_until, 'prophet' AS engine,
                           '{{}}' AS versions, {_at(plan.end)} AS started, 12.5 AS seconds, 26 AS fitted, 3 AS refused, 0 AS failed""",
    }
    return (
        {name: f"WITH series AS ({SERIES}) SELECT '{RUN}' AS run_id, * FROM ({sql})" for name, sql in tables.items()}
        if plan.forecasts
        else {}
    )


def _forecasts(plan: Plan) -> str:
    quantiles = ", ".join(f"v * {1 + (p - 0.5) / 4} AS {name}" for name, p in QUANTILES.items())
    return f"SELECT level, key, metric, ts, v AS yhat, {quantiles} FROM ({_expected(plan, plan.end.replace(minute=0), timedelta(hours=1), 90 * 24)})"


def _bands(plan: Plan) -> str:
    near = _expected(plan, plan.end - timedelta(days=2), plan.grain, int(timedelta(days=3) / plan.grain))
    return f"SELECT level, key, metric, ts, v AS expected, v * 0.9 AS lower_80, v * 1.1 AS upper_80, v * 0.85 AS lower_95, v * 1.15 AS upper_95 FROM ({near})"


def _expected(plan: Plan, start: datetime, step: timedelta, count: int) -> str:
    """SQL: the formula for every series, regions and the network as sums."""
    scale = "CASE metric WHEN 'egress_gbps' THEN 1.0 WHEN 'ingest_gbps' THEN 1.0 / 6 ELSE 250.0 END"
    return f"""
        WITH one AS (SELECT level, key, metric, ts, {egress(plan)} * {scale} AS v FROM series, ({_axis(start, step, count)}))
        SELECT * FROM one UNION ALL SELECT 'region', region_id, metric, ts, sum(v) FROM one JOIN site ON site_id = key GROUP BY ALL
        UNION ALL SELECT 'global', 'all', metric, ts, sum(v) FROM one GROUP BY metric, ts ORDER BY level, key, metric, ts"""


def _axis(start: datetime, step: timedelta, count: int) -> str:
    return f"SELECT {_at(start)} + i * INTERVAL {int(step.total_seconds())} SECOND AS ts FROM range({count}) t(i)"


def _at(moment: datetime) -> str:
    return f"TIMESTAMPTZ '{moment.isoformat()}'"


def _table(con: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    return con.sql(sql).to_arrow_table()


def replace_dates(lake: Lake, name: str, rows: pa.Table, dates: Sequence[date]) -> int:
    """Replace all rows of a table whose UTC date is among `dates`; returns its version."""
    return lake.commit(name, lambda _: Change(rows, dates=dates))
