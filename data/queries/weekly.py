"""What had to fit: the peak and the P95 of every week, from the samples themselves. What peaks are forecast from, and
what a plan is scored by.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pandas as pd

from data.lake.aggregation import SampleFilter, aggregate_sites, first_seen
from data.lake.query import Cursor, Scope, connection, query
from data.lake.tables import Pin, Span
from data.queries.reads import reads
from data.queries.series import known_metrics
from data.schema import METRIC

WEEK = pd.Timedelta(weeks=1)
# Site-days that are read at once, as for the rollups: a few hundred MB.
PIECE_SITE_DAYS = 20_000
COLUMNS = ("level", "key", "metric", "week", "peak", "p95", "samples", "completeness")


@reads("telemetry", "telemetry_1d", "sites", "capacity")
def weekly(pin: Pin, scope: Scope, metrics: tuple[str, ...], start: datetime, end: datetime) -> pd.DataFrame:
    """level, key, metric, week, peak, p95, samples, completeness of all sites, regions and the network, start <= ts <
    end, by series and week.

    `week` is Monday 00:00 UTC; `peak` the highest sample and `p95` the 95th percentile of the samples, in the metric's
    unit. A region's sample is the sum over its sites at that stamp, none where too few of them report; under a narrower
    scope, over the sites in scope. `samples` counts the stamps with a value, `completeness` (0 to 1) is the part of the
    whole week that they cover. A week without a value has no row. SettingError for an unknown metric.
    """
    known_metrics(metrics)
    frames = [_piece(pin, metrics, span, (start, end), scope) for span in _pieces(pin, start, end)]
    held = [frame for frame in frames if not frame.empty] or frames[:1]
    return pd.concat(held, ignore_index=True).sort_values(["level", "key", "metric", "week"], ignore_index=True)


def _pieces(pin: Pin, start: datetime, end: datetime) -> Iterator[Span]:
    """Whole weeks that cover start to end, as many together as fit in memory; one where there are none."""
    sites = int(query(pin, "SELECT count(*) AS n FROM sites", ["sites"])["n"].iloc[0])
    size = max(1, PIECE_SITE_DAYS // (7 * max(1, sites))) * WEEK
    monday = pd.Timestamp(start).floor("D") - pd.Timedelta(days=pd.Timestamp(start).weekday())
    yield monday, monday + size
    while (monday := monday + size) < end:
        yield monday, monday + size


def _piece(pin: Pin, metrics: tuple[str, ...], weeks: Span, asked: Span, scope: Scope) -> pd.DataFrame:
    """The rows of some weeks. Grains are told from whole days; of these, only what was asked for counts."""
    days = weeks[0], min(weeks[1], pd.Timestamp(asked[1]).ceil("D"))
    with connection(pin, ["telemetry", "telemetry_1d", "sites", "capacity"], scope=scope, span=days) as cursor:
        cursor.execute(f"CREATE TEMP TABLE _first AS {first_seen('SELECT * FROM telemetry_1d')}")
        aggregate_sites(cursor, SampleFilter(_within(days), metrics=tuple(METRIC[name] for name in metrics)))
        _measure(
            cursor, metrics, _within((max(weeks[0], pd.Timestamp(asked[0])), min(weeks[1], pd.Timestamp(asked[1]))))
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


def _within(span: Span) -> str:
    return f"ts >= TIMESTAMPTZ '{span[0].isoformat()}' AND ts < TIMESTAMPTZ '{span[1].isoformat()}'"
