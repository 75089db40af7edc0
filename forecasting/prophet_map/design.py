"""Prophet's model as columns of a design: which model to fit, values as it sees them, and the time, changepoints and
Fourier terms as Prophet makes them, shared by all series that were observed at the same stamps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.panel.history import CEILING, LOG_FLOOR_SHARE, Reals


class Season(NamedTuple):
    """One seasonality: its name, its period in hours, and how many harmonics it has."""

    name: str
    period_hours: float
    order: int


@dataclass(frozen=True, slots=True)
class Spec:
    """An additive model: Prophet's names for the same settings are growth, n_changepoints and the prior scales.

    log: fit the logarithm, with a floor of 2 % of the median. changepoint_prior and season_prior are scales, as
    Prophet's are.
    """

    seasons: tuple[Season, ...]
    log: bool = False
    growth: Literal["linear", "flat"] = "linear"
    changepoints: int = 25
    changepoint_range: float = 0.8
    changepoint_prior: float = 0.05
    season_prior: float = 10.0

    @property
    def hinges(self) -> int:
        """How many places where the trend may bend; a flat one does not."""
        return self.changepoints if self.growth == "linear" else 0

    @property
    def slopes(self) -> int:
        """1 where the trend has a slope, 0 where it is flat."""
        return int(self.growth == "linear")


Rows = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Axis:
    """A series' own time: 0 at its first observation, 1 at its last, `span` days apart.

    changepoints: (C,) on that axis; those that a short history has no room for are infinite, and bend nothing. bends:
    how many are finite.
    """

    start: float
    span: float
    changepoints: Reals
    bends: int

    def at(self, days: Reals) -> Reals:
        """Days since the epoch on this axis."""
        return (days - self.start) / self.span

    def hinges(self, days: Reals) -> Reals:
        """(T, C): how far each stamp lies after each changepoint."""
        return np.maximum(self.at(days)[:, None] - self.changepoints, 0.0)


@dataclass(frozen=True, slots=True)
class Group:
    """Series that share every column of the design: the rows that were observed, and regressors (T, K)."""

    members: Places
    observed: Rows
    axis: Axis
    regressors: Reals


def days_of(stamps: pd.DatetimeIndex) -> Reals:
    """Days since the epoch by the clock that the stamps show."""
    shown = stamps.tz_localize(None)
    return np.asarray(shown.asi8 / (DAY // pd.Timedelta(1, shown.unit)), dtype=float)


def fourier(days: Reals, season: Season) -> Reals:
    """(T, 2 x order): sine and cosine of each harmonic, in Prophet's order and phase."""
    # Harmonics are the powers of the first one on the unit circle, which is several times quicker than as many sines.
    first = np.exp(2j * np.pi * 24.0 / season.period_hours * days)
    powers = np.cumprod(np.broadcast_to(first[:, None], (len(days), season.order)), axis=1)
    return np.stack([powers.imag, powers.real], axis=2).reshape(len(days), -1)


def seasonal(days: Reals, seasons: Sequence[Season]) -> Reals:
    """(T, F): the columns of all seasons side by side."""
    return np.hstack([np.empty((len(days), 0)), *(fourier(days, season) for season in seasons)])


def axis_of(days: Reals, spec: Spec) -> Axis:
    """Time and changepoints of a series that was observed on these days (ascending), placed where Prophet places
    them.
    """
    if not len(days):
        return Axis(0.0, 1.0, np.full(spec.hinges, np.inf), 0)
    start, span = float(days[0]), float(days[-1] - days[0]) or 1.0
    early = int(np.floor(len(days) * spec.changepoint_range))
    bends = max(min(spec.hinges, early - 1), 0)
    places = np.linspace(0, max(early - 1, 0), bends + 1).round().astype(int)[1:]
    points = np.full(spec.hinges, np.inf)
    points[:bends] = (days[places] - start) / span
    return Axis(start, span, points, bends)


def grouped(days: Reals, observed: Rows, spec: Spec, regressors: Reals) -> list[Group]:
    """Groups of the series (columns of `observed`), in the order in which they first appear; regressors are (T, K) for
    all or (T, K, N).
    """
    scoped = regressors.ndim == 3
    found: dict[bytes, list[int]] = {}
    whole = np.asarray(observed.all(axis=0))
    for series in range(observed.shape[1]):
        mask = b"" if whole[series] else np.packbits(observed[:, series]).tobytes()
        found.setdefault(mask + (regressors[:, :, series].tobytes() if scoped else b""), []).append(series)
    firsts = [members[0] for members in found.values()]
    axes = [axis_of(days[observed[:, first]], spec) for first in firsts]
    own = [np.ascontiguousarray(regressors[:, :, first]) if scoped else regressors for first in firsts]
    return [
        Group(np.array(members), observed[:, first], axis, held)
        for members, first, axis, held in zip(found.values(), firsts, axes, own, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Scale:
    """The scales of N series: `size` (N,), the largest absolute value on the fitted scale, which Prophet divides by.

    On the log scale also `usual` and `highest` (N,), the median of the values above zero and the largest value, as
    `LogScale` has them for one series. still (N,): whether a series never changes its value, or has none.
    """

    size: Reals
    usual: Reals | None
    highest: Reals | None
    still: Rows

    @classmethod
    def of(cls, values: Reals, *, log: bool) -> tuple[Scale, Reals]:
        """The scales, and the scaled values with zero where missing; values are (T, N), NaN where missing."""
        ends, usual, highest = np.stack([np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)]), None, None
        if log:
            usual, highest = _positive_medians(values), np.maximum(ends[1], 0.0)
            values, ends = (np.log(np.maximum(part, LOG_FLOOR_SHARE * usual) / usual) for part in (values, ends))
        size = np.abs(ends).max(axis=0)
        size = np.where(size > 0.0, size, 1.0)
        scaled = values / size
        if np.isnan(scaled.sum()):  # scaled values do not overflow: a sum tells whether any is missing
            np.copyto(scaled, 0.0, where=np.isnan(scaled))
        return cls(size, usual, highest, ~(ends[1] > ends[0])), scaled

    @classmethod
    def joined(cls, parts: Sequence[Scale], order: Places) -> Scale:
        """The scales of all parts, one after another, then put in order."""
        size, still = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("size", "still"))
        usual, highest = (
            None if parts[0].usual is None else np.concatenate([getattr(part, name) for part in parts])[order]
            for name in ("usual", "highest")
        )
        return cls(size, usual, highest, still)

    def value(self, curve: Reals) -> Reals:
        """From the fitted scale back to the unit of the series, as `LogScale.value` does; without logarithms the curve
        itself.
        """
        if self.usual is None or self.highest is None:
            return curve
        ceiling = np.log(np.maximum(CEILING * self.highest / self.usual, LOG_FLOOR_SHARE))
        found = self.usual * np.exp(np.minimum(curve, ceiling))
        return np.where(found <= LOG_FLOOR_SHARE * self.usual, 0.0, found)


def _positive_medians(values: Reals) -> Reals:
    """The median of each series' values above zero; 1 where it has none."""
    above = np.where(values > 0.0, values, np.nan)
    ordered = np.sort(above, axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    low, high = (np.take_along_axis(ordered, np.maximum((count - 1 + up) // 2, 0)[None], axis=0)[0] for up in (0, 1))
    return np.where(count > 0, (low + high) / 2.0, 1.0)
