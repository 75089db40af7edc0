"""What a refresh reads: every series of the lake at once, by hour and at the telemetry's grain, and the rows of an
earlier run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from data.lake.aggregation import MEASURED, SampleFilter, aggregate_sites, first_seen
from data.lake.query import connection, query
from data.lake.tables import Pin
from data.schema import METRIC


def hourly(pin: Pin, metrics: Sequence[str], start: datetime, end: datetime) -> pd.DataFrame:
    """level, key, ts, completeness and the hourly mean of each metric, of all sites, regions and the network, start <=
    ts < end. Missing is NaN.
    """
    means = ", ".join(f"{name}_mean AS {name}" for name in metrics)
    sql = f"SELECT level, key, ts, completeness, {means} FROM telemetry_1h WHERE ts >= $start AND ts < $end"
    with connection(pin, ["telemetry_1h"], span=(start, end)) as cursor:
        return cursor.sql(sql, params={"start": start, "end": end}).to_arrow_table().to_pandas()


def measured_since(pin: Pin, start: datetime, end: datetime) -> bool:
    """Whether a site measured anything, start <= ts < end: rows without any value are in no rollup."""
    sql = f"SELECT count(*) AS n FROM telemetry WHERE ts >= $start AND ts < $end AND {MEASURED}"
    return bool(query(pin, sql, ["telemetry"], span=(start, end), parameters={"start": start, "end": end})["n"].iloc[0])


def samples(pin: Pin, metrics: Sequence[str], start: datetime, end: datetime) -> pd.DataFrame:
    """level, key, ts and each metric, at the telemetry's grain, of all sites, regions and the network, start <= ts <
    end. Missing is NaN.

    A region's sample is the sum over its sites, missing where too few of them report, as in the rollups.
    """
    columns = ", ".join(metrics)
    bounds = (
        f"ts >= TIMESTAMPTZ '{pd.Timestamp(start).isoformat()}' AND ts < TIMESTAMPTZ '{pd.Timestamp(end).isoformat()}'"
    )
    with connection(pin, ["telemetry", "telemetry_1d", "sites", "capacity"], span=(start, end)) as cursor:
        cursor.execute(f"CREATE TEMP TABLE _first AS {first_seen('SELECT * FROM telemetry_1d')}")
        aggregate_sites(cursor, SampleFilter(bounds, metrics=tuple(METRIC[name] for name in metrics)))
        sites = f"SELECT 'site' AS level, site_id AS key, ts, {columns} FROM telemetry WHERE {bounds}"
        return (
            cursor.sql(f"{sites} UNION ALL BY NAME SELECT level, key, ts, {columns} FROM _aggregates")
            .to_arrow_table()
            .to_pandas()
        )


def run_rows(pin: Pin, table: str, run_id: str) -> pd.DataFrame:
    """The rows that a run wrote to one of the tables by series, without run_id."""
    sql = f"SELECT * EXCLUDE (run_id) FROM {table} WHERE run_id = $run"
    return query(pin, sql, [table], partitions={"run_id": (run_id,)}, parameters={"run": run_id})
