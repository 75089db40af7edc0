"""What left its band: stretches in which traffic lay outside what was expected, or quality was bad, those that touch
joined into one, with the sites that moved most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from data.lake.query import Scope, reads
from data.lake.tables import Pin
from data.queries.network import catalogue
from data.queries.series import site_hours
from data.schema import QUALITY_LIMITS

# A shorter stretch outside a 95 % band is what one in twenty samples does anyway.
SHORTEST = pd.Timedelta(minutes=15)
# Stretches that lie closer together than this are one.
APART = pd.Timedelta(hours=1)
WEEK = pd.Timedelta(days=7)
COLUMNS = ["start", "end", "metric", "metrics", "value", "expected", "at"]
DRIVERS = ["site_id", "name", "value", "week_ago"]


def anomalies(values: Mapping[str, pd.DataFrame], bands: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """start, end, metric (the one that lay furthest outside), metrics (all, in the order of `values`), value and expected
    (of that metric at its furthest; the bad limit for quality), at (when that was); newest first.

    values: ts, value by metric; bands: ts, expected, lower_95, upper_95 by metric, for those that have a band.
    """
    parts = []
    for metric, rows in values.items():
        if len(expected := bands.get(metric, pd.DataFrame())):
            parts.append(outside_stretches(beside_bounds(rows, expected)).assign(metric=metric))
        elif metric in QUALITY_LIMITS:
            limit = pd.DataFrame({"expected": [QUALITY_LIMITS[metric][1]]})
            parts.append(outside_stretches(beside_bounds(rows, limit)).assign(metric=metric))
    return joined(parts, list(values))


def beside_bounds(values: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """ts, value, expected, lower, upper; `expected` as of `bands`, or one row with a limit from above."""
    if "lower_95" in expected:
        bounds = expected[["ts", "expected", "lower_95", "upper_95"]].set_axis(
            ["ts", "expected", "lower", "upper"], axis=1
        )
        return values.merge(bounds, on="ts")
    limit = expected["expected"].iloc[0]
    return values.assign(expected=limit, lower=-np.inf, upper=limit)


def outside_stretches(rows: pd.DataFrame) -> pd.DataFrame:
    """start, end, at, value, expected of the stretches of SHORTEST or more outside the bounds; at the sample that lies
    furthest outside, as a share of what was expected.
    """
    step = rows["ts"].diff().median() if len(rows) > 1 else pd.Timedelta(0)
    beyond = np.maximum(rows["value"] - rows["upper"], rows["lower"] - rows["value"])
    found = rows.assign(beyond=beyond / rows["expected"].where(rows["expected"] > 0))[beyond > 0]
    run = (found["ts"].diff() > max(APART, step)).cumsum()
    groups = found.groupby(run)
    spans = groups["ts"].agg(["min", "max", "count"])
    kept = spans[spans["count"] * step >= SHORTEST]
    furthest = found.loc[groups["beyond"].idxmax().reindex(kept.index).dropna().astype(int)]
    return pd.DataFrame(
        {
            "start": kept["min"].to_numpy(),
            "end": (kept["max"] + step).to_numpy(),
            "at": furthest["ts"].to_numpy(),
            "value": furthest["value"].to_numpy(),
            "expected": furthest["expected"].to_numpy(),
            "beyond": furthest["beyond"].to_numpy(),
        }
    )


def joined(parts: Sequence[pd.DataFrame], metrics: Sequence[str]) -> pd.DataFrame:
    """Stretches of all metrics that overlap or lie less than APART from each other, as one; newest first."""
    nonempty = [part for part in parts if len(part)]
    if not nonempty:
        return pd.DataFrame(columns=COLUMNS)
    rows = pd.concat(nonempty, ignore_index=True).sort_values("start", ignore_index=True)
    for edge in ("start", "end", "at"):
        rows[edge] = pd.to_datetime(rows[edge], utc=True)
    begins = rows["start"] > rows["end"].cummax().shift() + APART
    grouped = []
    for _, group in rows.groupby(begins.cumsum()):
        lead = group.loc[group["beyond"].idxmax()]
        involved = [metric for metric in metrics if metric in set(group["metric"])]
        grouped.append(
            {
                "start": group["start"].min(),
                "end": group["end"].max(),
                "metric": lead["metric"],
                "metrics": involved,
                "value": lead["value"],
                "expected": lead["expected"],
                "at": lead["at"],
            }
        )
    return pd.DataFrame(grouped, columns=COLUMNS).iloc[::-1].reset_index(drop=True)


@reads(catalogue, site_hours)
def drivers(pin: Pin, scope: Scope, region_id: str | None, metric: str, at: datetime, most: int) -> pd.DataFrame:
    """site_id, name, value, week_ago (hourly means of the hour that holds `at`, and of the one a week before) of the
    sites of a region, or of the network, that moved most between the two; the furthest first.
    """
    sites = catalogue(pin, scope)
    sites = sites if region_id is None else sites[sites["region_id"] == region_id]
    hour, keys = pd.Timestamp(at).floor("h"), tuple(sites["site_id"])
    now, before = (
        site_hours(pin, scope, metric, keys, moment, moment + pd.Timedelta(hours=1)).set_index("site_id")["value"]
        for moment in (hour, hour - WEEK)
    )
    moved = sites[["site_id", "name"]].assign(
        value=sites["site_id"].map(now).to_numpy(float), week_ago=sites["site_id"].map(before).to_numpy(float)
    )
    moved = moved.dropna(subset=["value", "week_ago"], how="all")
    size = (moved["value"].fillna(0.0) - moved["week_ago"].fillna(0.0)).abs()
    return moved.assign(_size=size).nlargest(most, "_size")[DRIVERS].reset_index(drop=True)
