"""What every model of the pool sees: series side by side on one even grid, and the panel fits that several models
share.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.panel.events import Holidays

Reals = npt.NDArray[np.float64]
Fit = TypeVar("Fit")


class KnownRegressors(Protocol):
    """Regressors that are known ahead, (h, K, N), for any stamps."""

    def __call__(self, stamps: pd.DatetimeIndex, /) -> Reals: ...


@dataclass(frozen=True, slots=True)
class History:
    """`measured` values (T, N), NaN where missing, at `stamps` (T), evenly spaced.

    seasons: cycles in steps, shortest first, such as 24 and 168; none where there is no cycle. fits: what models fitted
    to this very history, so that those which share a fit do not repeat it. zone: the IANA zone by whose clock the
    series live, none where the stamps say it themselves. known: events, where there are any. holidays: those of each
    series, none where none is known. beginnings: those that were asked for, shared with every later beginning; cut:
    what makes them, where that is not `until`.
    """

    stamps: pd.DatetimeIndex
    measured: Reals
    seasons: tuple[int, ...] = ()
    fits: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)
    zone: str = ""
    known: KnownRegressors | None = None
    holidays: tuple[Holidays, ...] = ()
    beginnings: dict[int, History] = field(default_factory=dict, repr=False, compare=False)
    cut: Callable[[int], History] | None = field(default=None, repr=False, compare=False)

    @property
    def step(self) -> pd.Timedelta:
        """The distance between two stamps; an hour where there is but one."""
        if len(self.stamps) < 2:
            return pd.Timedelta(hours=1)
        # Every model asks: two stamps taken from an index cost 0.1 ms, two integers 3 microseconds.
        first, second = self.stamps.asi8[:2].tolist()
        return pd.Timedelta(second - first, unit=self.stamps.unit).as_unit(self.stamps.unit)

    @property
    def short(self) -> int:
        """The shortest cycle in steps, usually a day; 1 where there is none."""
        return self.seasons[0] if self.seasons else 1

    @property
    def long(self) -> int:
        """The longest cycle in steps, usually a week; 1 where there is none."""
        return self.seasons[-1] if self.seasons else 1

    def days(self, count: int) -> int:
        """Steps in so many days, at least one."""
        return max(int(np.rint(pd.Timedelta(days=count) / self.step)), 1)

    def until(self, count: int) -> History:
        """The first `count` steps, which know nothing of what came after."""
        return replace(self, stamps=self.stamps[:count], measured=self.measured[:count], fits={})

    def beginning(self, count: int) -> History:
        """The first `count` steps, and one history for all that begin with them: what is fitted to it serves them
        all.
        """
        if count not in self.beginnings:
            self.beginnings[count] = self.until(count) if self.cut is None else self.cut(count)
        return self.beginnings[count]

    def of(self, columns: npt.NDArray[Any]) -> History:
        """Some of the series."""
        known = self.known
        events = known and (lambda stamps: known(stamps)[:, :, columns])
        holidays = tuple(self.holidays[column] for column in columns) if self.holidays else ()
        return replace(
            self,
            measured=self.measured[:, columns],
            fits={},
            known=events,
            holidays=holidays,
            beginnings={},
            cut=None,
        )

    def ahead(self, steps: int) -> pd.DatetimeIndex:
        """The stamps that follow."""
        return pd.date_range(self.stamps[-1], periods=steps + 1, freq=self.step)[1:]

    def clock(self, stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """What the series' clock shows at these stamps."""
        return stamps.tz_convert(self.zone).tz_localize(None) if self.zone else stamps


# Point forecasts (steps, series), that many steps ahead; NaN for a series that the model needs more history for.
Model = Callable[[History, int], Reals]


def shared(history: History, key: Hashable, make: Callable[[], Fit]) -> Fit:
    """What was fitted to this history under that key, or is now."""
    if key not in history.fits:
        history.fits[key] = make()
    fit: Fit = history.fits[key]
    return fit


def nan_median(blocks: Reals) -> Reals:
    """The median along the first axis of what is not missing; NaN where all is. NumPy's own is slow along short axes,
    and warns.
    """
    ordered = np.sort(blocks, axis=0)  # NaN last
    count = (~np.isnan(blocks)).sum(axis=0)
    middle = [
        np.take_along_axis(ordered, np.maximum(index, 0)[None], axis=0)[0]
        for index in ((count - 1) // 2, count // 2 - (count == 0))
    ]
    return np.asarray(0.5 * (middle[0] + middle[1]))


def nan_mean(blocks: Reals) -> Reals:
    """The mean along the first axis of what is not missing; zero where all is."""
    is_measured = ~np.isnan(blocks)
    return np.asarray(np.where(is_measured, blocks, 0.0).sum(axis=0) / np.maximum(is_measured.sum(axis=0), 1))


def nan_sum(blocks: Reals | Sequence[Reals]) -> Reals:
    """The sum along the first axis of what is not missing; NaN where all is."""
    stacked = np.asarray(blocks, dtype=float)
    return np.where(np.isfinite(stacked).any(axis=0), np.nansum(stacked, axis=0), np.nan)


# Logarithms
# -------------------------------------------------------------------------------------------------------------------

# Zeros are finite on the log scale as a fiftieth of the usual value: low enough for any night, high enough that one
# zero does not bend a fit.
LOG_FLOOR_SHARE = 0.02
# Uncertainty that is carried 90 days ahead on a log scale knows no bound; beyond ten times the largest value ever
# measured it says nothing.
CEILING = 10.0


class LogScale(NamedTuple):
    """Values as logarithms of their ratio to the usual value of their series, so that a fit does not depend on units.

    usual: the median of the values above zero, 1 for a series that has none; highest: the largest value. A number each
    for one series, (N,) for a panel.
    """

    usual: Reals
    highest: Reals

    @classmethod
    def of(cls, values: Reals) -> LogScale:
        """The scale of one series (T,) or of each series of a panel (T, N); NaN where missing."""
        usual = nan_median(np.where(values > 0.0, values, np.nan))
        return cls(np.where(np.isnan(usual), 1.0, usual), np.fmax.reduce(values, axis=0, initial=0.0))

    @property
    def ceiling(self) -> Reals:
        """The most that is believed, as a logarithm."""
        return np.asarray(np.log(CEILING) + np.log(np.maximum(self.highest, self.usual)) - np.log(self.usual))

    def log(self, values: Reals) -> Reals:
        """To the log scale; NaN stays NaN."""
        return np.log(np.maximum(values, LOG_FLOOR_SHARE * self.usual) / self.usual)

    def value(self, logs: Reals) -> Reals:
        """Back to the unit of the series: zero where the floor stands for zero, and at most ten times the highest value
        that was measured.
        """
        values = self.usual * np.exp(np.minimum(logs, self.ceiling))
        return np.where(values > LOG_FLOOR_SHARE * self.usual, values, 0.0)
