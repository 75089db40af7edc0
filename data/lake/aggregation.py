"""How the sites of a region add up: which stamps count, and what the region measured at them. SQL over the views of
data/lake/query.py.

A region's value at a stamp is the sum of its sites (a viewer-weighted mean for ratios), so its P95 is the P95 of the
sum, never the sum of P95s. A stamp at which too few of the expected sites report has no value: a silent site must not
look like less traffic.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from data.lake.capacity_in_force import steps_in_force
from data.schema import DIRECTION_OF, METRICS, MIN_REPORTING_SHARE, Metric

# A step between stamps that was seen less often is no evidence of a grain: a site that sent four stamps a day has gaps.
STEPS_FOR_A_GRAIN = 3
DAY_SECONDS = 86_400
# The contract's grain, which most telemetry has.
USUAL_GRAIN = 300
NAMES: tuple[str, ...] = tuple(m.name for m in METRICS)
MEASURED = f"coalesce({', '.join(NAMES)}) IS NOT NULL"


@dataclass(frozen=True, slots=True)
class SampleFilter:
    """What to add up: SQL conditions on `telemetry` and on the resulting level and key, and the metrics."""

    telemetry: str = "true"
    series: str = "true"
    metrics: tuple[Metric, ...] = METRICS


def first_seen(days: str) -> str:
    """SQL: the first date on which each site had each metric (columns as the metrics, and `any`), from daily rows of
    sites.
    """
    firsts = ", ".join(f"min(ts) FILTER ({name}_mean IS NOT NULL)::DATE AS {name}" for name in NAMES)
    return (
        f"SELECT key AS site_id, {firsts}, min(ts)::DATE AS any_metric FROM ({days}) WHERE level = 'site' GROUP BY key"
    )


def aggregate_sites(cursor: duckdb.DuckDBPyConnection, rows: SampleFilter) -> None:
    """Make the temporary tables `_grain` (site_id, date, seconds), `_grid_grain` (date, seconds) and `_aggregates` (level, key, ts,
    metrics, present, expected).

    Needs views telemetry, sites and capacity, and a table `_first` as `first_seen` gives it.
    """
    measure_grain(cursor, rows.telemetry)
    _aggregate(cursor, _at_one_pace(cursor, rows.telemetry), rows)


def aggregate_hours(cursor: duckdb.DuckDBPyConnection, rows: SampleFilter) -> None:
    """Make `_grid_grain` and `_aggregates` as aggregate_sites does, of hourly figures of sites in the place of samples: the
    view telemetry holds a row for each site and hour. A site reports in an hour in which it sent any sample.
    """
    hours = f"SELECT * FROM telemetry WHERE {rows.telemetry} AND {MEASURED}"
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE _grid_grain AS SELECT DISTINCT date, 3600 AS seconds FROM ({hours})")
    _aggregate(cursor, hours, rows)


def _aggregate(cursor: duckdb.DuckDBPyConnection, source: str, rows: SampleFilter) -> None:
    """`_aggregates` from SQL of samples at one grain."""
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE _expected AS {_expected(rows.metrics)}")
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE _partial AS {_partial(source, rows.metrics)}")
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE _aggregates AS {_usable(rows.series, rows.metrics)}")


# Grain
# ---------------------------------------------------------------------------------------------------------------------


def measure_grain(cursor: duckdb.DuckDBPyConnection, condition: str) -> None:
    """`_grain`: the most common step of each site's stamps on each date; `_grid_grain`: the most common grain of each date.

    Steps count in whole minutes, so that stamps that jitter by a second or two still have the grain that was meant.
    Most days need no look at one stamp after
    another: where all stamps lie on the usual grid, each one that lacks takes at most one of its steps away, and if
    most of the steps must be left, no other is as common. `_day` (site_id, date, times, usual) says which days these
    are, and how often the usual step is there at least.
    """
    usual = 1_000_000 * USUAL_GRAIN
    cursor.execute(f"""CREATE OR REPLACE TEMP TABLE _day AS
        SELECT site_id, date, steps - lacking AS times, aligned AND times >= {STEPS_FOR_A_GRAIN} AND 2 * times > steps AS usual
        FROM (SELECT site_id, date, count(*) - 1 AS steps, bool_and(epoch_us(ts) % {usual} = 0) AS aligned,
                     (epoch_us(max(ts)) - epoch_us(min(ts))) // {usual} - steps AS lacking
              FROM telemetry WHERE {condition} AND {MEASURED} GROUP BY ALL)""")
    cursor.execute(f"""CREATE OR REPLACE TEMP TABLE _step AS
        SELECT site_id, date, {USUAL_GRAIN} AS step, times FROM _day WHERE usual
        UNION ALL BY NAME
        SELECT site_id, date, CASE WHEN step < 57 THEN step ELSE 60 * round(step / 60)::BIGINT END AS step, count(*) AS times
        FROM (SELECT site_id, date, round(epoch(ts) - epoch(lag(ts) OVER (PARTITION BY site_id, date ORDER BY ts)))::BIGINT AS step
              FROM telemetry SEMI JOIN (FROM _day WHERE NOT usual) USING (site_id, date) WHERE {condition} AND {MEASURED})
        GROUP BY ALL""")
    cursor.execute(f"""CREATE OR REPLACE TEMP TABLE _grain AS
        WITH own AS (SELECT site_id, date, arg_max(step, (times, -step)) FILTER (step > 0) AS step, max(times) FILTER (step > 0) AS times
                     FROM _step GROUP BY site_id, date),
        votes AS (SELECT date, step, count(*) AS sites, bool_or(times >= {STEPS_FOR_A_GRAIN}) AS sure FROM own WHERE step IS NOT NULL GROUP BY date, step),
        pace AS (SELECT date, arg_max(step, (sure, sites, -step)) AS step FROM votes GROUP BY date)
        SELECT site_id, date, CASE WHEN times >= {STEPS_FOR_A_GRAIN} THEN own.step ELSE coalesce(pace.step, {DAY_SECONDS}) END AS seconds
        FROM own LEFT JOIN pace USING (date)""")
    cursor.execute("""CREATE OR REPLACE TEMP TABLE _grid_grain AS
        SELECT date, arg_max(seconds, (sites, -seconds)) AS seconds FROM (SELECT date, seconds, count(*) AS sites FROM _grain GROUP BY ALL) GROUP BY date""")


def _at_one_pace(cursor: duckdb.DuckDBPyConnection, condition: str) -> str:
    """SQL that yields the samples with all sites of a date at one grain and on its stamps, so that stamps can be
    summed.
    """
    plain = f"SELECT * FROM telemetry WHERE {condition} AND {MEASURED}"
    if not _any(cursor, f"_day JOIN _grid_grain USING (date) WHERE NOT usual OR seconds <> {USUAL_GRAIN}"):
        return plain
    uneven = "_grain JOIN _grid_grain USING (date) WHERE _grain.seconds <> _grid_grain.seconds"
    if not _any(cursor, uneven) and not _any(
        cursor, f"({plain}) JOIN _grid_grain USING (date) WHERE epoch(ts) % seconds <> 0"
    ):
        return plain
    means = ", ".join(f"avg({name}) AS {name}" for name in NAMES)
    # A finer sample is averaged into its stamp; a coarser one holds for each stamp that it covers.
    return f"""
        SELECT site_id, date, to_timestamp(slot * pace) AS ts, {means}
        FROM (SELECT t.*, p.seconds AS pace, epoch_us(ts) // (1000000 * p.seconds) AS first, ceil((epoch(ts) + g.seconds) / p.seconds)::BIGINT AS until,
                     unnest(range(first, CASE WHEN g.seconds > p.seconds THEN greatest(first + 1, until) ELSE first + 1 END)) AS slot
              FROM ({plain}) t JOIN _grain g USING (site_id, date) JOIN _grid_grain p USING (date))
        WHERE to_timestamp(slot * pace)::DATE = date GROUP BY site_id, date, slot, pace"""


def _any(cursor: duckdb.DuckDBPyConnection, rows: str) -> bool:
    """Whether there are such rows."""
    return bool(cursor.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchone())


# Expected sites
# ------------------------------------------------------------------------------------------------------------


def _expected(metrics: tuple[Metric, ...]) -> str:
    """SQL: for each date and each region and the network, how many sites are expected to report each metric."""
    counts = "".join(f"count(*) FILTER ({_open(m.name)} AND f.{m.name} <= d.date) AS {m.name}, " for m in metrics)
    return f"""WITH steps AS (
            SELECT site_id, direction, effective_from, capacity_gbps,
                   lead(effective_from) OVER (PARTITION BY site_id, direction ORDER BY effective_from) AS until
            FROM ({steps_in_force()})),
        declared AS (SELECT site_id, count(DISTINCT direction) AS directions FROM steps GROUP BY site_id),
        closures AS (
            SELECT d.date, s.site_id, bool_or(direction = 'egress') AS egress, bool_or(direction = 'ingest') AS ingest, count(DISTINCT direction) AS directions
            FROM _grid_grain d JOIN steps s ON capacity_gbps = 0 AND s.effective_from::DATE <= d.date AND (s.until IS NULL OR s.until > d.date::TIMESTAMPTZ)
            GROUP BY ALL)
        SELECT d.date, s.region_id, grouping(s.region_id) AS network, {counts} count(*) FILTER ({_open("")} AND f.any_metric <= d.date) AS any_metric
        FROM _grid_grain d CROSS JOIN _first f LEFT JOIN sites s USING (site_id)
        LEFT JOIN closures c ON c.date = d.date AND c.site_id = f.site_id LEFT JOIN declared t ON t.site_id = f.site_id
        GROUP BY GROUPING SETS ((d.date, s.region_id), (d.date))"""


def _open(metric: str) -> str:
    """SQL: whether a site is open for a metric: not closed in its direction, nor in every direction that it
    declares.
    """
    whole = "coalesce(c.directions < t.directions, true)"
    direction = DIRECTION_OF.get(metric)
    return f"{whole} AND NOT coalesce(c.{direction}, false)" if direction else whole


# Sums
# ----------------------------------------------------------------------------------------------------------------------


def _partial(source: str, metrics: tuple[Metric, ...]) -> str:
    """SQL: sums and counts of the sites of a region at each stamp; they add up to the network's."""
    columns = "".join(f"{sql} AS {name}, " for m in metrics for name, sql in _parts(m).items())
    return f"SELECT s.region_id, x.date, x.ts, {columns} count(*) AS present FROM ({source}) x LEFT JOIN sites s USING (site_id) GROUP BY ALL"


