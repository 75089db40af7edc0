"""The busiest of each week: its peak and its P95, from samples of any grain.

A week starts on Monday 00:00 UTC. Missing samples stay missing; a week that lacks too many of them has no statistic at
all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.schema import MIN_WEEK_COMPLETENESS
from data.schema.errors import SettingError

Reals = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.datetime64]

WEEK = np.timedelta64(7, "D")
MONDAY = np.datetime64("1970-01-05", "us")
P95 = 0.95
# Columns that are sorted at once: a year of 5-minute samples of so many series is about 50 MB.
COLUMNS_AT_ONCE = 64


class Weekly(NamedTuple):
    """Peak (the highest sample) and P95 of each week and series, in the unit of the samples; NaN where the week is not
    complete enough.

    `weeks` (W,) are Mondays; `peak`, `p95` and `completeness` (0 to 1) are (W, N).
    """

    weeks: Stamps
    peak: Reals
    p95: Reals
    completeness: Reals


def weekly(stamps: Stamps, values: Reals, complete_at_least: float = MIN_WEEK_COMPLETENESS) -> Weekly:
    """Weekly statistics of samples (T, N), NaN where missing, at `stamps` (T,): UTC, increasing, the starts of
    intervals of one length.

    A SettingError where the stamps are no such grid.
    """
    step = grain(stamps)
    weeks = np.arange(monday(stamps[0]), stamps[-1] + np.timedelta64(1, "us"), WEEK)
    slots = int(WEEK / step)
    at = ((stamps - weeks[0]) / step).astype(np.int64)
    parts = [
        _of_columns(at, values[:, start : start + COLUMNS_AT_ONCE], len(weeks), slots)
        for start in range(0, values.shape[1], COLUMNS_AT_ONCE)
    ]
    peak, p95, completeness = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    short = completeness < complete_at_least
    return Weekly(weeks, np.where(short, np.nan, peak), np.where(short, np.nan, p95), completeness)


def monday(stamp: np.datetime64) -> np.datetime64:
    """Monday 00:00 UTC of the week that holds the stamp."""
    return stamp - (stamp - MONDAY) % WEEK


def grain(stamps: Stamps) -> np.timedelta64:
    """The length of the interval that each stamp starts: the shortest step, which must divide every other one and the
    week.
    """
    steps = np.diff(stamps)
    step = steps.min() if len(steps) else np.timedelta64(0, "us")
    if not step > np.timedelta64(0, "us") or (steps % step).any() or WEEK % step or (stamps[0] - MONDAY) % step:
        raise SettingError(
            f"The {len(stamps)} stamps from {stamps[0] if len(stamps) else 'none'} on, with a shortest step of {step}, are on no grid that divides the week.",
            cause="unsorted or repeated stamps, or a grain such as 11 minutes",
            remedy="sort them, drop repeats, and resample to a grain that divides the hour",
        )
    return step


def p95(values: Reals, axis: int = 0) -> Reals:
    """The 95th percentile along an axis without NaN, linear between neighbours as NumPy's."""
    last = values.shape[axis] - 1
    low = int(P95 * last)
    high = min(low + 1, last)
    parted = np.partition(values, (low, high), axis=axis)
    below, above = parted.take(low, axis), parted.take(high, axis)
    return np.asarray(below + (P95 * last - low) * (above - below))


def _of_columns(at: npt.NDArray[np.int64], values: Reals, weeks: int, slots: int) -> tuple[Reals, Reals, Reals]:
    """Peak, P95 and completeness (weeks, columns) of some columns."""
    cube = np.full((weeks * slots, values.shape[1]), np.nan)
    cube[at] = values
    # NaN sorts last.
    cube = np.sort(cube.reshape(weeks, slots, -1), axis=1)
    held = np.isfinite(cube).sum(axis=1)
    return _ordered(cube, held, 1.0), _ordered(cube, held, P95), held / slots


def _ordered(cube: Reals, held: npt.NDArray[np.int64], level: float) -> Reals:
    """The quantile of the first `held` values of each sorted column; NaN where there is none."""
    place = level * np.maximum(held - 1, 0)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, np.maximum(held - 1, 0))
    below, above = (np.take_along_axis(cube, index[:, None, :], axis=1)[:, 0, :] for index in (low, high))
    return np.asarray(below + (place - low) * (above - below))
