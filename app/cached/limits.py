"""Safe utilisation: how full each site may run before its viewers feel it, learned from the samples of the last two
months.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from app.cached import Direction, Pin, Scope, catalogue, extent, memoize
from data import queries
from data.queries import reads
from data.queries.lake_state import last_days
from forecasting.planning.safe_utilisation import SafeUtilisation, safe_utilisation

__all__ = ["DAYS", "SafeLimits", "SafeUtilisation", "region_limits", "site_limits"]

# Two months hold enough busy evenings to see a knee, and little enough growth for it to be one.
DAYS = 60


class SafeLimits(NamedTuple):
    """What a region's samples tell: of each site that declares capacity and reports quality, and of the region as one
    (None where it has no such site).
    """

    sites: tuple[SafeUtilisation, ...]
    region: SafeUtilisation | None


@memoize
@reads(queries.loads, queries.extent, queries.catalogue)
def region_limits(pin: Pin, scope: Scope, direction: Direction, quality: str, region_id: str) -> SafeLimits:
    """The fits of one region, in a second or two where it is asked for the first time."""
    samples = _samples(pin, scope, direction, quality, region_id)
    groups = dict.fromkeys(catalogue(pin, scope)["site_id"].astype(str), region_id)
    region = safe_utilisation(samples, groups)
    return SafeLimits(tuple(safe_utilisation(samples)), region[0] if region else None)


@memoize
@reads(queries.loads, queries.extent)
def site_limits(pin: Pin, scope: Scope, direction: Direction, quality: str) -> tuple[SafeUtilisation, ...]:
    """The fits of all sites, from one reading of their samples; each is the same as its region's."""
    return tuple(safe_utilisation(_samples(pin, scope, direction, quality, None)))


@reads(queries.loads, queries.extent)
def _samples(pin: Pin, scope: Scope, direction: Direction, quality: str, region_id: str | None) -> pd.DataFrame:
    start, end = last_days(extent(pin, scope), DAYS)
    return queries.loads(pin, scope, region_id, direction, quality, start, end)
