"""Small made-up networks to plan: sites on a map, capacity steps, paths that grow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from data.schema import Direction
from forecasting.planning.demand import Demand, Reals, Statistic

START = pd.Timestamp("2027-01-04", tz="UTC")


def weeks(count: int) -> pd.DatetimeIndex:
    return pd.date_range(START, periods=count, freq="7D", unit="us")


def names(count: int) -> tuple[str, ...]:
    return tuple(f"s{i:03d}" for i in range(count))


def demand(
    gbps: Reals, keys: Sequence[str] | None = None, direction: Direction = "egress", statistic: Statistic = "peak"
) -> Demand:
    return Demand(tuple(keys or names(len(gbps))), direction, statistic, weeks(gbps.shape[1]), gbps)


def steps(rows: Sequence[tuple[str, str, float, str]], direction: Direction = "egress") -> pd.DataFrame:
    """(site_id, date, Gbps, status)."""
    frame = pd.DataFrame(rows, columns=["site_id", "effective_from", "capacity_gbps", "status"])
    return frame.assign(
        direction=direction,
        effective_from=pd.to_datetime(frame["effective_from"], utc=True).astype("datetime64[us, UTC]"),
    )


def installed(gbps: Sequence[float], keys: Sequence[str] | None = None) -> pd.DataFrame:
    """Capacity that has always been there."""
    return steps(
        [(key, "2020-01-01", value, "installed") for key, value in zip(keys or names(len(gbps)), gbps, strict=True)]
    )


def world(count: int, seed: int = 1, regions: int = 4) -> pd.DataFrame:
    """Sites in clusters on the globe, in the contract's columns."""
    rng = np.random.default_rng(seed)
    region = np.arange(count) % regions
    lat = np.linspace(-40.0, 55.0, regions)[region] + rng.normal(0, 4, count)
    lon = np.linspace(-120.0, 140.0, regions)[region] + rng.normal(0, 6, count)
    partners = np.array(["acme", "bolt", "core"])[np.arange(count) % 3]
    ids = names(count)
    return pd.DataFrame(
        {
            "site_id": ids,
            "name": ids,
            "region_id": [f"r{i}" for i in region],
            "lat": lat,
            "lon": lon,
            "partner": partners,
            "lead_time_days": 60.0,
        }
    )


def growing(count: int, span: int, paths: int, seed: int = 1) -> Reals:
    """Lognormal levels that grow by a quarter a year, with noise of weeks and of paths, (count, span, paths)."""
    rng = np.random.default_rng(seed)
    level = 100.0 * np.exp(rng.normal(0, 0.7, (count, 1, 1)))
    slope = rng.normal(0.25, 0.15, (count, 1, paths)) / 52
    shared = rng.normal(0, 0.02, (1, span, paths)).cumsum(axis=1)
    return np.asarray(
        level * np.exp(slope * np.arange(span)[None, :, None] + shared + rng.normal(0, 0.05, (count, span, paths)))
    )
