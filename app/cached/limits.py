"""Safe utilisation, kept: how full each site of a region may run before its viewers feel it, learned from the samples
of the last two months.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from app.cached import MEASURED, Direction, Pin, Scope, _answer, catalogue
from data import queries
from forecasting.planning.safe_utilisation import SafeUtilisation, safe_utilisation

__all__ = ["DAYS", "SafeLimits", "SafeUtilisation", "safe_limits"]

# Two months hold enough busy evenings to see a knee, and little enough growth for it to be one.
DAYS = 60


class SafeLimits(NamedTuple):
    """What a region's samples tell: of each site that declares capacity and reports quality, and of the region as one
    (None where it has no such site).
    """

    sites: tuple[SafeUtilisation, ...]
    region: SafeUtilisation | None


def safe_limits(pin: Pin, direction: Direction, quality: str, region_id: str, scope: Scope) -> SafeLimits:
    """The fits of one region, in a second or two where it is asked for the first time."""
    return _answer(_safe_limits, MEASURED, pin, scope, direction=direction, quality=quality, region_id=region_id)


def _safe_limits(pin: Pin, scope: Scope, direction: Direction, quality: str, region_id: str) -> SafeLimits:
    held, sites = queries.extent(pin, scope), catalogue(pin, scope)
    if held is None:
        return SafeLimits((), None)
    samples = queries.loads(pin, scope, region_id, direction, quality, held.now - pd.Timedelta(days=DAYS), held.now)
    groups = dict.fromkeys(sites["site_id"].astype(str), region_id)
    region = safe_utilisation(samples, groups)
    return SafeLimits(tuple(safe_utilisation(samples)), region[0] if region else None)
