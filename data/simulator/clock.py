"""Local time at the sites: which 5-minute slot of the local week each tick of a UTC day falls in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from data.simulator.plan import DAY_MINUTES, TICK_MINUTES, TICKS_A_DAY, WEEK_MINUTES, moment
from data.simulator.world import Real, Whole

WEEK_SLOTS = 7 * TICKS_A_DAY
# 1970-01-01 was a Thursday: days since then, plus three, count from a Monday.
MONDAY_SHIFT = 3


def ticks_of(day: int) -> Whole:
    """Minutes since 1970 of the 288 ticks of a UTC day (days since 1970)."""
    return day * DAY_MINUTES + TICK_MINUTES * np.arange(TICKS_A_DAY)


def local_slots(zones: Sequence[str], day: int) -> Whole:
    """For each zone and tick of the UTC day, the slot of the local week (0 is Monday 00:00, 2016 slots); follows
    daylight saving.
    """
    utc = (day + MONDAY_SHIFT) % 7 * TICKS_A_DAY + np.arange(TICKS_A_DAY)
    names = sorted(set(zones))
    slots = np.stack([(utc + _offsets(name, day)) % WEEK_SLOTS for name in names])
    return slots[[names.index(zone) for zone in zones]]


def local_minute(zone: str, minute: int) -> int:
    """The UTC minute at which the clock of `zone` shows what a UTC clock shows at `minute`."""
    return minute - TICK_MINUTES * _offset(zone, minute)


def monday_of(week: int) -> int:
    """The first minute of a UTC week (weeks since the Monday before 1970)."""
    return week * WEEK_MINUTES - MONDAY_SHIFT * DAY_MINUTES


def week_of(minute: int) -> int:
    """The UTC week that holds a minute."""
    return (minute + MONDAY_SHIFT * DAY_MINUTES) // WEEK_MINUTES


def ramp(minutes_from: Real, over: float) -> Real:
    """A smooth step from 0 to 1 around zero, most of it within `over` minutes on either side."""
    return 0.5 * (1.0 + np.tanh(minutes_from / over))


# The library itself keeps only eight zones, and reads the others from disk again and again.
_zone = lru_cache(maxsize=None)(ZoneInfo)


@lru_cache(maxsize=4096)
def _offset(zone: str, minute: int) -> int:
    """Local time minus UTC, in ticks."""
    offset = moment(minute).astimezone(_zone(zone)).utcoffset() or timedelta()
    return int(offset / timedelta(minutes=TICK_MINUTES))


def _offsets(zone: str, day: int) -> Whole:
    first, last = _offset(zone, day * DAY_MINUTES), _offset(zone, (day + 1) * DAY_MINUTES)
    if first == last:
        return np.full(TICKS_A_DAY, first)
    return np.array([_offset(zone, int(minute)) for minute in ticks_of(day)])
