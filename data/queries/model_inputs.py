"""What models are fitted to: every series by hour and at the telemetry's grain, and the peak and P95 of every week."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pandas as pd

from data.lake.aggregation import MEASURED, SampleFilter, aggregate_sites, first_seen
from data.lake.capacity_in_force import steps_in_force
from data.lake.query import (
    EVERYTHING,
    Cursor,
    Scope,
    SiteFilter,
    as_measured,
    connection,
    in_filter,
    in_span,
    query,
    reads,
)
from data.lake.tables import Pin, Span
from data.queries.series import known_metrics
from data.schema import DIRECTION_OF, METRIC, week_start


def hourly(pin: Pin, metrics: Sequence[str], start: datetime, end: datetime) -> pd.DataFrame:
    """level, key, ts, completeness and the hourly mean of each metric, of all sites, regions and the network, start <=
    ts < end. Missing is NaN.
    """
    means = ", ".join(f"{name}_mean AS {name}" for name in metrics)
    sql = f"SELECT level, key, ts, completeness, {means} FROM telemetry_1h WHERE ts >= $start AND ts < $end"
    with connection(pin, ["telemetry_1h"], scope=EVERYTHING, span=(start, end)) as cursor:
        return cursor.sql(sql, params={"start": start, "end": end}).to_arrow_table().to_pandas()


def measured_since(pin: Pin, start: datetime, end: datetime) -> bool:
    """Whether a site measured anything, start <= ts < end: rows without any value are in no rollup."""
    sql = f"SELECT count(*) AS n FROM telemetry WHERE ts >= $start AND ts < $end AND {MEASURED}"
    return bool(
        query(pin, sql, ["telemetry"], scope=EVERYTHING, span=(start, end), parameters={"start": start, "end": end})[
            "n"
        ].iloc[0]
    )


def samples(pin: Pin, metrics: Sequence[str], start: datetime, end: datetime) -> pd.DataFrame:
    """level, key, ts and each metric, at the telemetry's grain, of all sites, regions and the network, start <= ts <
    end. Missing is NaN.

    A region's sample is the sum over its sites, missing where too few of them report, as in the rollups.
    """
    columns = ", ".join(metrics)
    bounds = in_span(start, end)
    with connection(
        pin, ["telemetry", "telemetry_1d", "sites", "capacity"], scope=EVERYTHING, span=(start, end)
    ) as cursor:
        cursor.execute(f"CREATE TEMP TABLE _first AS {first_seen('SELECT * FROM telemetry_1d')}")
        aggregate_sites(cursor, SampleFilter(bounds, metrics=tuple(METRIC[name] for name in metrics)))
        sites = f"SELECT 'site' AS level, site_id AS key, ts, {columns} FROM telemetry WHERE {bounds}"
        return (
            cursor.sql(f"{sites} UNION ALL BY NAME SELECT level, key, ts, {columns} FROM _aggregates")
            .to_arrow_table()
            .to_pandas()
        )


# What a site usually carries is seen in four weeks: every day of the week counts as often.
USUAL_DAYS = 28


@reads("telemetry_1d")
def usual_traffic(pin: Pin, scope: Scope, metric: str) -> dict[str, float]:
    """By site_id, the median of the daily means of the last four weeks in which the site was measured, in the metric's
    unit. Sites that were never measured are not in it.
    """
    sql = f"""SELECT key, median(value) AS usual FROM (
                SELECT key, {metric}_mean AS value FROM telemetry_1d WHERE level = 'site' AND {metric}_mean IS NOT NULL
                QUALIFY row_number() OVER (PARTITION BY key ORDER BY ts DESC) <= {USUAL_DAYS})
              GROUP BY key ORDER BY key"""
    rows = query(pin, sql, ["telemetry_1d"], scope=scope)
    return dict(zip(rows["key"].astype(str), rows["usual"].astype(float), strict=True))


WEEK = pd.Timedelta(weeks=1)
# Site-days that are read at once, as for the rollups: a few hundred MB.
PIECE_SITE_DAYS = 20_000


@reads("telemetry", "telemetry_1d", "sites", "capacity")
def weekly(
    pin: Pin, scope: Scope, metrics: tuple[str, ...], start: datetime, end: datetime, sites: SiteFilter = None
) -> pd.DataFrame:
    """level, key, metric, week, peak, p95, samples, completeness of all sites, regions and the network, start <= ts <
    end, by series and week; of the sites of a filter, and what they are together, where there is one.

    `week` is Monday 00:00 UTC; `peak` the highest sample and `p95` the 95th percentile of the samples, in the metric's
    unit. A region's sample is the sum over its sites at that stamp, none where too few of them report; under a narrower
    scope, over the sites in scope. `samples` counts the stamps with a value, `completeness` (0 to 1) is the part of the
    whole week that they cover. A week without a value has no row. SettingError for an unknown metric.
    """
    known_metrics(metrics)
    frames = [_weeks_at_once(pin, metrics, span, (start, end), scope, sites) for span in _week_spans(pin, start, end)]
    nonempty = [frame for frame in frames if not frame.empty] or frames[:1]
    return pd.concat(nonempty, ignore_index=True).sort_values(["level", "key", "metric", "week"], ignore_index=True)


def _week_spans(pin: Pin, start: datetime, end: datetime) -> Iterator[Span]:
    """Whole weeks that cover start to end, as many together as fit in memory; one where there are none."""
    sites = int(query(pin, "SELECT count(*) AS n FROM sites", ["sites"], scope=EVERYTHING)["n"].iloc[0])
    size = max(1, PIECE_SITE_DAYS // (7 * max(1, sites))) * WEEK
    monday = week_start(pd.Timestamp(start))
    yield monday, monday + size
    while (monday := monday + size) < end:
        yield monday, monday + size


def _weeks_at_once(
    pin: Pin, metrics: tuple[str, ...], weeks: Span, limits: Span, scope: Scope, sites: SiteFilter
) -> pd.DataFrame:
    """The rows of some weeks. Grains are measured on whole days; of these, only samples within `limits` count."""
    days = weeks[0], min(weeks[1], pd.Timestamp(limits[1]).ceil("D"))
    with connection(pin, ["telemetry", "telemetry_1d", "sites", "capacity"], scope=scope, span=days) as cursor:
        dates = f"SELECT * FROM telemetry_1d WHERE {in_filter('key', sites)}"
        cursor.execute(f"CREATE TEMP TABLE _first AS {first_seen(dates)}")
        samples = f"{in_span(*days)} AND {in_filter('site_id', sites)}"
        aggregate_sites(cursor, SampleFilter(samples, metrics=tuple(METRIC[name] for name in metrics)))
        _measure(
            cursor, metrics, in_span(max(weeks[0], pd.Timestamp(limits[0])), min(weeks[1], pd.Timestamp(limits[1])))
        )
        return cursor.sql(" UNION ALL ".join(_of_metric(name) for name in metrics)).to_arrow_table().to_pandas()


def _measure(cursor: Cursor, metrics: tuple[str, ...], within: str) -> None:
    """The table `_weeks`: a row for each series and week, with the statistics of every metric and the seconds that its
    samples cover.
    """
    statistics = ", ".join(
        f"max({m}) AS {m}_peak, quantile_cont({m}, 0.95) AS {m}_p95, count({m}) AS {m}_samples, sum(seconds) FILTER ({m} IS NOT NULL) AS {m}_seconds"
        for m in metrics
    )
    grouped = f"date_trunc('week', ts) AS week, {statistics}"
    cursor.execute(f"""CREATE TEMP TABLE _weeks AS
        SELECT 'site' AS level, site_id AS key, {grouped} FROM telemetry JOIN _grain USING (site_id, date) WHERE {within} GROUP BY ALL
        UNION ALL BY NAME SELECT level, key, {grouped} FROM _aggregates JOIN _grid_grain USING (date) WHERE {within} GROUP BY ALL""")


def _of_metric(name: str) -> str:
    """SQL: the rows of one metric."""
    return f"""SELECT level, key, '{name}' AS metric, week, {name}_peak AS peak, {name}_p95 AS p95, {name}_samples AS samples,
        least(1.0, {name}_seconds / {WEEK.total_seconds()}) AS completeness FROM _weeks WHERE {name}_samples > 0"""


# What screening looks at
# ----------------------------------------------------------------------------------------------------------------------


def daily_highs(pin: Pin, metric: str, start: datetime, end: datetime) -> pd.DataFrame:
    """site_id, ts (the day), value (the highest sample, those that are set aside too), capacity_gbps (the highest in force on the
    day; null where none is), start <= ts < end, of one metric of all sites.
    """
    aside = (
        f"SELECT site_id, ts::DATE AS date, max(value) AS aside FROM set_aside WHERE metric = '{metric}' GROUP BY ALL"
    )
    sql = f"""
        WITH steps AS ({_steps(metric)}),
        days AS (SELECT key AS site_id, ts, {metric}_max AS value FROM telemetry_1d WHERE level = 'site' AND ts >= $start AND ts < $end),
        highs AS (SELECT coalesce(d.site_id, a.site_id) AS site_id, coalesce(d.ts, a.date::TIMESTAMPTZ) AS ts, greatest(d.value, a.aside) AS value
                  FROM days d FULL JOIN ({aside}) a ON a.site_id = d.site_id AND a.date = d.ts::DATE)
        SELECT h.site_id, h.ts, h.value, greatest(nullif(s.capacity_gbps, 0), nullif(e.capacity_gbps, 0)) AS capacity_gbps FROM highs h
        ASOF LEFT JOIN steps s ON s.site_id = h.site_id AND h.ts >= s.effective_from
        ASOF LEFT JOIN steps e ON e.site_id = h.site_id AND h.ts + INTERVAL 1 DAY > e.effective_from
        WHERE h.value > 0 AND h.ts >= $start ORDER BY ALL"""
    parameters = {"start": pd.Timestamp(start).floor("D"), "end": end}
    return query(pin, sql, ["telemetry_1d", "capacity", "set_aside"], scope=EVERYTHING, parameters=parameters)


def hourly_highs(pin: Pin, metric: str, sites: SiteFilter, start: datetime, end: datetime) -> pd.DataFrame:
    """site_id, ts, value: the highest sample of every hour, those that are set aside too, start <= ts < end, of some sites."""
    aside = f"""SELECT site_id, date_trunc('hour', ts) AS ts, max(value) AS aside FROM set_aside WHERE metric = '{metric}'
                AND {in_filter("site_id", sites)} AND {in_span(start, end)} GROUP BY ALL"""
    sql = f"""SELECT coalesce(h.key, a.site_id) AS site_id, coalesce(h.ts, a.ts) AS ts, greatest({metric}_max, aside) AS value
        FROM (SELECT key, ts, {metric}_max FROM telemetry_1h
              WHERE level = 'site' AND {in_filter("key", sites)} AND {in_span(start, end)}) h
        FULL JOIN ({aside}) a ON a.site_id = h.key AND a.ts = h.ts ORDER BY ALL"""
    return query(pin, sql, ["telemetry_1h", "set_aside"], scope=EVERYTHING, span=(start, end))


def samples_as_measured(pin: Pin, metric: str, days: pd.DataFrame) -> pd.DataFrame:
    """site_id, ts, value, capacity_gbps (in force; null where none is) of the samples of one metric on some days (site_id, date),
    those that are set aside too.
    """
    dates = pd.DatetimeIndex(days["date"])
    span = dates.min(), dates.max() + pd.Timedelta(days=1)
    listed = ", ".join(f"DATE '{day:%Y-%m-%d}'" for day in dates.unique())
    wanted = days.assign(date=dates.tz_localize(None))
    sql = f"""
        SELECT t.site_id, t.ts, {metric} AS value, nullif(capacity_gbps, 0) AS capacity_gbps
        FROM (SELECT * FROM telemetry WHERE date IN ({listed}) AND {metric} IS NOT NULL) t
        SEMI JOIN _days d ON d.site_id = t.site_id AND d.date::DATE = t.date
        ASOF LEFT JOIN ({_steps(metric)}) s ON s.site_id = t.site_id AND t.ts >= s.effective_from ORDER BY t.site_id, t.ts"""
    with connection(as_measured(pin), ["telemetry", "capacity"], scope=EVERYTHING, span=span) as cursor:
        cursor.register("_days", wanted)
        return cursor.sql(sql).to_arrow_table().to_pandas()


def _steps(metric: str) -> str:
    """SQL: the steps of installed capacity that limit a metric; none where it has no direction."""
    direction = DIRECTION_OF.get(metric)
    return f"SELECT site_id, effective_from, capacity_gbps FROM ({steps_in_force()}) WHERE direction = '{direction}'"
