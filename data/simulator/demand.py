"""Viewers that each site would serve before anything goes wrong: local time of day and week, growth, and rough, skewed
noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from data.simulator.options import DAY_MINUTES, TICK_MINUTES, TICKS_A_DAY, WEEK_MINUTES, moment, random_stream
from data.simulator.world import Real, Whole, World

# Local time at the sites ---------------------------------------------------------------------------------------------

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


# Autocorrelated noise that any day can be asked for by itself --------------------------------------------------------
# An autoregressive process needs its whole past; a sum of octaves does not. Each octave draws one normal value per knot,
# keyed by the knot's place in absolute time, and spreads it with a Gaussian kernel, so that neighbouring days join
# without a seam.

# A knot's kernel: its standard deviation, and how far it reaches, in knots.
SPREAD = 0.7
REACH = 3
# Products this small stay on one thread: the same bits on any number of cores, and no contention between days made side
# by side.
ROWS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Octave:
    """Noise of one time scale: minutes between knots, and the standard deviation of the logarithm."""

    minutes: int
    deviation: float


@dataclass(frozen=True, slots=True)
class Field:
    """Noise for a number of units (sites, regions or the network), as a sum of octaves."""

    seed: int
    name: str
    units: int
    octaves: tuple[Octave, ...]

    def day(self, day: int) -> Real:
        """Values of a UTC day, (units, 288), mean zero."""
        knots, spreads = zip(*(self._octave(octave, day) for octave in self.octaves), strict=True)
        left, right = np.concatenate(knots, axis=1), np.concatenate(spreads, axis=0)
        total = np.empty((self.units, TICKS_A_DAY))
        for row in range(0, self.units, ROWS_AT_ONCE):
            np.matmul(left[row : row + ROWS_AT_ONCE], right, out=total[row : row + ROWS_AT_ONCE])
        return total

    def _octave(self, octave: Octave, day: int) -> tuple[Real, Real]:
        """Knots (units, n) near the day, and the weights (n, 288) that spread them over it."""
        a_chunk = max(1, DAY_MINUTES // octave.minutes)
        first = day * DAY_MINUTES // octave.minutes
        wanted = np.arange(first - REACH, first + a_chunk + REACH + 1)
        chunks = [
            self._knots(octave.minutes, a_chunk, int(chunk))
            for chunk in range(int(wanted[0]) // a_chunk, int(wanted[-1]) // a_chunk + 1)
        ]
        offset = int(wanted[0]) // a_chunk * a_chunk
        knots = np.concatenate(chunks, axis=1)[:, wanted - offset]
        return knots, octave.deviation * _spread(
            octave.minutes, int(wanted[0]) * octave.minutes - day * DAY_MINUTES, len(wanted)
        )

    def _knots(self, minutes: int, count: int, chunk: int) -> Real:
        return _drawn(self.seed, f"{self.name}/{minutes}", self.units, count, chunk)


@lru_cache(maxsize=512)
def _drawn(seed: int, stream: str, units: int, count: int, chunk: int) -> Real:
    values = random_stream(seed, stream, chunk).standard_normal((units, count))
    values.setflags(write=False)
    return values


@lru_cache(maxsize=64)
def _spread(minutes: int, first_minute: int, count: int) -> Real:
    """Gaussian weights of `count` knots from `first_minute` of the day on; every tick's weights keep unit variance."""
    at = first_minute + minutes * np.arange(count)[:, None]
    ticks = np.arange(TICKS_A_DAY)[None, :] * (DAY_MINUTES / TICKS_A_DAY)
    weights = np.exp(-0.5 * ((ticks - at) / (SPREAD * minutes)) ** 2)
    scaled = weights / np.sqrt((weights**2).sum(axis=0, keepdims=True))
    scaled.setflags(write=False)
    return np.asarray(scaled)


# Demand --------------------------------------------------------------------------------------------------------------

YEAR_MINUTES = 365.25 * DAY_MINUTES
# Mean viewers of the whole network at the anchor, whatever the number of sites. At about 3.5 Mbps each that is 7 Tbps,
# and 8 to 9 at the peak.
MEAN_VIEWERS = 2_050_000.0
# The audience of one local hour relative to the day, weekday and weekend: a trough before dawn, a climb from noon, the
# evening peak.
WEEKDAY = (
    0.96,
    0.78,
    0.63,
    0.53,
    0.47,
    0.45,
    0.46,
    0.50,
    0.56,
    0.64,
    0.71,
    0.78,
    0.85,
    0.91,
    0.96,
    1.03,
    1.12,
    1.22,
    1.35,
    1.49,
    1.61,
    1.63,
    1.50,
    1.24,
)
WEEKEND = (
    1.08,
    0.90,
    0.73,
    0.60,
    0.52,
    0.48,
    0.47,
    0.50,
    0.58,
    0.70,
    0.83,
    0.95,
    1.06,
    1.15,
    1.21,
    1.27,
    1.34,
    1.41,
    1.50,
    1.60,
    1.68,
    1.66,
    1.50,
    1.24,
)
# Level of each day from Monday on: Friday to Sunday carry the most.
DAY_LEVEL = (0.95, 0.95, 0.96, 0.98, 1.03, 1.05, 1.04)
# The hours above are joined by a kernel of this width.
JOIN_MINUTES = 40.0
# Peak of a week over the peak of the plain weekly shape, from noise alone: the median that the simulator itself shows.
PEAK_OVER_SHAPE = 1.06
# Sites larger than the median are smoother, smaller ones rougher, within these bounds.
ROUGHNESS = (0.6, 2.2)

