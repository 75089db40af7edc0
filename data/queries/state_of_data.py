"""The state of the data: how complete and how fresh, what was refused, and which versions there are."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Lake, Pin
from data.queries.grid import ROWS, Matrix, spread, unrolled
from data.queries.lake_extent import extent
from data.queries.reads import reads
from data.schema import TABLES


@reads("sites", "telemetry_1d", extent)
def completeness(pin: Pin, scope: Scope, days: int) -> pd.DataFrame:
    """site_id, name, region_name, date, completeness (0 to 1; 0 where nothing arrived) for the last `days` UTC days,
    every site of the catalogue.

    Days before a site was first seen are null. The last day counts only up to now.
    """
    held = extent(pin, EVERYTHING)
    if held is None:
        return pd.DataFrame(columns=["site_id", "name", "region_name", "date", "completeness"])
    axis = pd.date_range(end=held.last.floor("D"), periods=days, freq="D", unit="us")
    sites = _sites(pin.only(("sites",)), scope)
    whole = _completeness(pin, sites["site_id"], axis, scope)
    whole[:, -1:] = np.minimum(1.0, whole[:, -1:] / min(1.0, (held.now - axis[-1]) / pd.Timedelta(days=1)))
    return unrolled(sites, "date", axis.date, completeness=whole)


# A small answer, and a pin never changes; it is read and not written to.
@lru_cache(maxsize=32)
def _sites(pin: Pin, scope: Scope) -> pd.DataFrame:
    sql = "SELECT site_id, name, coalesce(region_name, region_id) AS region_name FROM sites ORDER BY region_id, site_id"
    return query(pin, sql, ["sites"], scope=scope)


def _completeness(pin: Pin, sites: pd.Series, axis: pd.DatetimeIndex, scope: Scope) -> Matrix:
    """By site and day: 0 where nothing arrived, NaN before the site's first day."""
    sql = f"""SELECT row, (epoch_us(ts) - epoch_us($first)) // 86400000000 AS step, completeness AS value FROM telemetry_1d JOIN {ROWS} USING (key)
              WHERE level = 'site'"""
    found = query(pin, sql, ["telemetry_1d"], scope=scope, parameters={"first": axis[0], "sites": sites.tolist()})
    before = found["step"] < 0
    matrix = spread(len(sites), len(axis), found[~before])
    begun = np.logical_or.accumulate(~np.isnan(matrix), axis=1)
    begun[found.loc[before, "row"].unique()] = True
    return np.where(np.isnan(matrix) & begun, 0.0, matrix)


@reads("sites", "telemetry", "telemetry_1d", extent)
def freshness(pin: Pin, scope: Scope) -> pd.DataFrame:
    """site_id, name, last_ts, received_at (of that sample), age_seconds (now less the end of its interval) of every
    site; null where none ever came.
    """
    held = extent(pin, EVERYTHING)
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
        parameters={"last": held.last if held else None},
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
    found = [_as_committed(pin, name) for name, _ in pin.versions]
    return pd.DataFrame(found, columns=["table", "version", "committed", "rows", "bytes", "files", "operation"])


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
