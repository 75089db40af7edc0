"""A small lake with futures: some sites run out, one never does, one is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from data.lake.tables import Lake
from tests.futures import publish_futures
from tests.small_lake import SITES, make_lake

# A Monday: the first week of the futures is the one that the four days of telemetry lie in, and no whole week was
# measured before it.
START = pd.Timestamp("2026-05-04", tz="UTC")
# Limits are 80 % of 300 Gbps, 600, 900 and so on. Frankfurt is over, Amsterdam passes in a few months, the others never
# do; Tokyo 1 is refused.
LINES = {
    "fra-01": (260.0, 300.0),
    "ams-01": (430.0, 900.0),
    "gru-01": (300.0, 310.0),
    "nrt-02": (500.0, 510.0),
    "iad-01": (600.0, 610.0),
}
REFUSAL = "only 3 of 7 days *measured*"


def planned_lake(where: Path) -> Lake:
    """Four days of telemetry, capacity, and egress futures of five of six sites."""
    lake = make_lake(where, f"{START:%Y-%m-%d}")
    publish_futures(lake, "r88", START, LINES, dict(zip(SITES["site_id"], SITES["region_id"], strict=True)))
    fits = {
        "run_id": "r88",
        "level": "site",
        "key": "nrt-01",
        "metric": "egress_gbps",
        "status": "refused",
        "reason": REFUSAL,
        "observations": 72,
        "seconds": 0.1,
    }
    lake.append("series_status", pa.Table.from_pandas(pd.DataFrame([fits]), preserve_index=False))
    return lake