def _parts(m: Metric) -> dict[str, str]:
    if m.aggregate == "sum":
        return {f"{m.name}_sum": f"sum({m.name})", f"{m.name}_n": f"count({m.name})"}
    idle = "coalesce(viewers, egress_gbps) = 0"
    parts = {
        f"{m.name}_n": f"count(*) FILTER ({m.name} IS NOT NULL OR {idle})",
        f"{m.name}_sum": f"sum({m.name})",
        f"{m.name}_k": f"count({m.name})",
    }
    for weight in ("viewers", "egress_gbps"):
        parts |= {
            f"{m.name}_{weight}_sum": f"sum({m.name} * {weight})",
            f"{m.name}_{weight}": f"sum({weight}) FILTER ({m.name} IS NOT NULL)",
            f"{m.name}_{weight}_k": f"count({weight}) FILTER ({m.name} IS NOT NULL)",
        }
    return parts


def _value(m: Metric) -> str:
    """SQL: a metric of several sites. A ratio is weighted by viewers where every site that reports it has them, else by
    egress, else evenly.
    """
    if m.aggregate == "sum":
        return f"{m.name}_sum"
    weighed = " ".join(
        f"WHEN {m.name}_{w}_k = {m.name}_k AND {m.name}_{w} > 0 THEN {m.name}_{w}_sum / {m.name}_{w}"
        for w in ("viewers", "egress_gbps")
    )
    return f"CASE {weighed} ELSE {m.name}_sum / nullif({m.name}_k, 0) END"


def _usable(condition: str, metrics: tuple[Metric, ...]) -> str:
    """SQL: regions and the network by stamp; a metric is null where too few of its expected sites report."""
    names = [name for m in metrics for name in _parts(m)]
    network = "".join(f"sum({name}) AS {name}, " for name in names)
    values = "".join(
        f"CASE WHEN p.{m.name}_n >= {MIN_REPORTING_SHARE} * e.{m.name} AND e.{m.name} > 0 THEN {_value(m)} END AS {m.name}, "
        for m in metrics
    )
    return f"""WITH levels AS (
            SELECT 'region' AS level, region_id AS key, * EXCLUDE (region_id) FROM _partial WHERE region_id IS NOT NULL
            UNION ALL BY NAME
            SELECT 'global' AS level, 'all' AS key, date, ts, {network} sum(present)::BIGINT AS present FROM _partial GROUP BY date, ts)
        SELECT level, key, p.date, p.ts, {values} p.present, e.any_metric AS expected, p.present >= {MIN_REPORTING_SHARE} * e.any_metric AS usable
        FROM levels p JOIN _expected e ON e.date = p.date AND CASE WHEN level = 'region' THEN e.network = 0 AND e.region_id = p.key ELSE e.network = 1 END
        WHERE {condition}"""
