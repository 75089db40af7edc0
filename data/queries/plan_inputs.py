"""What capacity planning reads: the tables of a plan (simulated futures of the newest run, capacity, sites, the last
week), what capacity is billed by and costs, when it is busy, and how full sites were while their viewers fared well or
badly.

Billing is of sums. A percentile of a sum is taken of the samples summed at each stamp, never of percentiles added up;
means do add up, so that the hours of the day come from the hourly rollup wherever a viewer sees whole regions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from math import ceil
from typing import NamedTuple

import pandas as pd

from data.lake.aggregation import SampleFilter, aggregate_sites, first_seen
from data.lake.capacity_in_force import capacity_in_force, steps_in_force
from data.lake.query import (
    EVERYTHING,
    Cursor,
    Scope,
    SiteFilter,
    connection,
    files_within,
    in_filter,
    in_span,
    query,
    reads,
)
from data.lake.tables import Pin, Span
from data.queries.forecasts import Futures, Run, futures, latest_run
from data.queries.lake_state import extent, last_weeks
from data.queries.model_inputs import usual_traffic, weekly
from data.queries.network import catalogue
from data.queries.series import GROUP_TABLES, aggregate_group, capacity, known_metrics, whole_regions
from data.schema import LEVELS, LICENSED_ENGINE, METRIC, TELEMETRY, Direction, Level
from data.schema.errors import SettingError


class PlanTables(NamedTuple):
    """futures: by level, None where the run has none. status: key, status, reason, observations (hours) of the sites
    that the run met. capacity, sites: the contract's. weeks: rows of `weekly` of the last whole week, of regions and
    the network the sum of the sites that have futures. usual: usual_traffic of the direction. now: the end of the
    telemetry.
    """

    run: Run
    now: pd.Timestamp
    futures: dict[Level, Futures | None]
    status: pd.DataFrame
    capacity: pd.DataFrame
    sites: pd.DataFrame
    weeks: pd.DataFrame
    usual: Mapping[str, float]

    @property
    def draws_futures(self) -> bool:
        """Whether the run can be planned from: its engine simulates futures, if only to refuse every site with a
        reason.
        """
        return self.run.engine == LICENSED_ENGINE or any(drawn is not None for drawn in self.futures.values())


@reads("series_status", capacity, futures, latest_run, extent, catalogue, weekly, usual_traffic)
def plan_tables(pin: Pin, scope: Scope, direction: Direction, statistic: str) -> PlanTables | None:
    """The tables of a plan, of one direction and weekly statistic; None where the lake holds no telemetry or no published
    run.
    """
    run, telemetry = latest_run(pin, EVERYTHING), extent(pin, EVERYTHING)
    if run is None or telemetry is None:
        return None
    metric = f"{direction}_gbps"
    sql = """SELECT key, status, reason, observations FROM series_status
             WHERE run_id = $run AND level = 'site' AND metric = $metric ORDER BY key"""
    status = query(
        pin,
        sql,
        ["series_status"],
        scope=scope,
        partitions={"run_id": (run.run_id,)},
        parameters={"run": run.run_id, "metric": metric},
    )
    by_level = {level: futures(pin, scope, level, metric, statistic) for level in LEVELS}
    drawn = by_level["site"]
    refused = set(status.loc[status["status"] == "refused", "key"])
    with_futures = () if drawn is None else tuple(key for key in drawn.keys if key not in refused)
    span = last_weeks(telemetry, 1)
    weeks = weekly(pin, scope, (metric,), *span)
    if with_futures and not set(status["key"]).issubset(with_futures):
        sums = weekly(pin, scope, (metric,), *span, with_futures)
        weeks = pd.concat([weeks[weeks["level"] == "site"], sums[sums["level"] != "site"]], ignore_index=True)
    return PlanTables(
        run,
        telemetry.now,
        by_level,
        status,
        capacity(pin, scope),
        catalogue(pin, scope),
        weeks,
        usual_traffic(pin, scope, metric),
    )


MONTHLY = ("partner", "month", "metric", "p95", "apart", "samples", "completeness")
# A port is billed by the sample that is left on top once the busiest 5 % of the month, 36 hours, are struck out.
BILLED = 0.95
# Half a year for some twenty viewers of different sites.
MONTHS_KEPT = 120
TABLES = ["telemetry", "telemetry_1d", "sites", "capacity"]


@reads("telemetry", "telemetry_1d", "sites", "capacity")
def partner_months(
    pin: Pin, scope: Scope, metrics: tuple[str, ...], start: datetime, end: datetime, sites: SiteFilter = None
) -> pd.DataFrame:
    """partner, month, metric, p95, apart, samples, completeness of every month (UTC) from that of `start` to that of
    `end`, by partner, month and metric; of the sites of a filter, where there is one.

    `p95` is the 95th percentile, as ports are billed, of the sum over the partner's sites at each stamp, in the
    metric's unit; `apart` the sum of the sites' own. A stamp counts where enough of the sites report, as in a region.
    `samples` counts the stamps, `completeness` (0 to 1) is the part of the whole month
    that they cover: less than 1 while it lasts. Sites without a partner are left out. SettingError for a metric that
    does not add up. A month is computed
    once in a process, until something changes that it depends on: new samples cost the month that they fall into.
    """
    _adds_up(metrics)
    since = (
        query(pin, f"{_first_seen(sites)} ORDER BY site_id", ["telemetry_1d"], scope=scope)
        .set_index("site_id")
        .apply(pd.to_datetime)
    )
    frames = [
        _of_month(_MonthQuery(month, metrics, scope, sites, _dependencies(pin, month, since), pin))
        for month in _months(start, end)
    ]
    return pd.concat(frames, ignore_index=True)[list(MONTHLY)].sort_values(
        ["partner", "month", "metric"], ignore_index=True
    )


@reads("telemetry_1h", "telemetry", "telemetry_1d", "sites", "capacity", whole_regions)
def hours_of_day(
    pin: Pin, scope: Scope, metric: str, start: datetime, end: datetime, sites: SiteFilter = None
) -> pd.DataFrame:
    """region_id, hour (0 to 23, UTC), value (mean over the days, in the metric's unit), days (that have the hour), by
    region and hour; start <= ts < end. Of the sites of a filter, where there is one, as in group_hours.

    Hours in which too few of the region's sites report do not count. SettingError for a metric that does not add up.
    """
    _adds_up((metric,))
    within = in_span(start, end)
    tables = [*GROUP_TABLES, "telemetry"] if sites is None and not scope.all else GROUP_TABLES
    with connection(pin, tables, scope=scope, span=(start, end)) as cursor:
        regions = None if sites is None else tuple(whole_regions(pin, scope, sites))
        hours = f"""SELECT key, ts, {metric}_mean AS value FROM telemetry_1h
                    WHERE level = 'region' AND {within} AND {in_filter("key", regions)}"""
        if sites is not None:
            aggregate_group(cursor, sites, (metric,), within)
            parts = f"SELECT key, ts, {metric} AS value FROM _aggregates WHERE level = 'region' AND NOT {in_filter('key', regions or ('',))}"
            hours = f"{hours} UNION ALL {parts}"
        elif not scope.all:
            _aggregate_regions(cursor, within, (metric,))
            hours = f"SELECT key, ts, {metric} AS value FROM _aggregates WHERE level = 'region'"
        sql = f"""SELECT key AS region_id, hour(ts)::BIGINT AS hour, avg(value) AS value, count(DISTINCT date_trunc('day', ts)) AS days
                  FROM ({hours}) WHERE value IS NOT NULL GROUP BY ALL ORDER BY ALL"""
        return cursor.sql(sql).to_arrow_table().to_pandas()


def _adds_up(metrics: tuple[str, ...]) -> None:
    """Raise SettingError for what is not in the contract, or is a mean."""
    known_metrics(metrics)
    if means := [name for name in metrics if METRIC[name].aggregate != "sum"]:
        raise SettingError(
            f"{means[0]} of several sites is a mean, and is not billed.", remedy="ask for traffic, streams or viewers"
        )


def _months(start: datetime, end: datetime) -> Iterator[Span]:
    """The months that lie between the two moments, at least the first."""
    month = pd.Timestamp(start).floor("D").replace(day=1)
    yield month, month + pd.DateOffset(months=1)
    while (month := month + pd.DateOffset(months=1)) < end:
        yield month, month + pd.DateOffset(months=1)


@dataclass(frozen=True, slots=True)
class _MonthQuery:
    """The arguments of one month's query with all that its result depends on: the key of the cache. `pin` says where to
    read and is no part of the key.
    """

    span: Span
    metrics: tuple[str, ...]
    scope: Scope
    sites: SiteFilter
    depends_on: tuple[object, ...]
    pin: Pin = field(compare=False)


def _dependencies(pin: Pin, month: Span, since: pd.DataFrame) -> tuple[object, ...]:
    """What the rows of a month depend on: the files of its samples, the tables of sites and capacity, and `since` when
    each site had each metric, where that was not later.
    """
    first_seen_by_then = since.where(since < month[1].replace(tzinfo=None)).dropna(how="all").to_csv()
    return (
        pin.url,
        pin.born,
        pin.version("sites"),
        pin.version("capacity"),
        pin.version("set_aside"),
        first_seen_by_then,
        *files_within(pin, TELEMETRY, month),
    )


@lru_cache(maxsize=MONTHS_KEPT)
def _of_month(month_query: _MonthQuery) -> pd.DataFrame:
    """The rows of one month: a partner's sites are added up as those of a region are."""
    month, metrics = month_query.span, month_query.metrics
    with connection(month_query.pin, TABLES, scope=month_query.scope, span=month) as cursor:
        cursor.execute("CREATE TEMP TABLE _by_partner AS SELECT * REPLACE (partner AS region_id) FROM sites")
        cursor.execute("CREATE OR REPLACE TEMP VIEW sites AS SELECT * FROM _by_partner")
        _aggregate_regions(cursor, in_span(*month), metrics, month_query.sites)
        own = ", ".join(f"{_percentile(name)} AS {name}" for name in metrics)
        cursor.execute(
            f"CREATE TEMP TABLE _own AS SELECT site_id, {own} FROM telemetry SEMI JOIN _first USING (site_id) WHERE {in_span(*month)} GROUP BY site_id"
        )
        seconds = (month[1] - month[0]).total_seconds()
        return (
            cursor.sql(" UNION ALL ".join(_billed(name, month, seconds) for name in metrics))
            .to_arrow_table()
            .to_pandas()
        )


def _aggregate_regions(cursor: Cursor, within: str, metrics: tuple[str, ...], sites: SiteFilter = None) -> None:
    """The tables of aggregate_sites, of regions alone."""
    cursor.execute(f"CREATE TEMP TABLE _first AS {_first_seen(sites)}")
    samples = f"{within} AND {in_filter('site_id', sites)}"
    aggregate_sites(cursor, SampleFilter(samples, "level = 'region'", tuple(METRIC[name] for name in metrics)))


def _first_seen(sites: SiteFilter) -> str:
    return first_seen(f"SELECT * FROM telemetry_1d WHERE {in_filter('key', sites)}")


def _billed(name: str, month: Span, seconds: float) -> str:
    """SQL: the rows of one metric."""
    return f"""
        SELECT key AS partner, TIMESTAMPTZ '{month[0].isoformat()}' AS month, '{name}' AS metric, any_value(p95) AS p95, any_value(apart) AS apart,
               any_value(samples) AS samples, least(1.0, any_value(covered) / {seconds}) AS completeness
        FROM (SELECT key, {_percentile(name)} AS p95, count({name}) AS samples, sum(seconds) FILTER ({name} IS NOT NULL) AS covered
              FROM _aggregates JOIN _grid_grain USING (date) GROUP BY key)
        JOIN (SELECT partner AS key, sum({name}) AS apart FROM sites JOIN _own USING (site_id) GROUP BY partner) USING (key)
        WHERE samples > 0 GROUP BY key"""


def _percentile(name: str) -> str:
    """SQL: the highest value once the top 5 % of the samples are struck out, counted in whole samples: a decimal
    quantile is reckoned without rounding.
    """
    return f"quantile_disc({name}, {BILLED})"


@reads("capacity")
def capacity_now(pin: Pin, scope: Scope, direction: Direction, now: datetime) -> pd.DataFrame:
    """site_id, capacity_gbps and cost_usd_month of what is in force now, of the sites that declare any."""
    sql = f"""SELECT site_id, capacity_gbps, cost_usd_month FROM ({capacity_in_force(now)})
              WHERE direction = $direction ORDER BY site_id"""
    return query(pin, sql, ["capacity"], scope=scope, parameters={"direction": direction})


# Rows that are fetched at most: some 100 MB as a frame.
MOST_ROWS = 1_500_000


@reads("telemetry", "capacity", "sites", extent)
def loads(
    pin: Pin,
    scope: Scope,
    region_id: str | None,
    direction: Direction,
    quality: str,
    start: datetime,
    end: datetime,
    most: int = MOST_ROWS,
) -> pd.DataFrame:
    """ts, site_id, utilisation (traffic over the capacity installed at ts), quality (the metric of that name), start <=
    ts < end, of a region's sites or all.

    Samples without either are left out, and those that fell on a site without capacity. Of more than about `most`
    samples every second, third ... stamp is taken, the same ones at all sites.
    """
    known_metrics((quality,))
    telemetry = extent(pin, scope)
    if telemetry is None:
        return pd.DataFrame(columns=["ts", "site_id", "utilisation", "quality"])
    every = stride(
        telemetry.sites, (pd.Timestamp(end) - pd.Timestamp(start)).total_seconds(), telemetry.grain_seconds, most
    )
    sql = f"""
        WITH steps AS (SELECT site_id, effective_from, capacity_gbps FROM ({steps_in_force()}) WHERE direction = $direction),
        samples AS (SELECT ts, site_id, {direction}_gbps AS gbps, {quality} AS quality FROM telemetry
                    WHERE ts >= $start AND ts < $end AND {direction}_gbps IS NOT NULL AND {quality} IS NOT NULL
                      AND (epoch(ts)::BIGINT // {telemetry.grain_seconds}) % {every} = 0
                      AND ($region IS NULL OR site_id IN (SELECT site_id FROM sites WHERE region_id = $region)))
        SELECT ts, x.site_id, gbps / capacity_gbps AS utilisation, quality
        FROM samples x ASOF JOIN steps s ON x.site_id = s.site_id AND x.ts >= s.effective_from WHERE capacity_gbps > 0 ORDER BY site_id, ts"""
    parameters = {"start": start, "end": end, "region": region_id, "direction": direction}
    return query(pin, sql, ["telemetry", "capacity", "sites"], scope=scope, span=(start, end), parameters=parameters)


def stride(sites: int, seconds: float, grain_seconds: int, most: int) -> int:
    """Every how many stamps a sample is taken, so that about `most` are: 1 takes all."""
    return max(1, ceil(sites * seconds / grain_seconds / most))