GLOBAL_NOISE = (Octave(7 * DAY_MINUTES, 0.018), Octave(DAY_MINUTES, 0.015), Octave(180, 0.012))
REGION_NOISE = (Octave(7 * DAY_MINUTES, 0.022), Octave(DAY_MINUTES, 0.024), Octave(180, 0.020), Octave(40, 0.008))
SITE_NOISE = (Octave(7 * DAY_MINUTES, 0.022), Octave(DAY_MINUTES, 0.016), Octave(120, 0.018), Octave(20, 0.014))
# Popular streams come and go: humps of an hour or two, upward only. They make the noise skewed.
HUMPS = (Octave(90, 1.0),)
HUMP_FROM, HUMP_SIZE = 1.3, 0.07
WHITE = 0.009


@dataclass(frozen=True, slots=True)
class Demand:
    """The viewers that each site of a world would serve on a day without events or incidents."""

    world: World
    seed: int
    anchor: int  # minutes since 1970
    mean_viewers: Real
    growth_a_year: Real  # of the logarithm
    shape: Real  # (sites, 2016): audience of each slot of the local week, mean 1
    roughness: Real

    def day(self, day: int) -> tuple[Real, Real]:
        """Viewers (sites, 288), and how awake each site's audience is (0 to 1, same shape)."""
        shape = np.take_along_axis(self.shape, local_slots([site.timezone for site in self.world.sites], day), axis=1)
        years = (ticks_of(day) - self.anchor) / YEAR_MINUTES
        log = self.growth_a_year[:, None] * years + self._noise(day)
        awake = shape / self.shape.max(axis=1, keepdims=True)
        return self.mean_viewers[:, None] * shape * np.exp(log), awake

    def peak_viewers(self, minute: int) -> Real:
        """The peak of an ordinary week around `minute`: what the trend promises, without events."""
        growth = np.exp(self.growth_a_year * (minute - self.anchor) / YEAR_MINUTES)
        return np.asarray(self.mean_viewers * self.shape.max(axis=1) * growth * PEAK_OVER_SHAPE)

    def _noise(self, day: int) -> Real:
        """Logarithm of the noise: what the network shares, what a region shares, and the site's own."""
        count, region = len(self.world), self.world.region
        regions = int(region.max()) + 1
        shared = Field(self.seed, "global", 1, GLOBAL_NOISE).day(day) + Field(
            self.seed, "region", regions, REGION_NOISE
        ).day(day)
        own = Field(self.seed, "site", count, SITE_NOISE).day(day)
        own += HUMP_SIZE * np.maximum(Field(self.seed, "humps", count, HUMPS).day(day) - HUMP_FROM, 0.0)
        own += WHITE * random_stream(self.seed, "white", day).standard_normal((count, TICKS_A_DAY))
        return shared[region] + self.roughness[:, None] * own


def build_demand(world: World, seed: int, anchor: int, growth_a_year: Real) -> Demand:
    """Levels, shapes and roughness of the sites of a world."""
    share = world.weight / world.weight.sum()
    rng = random_stream(seed, "demand")
    late = rng.normal(0.0, 20.0, len(world)) + np.array([_hour_shift(site.country) for site in world.sites])
    depth = rng.uniform(0.84, 1.08, len(world))
    roughness = np.clip((np.median(world.weight) / world.weight) ** 0.5, *ROUGHNESS)
    return Demand(world, seed, anchor, MEAN_VIEWERS * share, growth_a_year, _shapes(late, depth), roughness)


def _hour_shift(country: str) -> float:
    """Minutes by which a country's evening runs late: it dines late where the clock runs ahead of the sun."""
    return {
        "ES": 55.0,
        "AR": 50.0,
        "IT": 25.0,
        "BR": 25.0,
        "PT": 20.0,
        "JP": 20.0,
        "KR": 30.0,
        "SE": -30.0,
        "NO": -30.0,
        "FI": -35.0,
        "DE": -20.0,
    }.get(country, 0.0)


def _shapes(late: Real, depth: Real) -> Real:
    """The weekly shape of each site: the common one, shifted by `late` minutes, raised to `depth`, mean 1."""
    days = [np.array(WEEKEND if day >= 5 else WEEKDAY) * DAY_LEVEL[day] for day in range(7)]
    # Friday night already belongs to the weekend, Sunday night no longer does.
    days[4][19:], days[6][19:] = np.array(WEEKEND)[19:] * DAY_LEVEL[4], np.array(WEEKDAY)[19:] * DAY_LEVEL[6]
    slots = np.repeat(np.concatenate(days), TICKS_A_DAY // 24)
    kernel = np.exp(-0.5 * (_circular_minutes(WEEK_SLOTS) / JOIN_MINUTES) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(slots) * np.fft.rfft(kernel / kernel.sum()), WEEK_SLOTS)
    # Linear interpolation shifts by parts of a slot.
    at = np.arange(WEEK_SLOTS)[None, :] - late[:, None] / 5.0
    shifted = np.interp(at % WEEK_SLOTS, np.arange(WEEK_SLOTS + 1), np.append(smooth, smooth[0])) ** depth[:, None]
    return np.asarray(shifted / shifted.mean(axis=1, keepdims=True))


def _circular_minutes(slots: int) -> Real:
    """Distance of each slot from the first, around the week."""
    steps = np.arange(slots)
    return 5.0 * np.minimum(steps, slots - steps)
