"""Autocorrelated noise that any day can be asked for by itself.

An autoregressive process needs its whole past; a sum of octaves does not. Each octave draws one normal value per knot,
keyed by the knot's place in absolute time, and spreads it with a Gaussian kernel, so that neighbouring days join
without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data.simulator.plan import DAY_MINUTES, TICKS_A_DAY, draws
from data.simulator.world import Real

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
    values = draws(seed, stream, chunk).standard_normal((units, count))
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
