"""Small lakes for the tests of the pages: six sites, a few days, made row by row so that a test knows what must be
there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake

SITES = pd.DataFrame(
    [
        ("fra-01", "Frankfurt 1", "eu-west", "Europe West", "Frankfurt", "DE", 50.1, 8.7, "Europe/Berlin", "Nordlicht"),
        (
            "ams-01",
            "Amsterdam 1",
            "eu-west",
            "Europe West",
            "Amsterdam",
            "NL",
            52.3,
            4.9,
            "Europe/Amsterdam",
            "Nordlicht",
        ),
        (
            "gru-01",
            "Sao Paulo 1",
            "sa",
            "South America",
            "Sao Paulo",
            "BR",
            -23.5,
            -46.6,
            "America/Sao_Paulo",
            "Sul Redes",
        ),
        ("nrt-01", "Tokyo 1", "asia", "Asia", "Tokyo", "JP", 35.7, 139.8, "Asia/Tokyo", "Hikari"),
        ("nrt-02", "Tokyo 2", "asia", "Asia", "Tokyo", "JP", 35.6, 139.7, "Asia/Tokyo", "Hikari"),
        (
            "iad-01",
            '"><script>alert(1)</script>',
            "na-east",
            "=cmd()",
            "Ashburn",
            "US",
            39.0,
            -77.5,
            "America/New_York",
            None,
        ),
    ],
    columns=["site_id", "name", "region_id", "region_name", "city", "country", "lat", "lon", "timezone", "partner"],
).assign(roles="ingest,edge", lead_time_days=60.0)
OPTIONAL = {
    "streams": 90.0,
    "viewers": 270.0,
    "rebuffer_ratio": 2e-5,
    "startup_seconds": 0.006,
    "playback_failure_ratio": 1e-5,
    "ingest_starved_ratio": 1e-5,
    "transcode_used_ratio": 1e-3,
}
# The site that fell silent, and for how many steps; the site that has a hole.
SILENT, SILENT_STEPS, HOLED = "ams-01", 30, "gru-01"


def make_lake(
    where: Path, start: str, *, days: int = 4, source: str = "simulator:seed-7", optional: bool = True, run: bool = True
) -> Lake:
    """A lake with `days` whole days of telemetry from `start`, one snapshot, one refusal and, where asked for, one
    published run.
    """
    lake = Lake(where)
    telemetry = _telemetry(pd.date_range(start, periods=days * 288, freq="5min", tz="UTC"), optional=optional)
    _write(lake, "sites", SITES)
    _write(lake, "capacity", _capacity(telemetry["ts"].min()))
    _write(lake, "telemetry", telemetry)
    _write(lake, "snapshots", _snapshot(telemetry, source))
    _write(lake, "quarantine", _refusal(telemetry["ts"].max()))
    refresh_rollups(lake)
    if run:
        publish_run(lake, telemetry["ts"].max())
    return lake


def publish_run(lake: Lake, until: pd.Timestamp, number: int = 88) -> None:
    """Publish an empty run: enough to be named in the strip."""
    counts = {"seconds": 61.0, "fitted": 30, "refused": 1, "failed": 0}
    row = {
        "run_id": f"r{number}",
        "number": number,
        "telemetry_version": 1,
        "telemetry_until": until,
        "engine": "prophet",
        "versions": "{}",
        "started": until,
    }
    _write(lake, "runs", pd.DataFrame([row | counts]), append=True)


def _write(lake: Lake, name: str, rows: pd.DataFrame, *, append: bool = False) -> None:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    if append:
        lake.append(name, table)
    else:
        lake.replace(name, table)


def _telemetry(stamps: pd.DatetimeIndex, *, optional: bool) -> pd.DataFrame:
    return pd.concat([_site(site, number, stamps, optional=optional) for number, site in enumerate(SITES["site_id"])])


def _site(site: str, number: int, stamps: pd.DatetimeIndex, *, optional: bool) -> pd.DataFrame:
    """A daily wave, 100 Gbps larger at each next site."""
    wave = 100.0 * (number + 1) * (1.5 + np.sin(2 * np.pi * (stamps.hour + stamps.minute / 60 + 3 * number) / 24))
    extra: dict[str, Any] = {name: wave * factor for name, factor in OPTIONAL.items()} if optional else {}
    rows = pd.DataFrame(
        {
            "ts": stamps,
            "received_at": stamps + pd.Timedelta("40s"),
            "site_id": site,
            "ingest_gbps": wave / 15,
            "egress_gbps": wave,
            **extra,
        }
    )
    if site == SILENT:
        return rows.iloc[:-SILENT_STEPS]
    return rows.drop(rows.index[300:400]) if site == HOLED else rows


def _capacity(start: pd.Timestamp) -> pd.DataFrame:
    rows = [
        (site, way, start, size * (n + 1))
        for n, site in enumerate(SITES["site_id"])
        for way, size in (("egress", 300.0), ("ingest", 20.0))
    ]
    return pd.DataFrame(rows, columns=["site_id", "direction", "effective_from", "capacity_gbps"]).assign(
        status="installed"
    )


def _snapshot(telemetry: pd.DataFrame, source: str) -> pd.DataFrame:
    counts = {"rows": len(telemetry) + 12, "rows_accepted": len(telemetry), "rows_quarantined": 12}
    ends = {"first_ts": telemetry["ts"].min(), "last_ts": telemetry["ts"].max(), "ingested_at": telemetry["ts"].max()}
    return pd.DataFrame(
        [{"sha256": "a" * 64, "source": source, "table": "telemetry", "state": "partial", **counts, **ends}]
    )


def _refusal(moment: pd.Timestamp) -> pd.DataFrame:
    words = {
        "column": "egress_gbps",
        "value": "-3.2",
        "bound": "0 to 1,000,000",
        "cause": "a counter that wrapped",
        "remedy": "send these rows again",
    }
    place = {
        "sha256": "a" * 64,
        "source": 'inbox/"><script>alert(1)</script>.parquet',
        "table": "telemetry",
        "kept_at": "quarantine/aaaa",
    }
    return pd.DataFrame([{**place, "refused_at": moment, "level": "rows", "count": 12, **words}])
