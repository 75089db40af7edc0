"""Futures for the small lakes: paths that rise in a straight line, each site as a test wants it, spread evenly around
it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from data.lake.tables import Lake

WEEKS, PATHS = 78, 20
# Futures of a site lie this far to both sides of its line, as a share; a P95 lies below its peak by a tenth.
SPREAD, P95_SHARE = 0.05, 0.9


def publish_futures(
    lake: Lake, run: str, now: pd.Timestamp, lines: Mapping[str, tuple[float, float]], regions: Mapping[str, str]
) -> None:
    """Append `paths` of egress by site (first week's and last week's median, Gbps), and of regions and the network as
    their sums.
    """
    around = 1.0 + np.linspace(-SPREAD, SPREAD, PATHS)
    draws = {site: np.linspace(first, last, WEEKS)[:, None] * around for site, (first, last) in lines.items()}
    rows = [
        *_rows(run, now, "site", draws),
        *_rows(run, now, "region", _sums(draws, regions)),
        *_rows(run, now, "global", _sums(draws, dict.fromkeys(lines, "all"))),
    ]
    lake.append("simulated_peaks", pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False))


def _sums(draws: Mapping[str, np.ndarray], groups: Mapping[str, str]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for site, own in draws.items():
        found[groups[site]] = found.get(groups[site], 0.0) + own
    return found


def _rows(run: str, now: pd.Timestamp, level: str, draws: Mapping[str, np.ndarray]) -> list[dict[str, object]]:
    monday = now.floor("D") - pd.Timedelta(days=now.weekday())
    weeks = pd.date_range(monday, periods=WEEKS, freq="7D", unit="us")
    series = {"run_id": run, "level": level, "metric": "egress_gbps"}
    return [
        {**series, "key": key, "week": week, "statistic": statistic, "samples": (own[at] * share).astype(np.float32)}
        for key, own in draws.items()
        for at, week in enumerate(weeks)
        for statistic, share in (("peak", 1.0), ("p95", P95_SHARE))
    ]
